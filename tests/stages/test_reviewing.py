"""Charts are looked at without an event: once a patient is known, and every week."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.plan import Library, Plan
from middleware.decisions.cadence import PER_MINUTE
from middleware.stages import reviewing
from middleware.storage import endpoints, reviews, shards
from middleware.storage.ids import SHARDS
from tests.stages.world import ENDPOINT, LIBRARY, ROSA, START, World, patient

COLORECTAL = next(item for item in LIBRARY.plans if item.id == "colorectal")
REVIEW = EventKind.PATIENT_REVIEW.value


def on_review(name: str = "colorectal") -> Plan:
    values = {"url": f"urn:plan:{name}", "id": name, "triggers": (REVIEW,)}
    first = COLORECTAL.actions[:1]
    return replace(
        COLORECTAL, trigger_conditions={}, occasion="year", actions=first, **values
    )


@pytest.fixture
def yearly(world: World) -> World:
    """A clinic whose screening plans start with a review; Rosa is 65."""
    plans = (on_review(), on_review("other"))
    library = Library(plans, LIBRARY.wordings, LIBRARY.value_sets, {})
    world.context = replace(world.context, library=lambda endpoint: library)
    world.fhir.put(patient(birthDate="1961-03-02"), START - timedelta(days=60))
    return world


def turn(world: World) -> int:
    """Let every shard's reviews that are due be made."""
    total = 0
    for shard in range(SHARDS):
        with shards.hold(world.database, "review", shard) as held:
            assert held is not None
            now = world.clock.now()
            while done := reviewing.step(world.context, {shard: held.epoch}, now):
                total += done
    return total


def kinds(world: World) -> list[str]:
    rows = world.rows(
        "SELECT kind FROM event WHERE kind LIKE 'patient-%%' ORDER BY seq"
    )
    return [row["kind"] for row in rows]


def pass_weeks(world: World, weeks: int) -> None:
    for _ in range(weeks):
        world.clock.instant += timedelta(days=7)
        turn(world)
        world.run()


def test_patient_is_added_once_and_reviewed_every_week(world: World) -> None:
    world.discharge()
    world.run()
    assert turn(world) == 1
    assert turn(world) == 0
    world.run()
    assert kinds(world) == ["patient-added"]
    pass_weeks(world, 3)
    assert kinds(world) == ["patient-added", *["patient-review"] * 3]
    row = world.rows("SELECT * FROM event WHERE kind = 'patient-review'")[0]
    assert (row["focus"], row["patient"], row["state"]) == (ROSA, ROSA, "done")
    assert row["source"] == "review"


def test_patient_of_whom_only_a_consent_is_known_is_added(world: World) -> None:
    turn(world)
    world.run()
    assert kinds(world) == ["patient-added"]


def test_review_starts_plans_and_two_gaps_are_one_message(yearly: World) -> None:
    turn(yearly)
    yearly.run()
    assert yearly.rows("SELECT * FROM nudge") == []
    pass_weeks(yearly, 1)
    (nudge,) = yearly.rows("SELECT * FROM nudge")
    assert (nudge["focus"], nudge["state"]) == (ROSA, "planned")
    assert nudge["plan"] == "urn:plan:colorectal"
    pass_weeks(yearly, 2)
    assert yearly.deliveries() == ["sms sent"]
    assert "you have 2 preventive checks due" in yearly.sms.sent[0].text
    facts = yearly.one(
        "SELECT facts FROM decision WHERE stage = 'deliver' AND outcome = 'send'"
    )
    assert "PlanDefinition/other" in {item["reference"] for item in facts}


def test_message_that_another_plan_takes_along_later_is_cancelled(
    yearly: World,
) -> None:
    turn(yearly)
    yearly.run()
    pass_weeks(yearly, 1)
    (before,) = yearly.rows("SELECT * FROM nudge")
    urgent = replace(on_review("urgent"), priority=1)
    library = yearly.context.library(ENDPOINT)
    library = replace(library, plans=(urgent, *library.plans))
    yearly.context = replace(yearly.context, library=lambda endpoint: library)
    yearly.clock.instant += timedelta(days=6)
    yearly.notify(yearly.fhir.put(_visit()))
    with yearly.database.tx() as tx:
        tx.execute("UPDATE review SET due_at = %s", (yearly.clock.now(),))
    turn(yearly)
    yearly.run("resolve", "decide")
    found = {
        row["plan"]: (row["state"], row["reason"])
        for row in yearly.rows("SELECT * FROM nudge")
    }
    assert before["state"] == "planned"
    assert found == {
        "urn:plan:colorectal": ("cancelled", "joined"),
        "urn:plan:urgent": ("planned", "due"),
    }


def _visit() -> dict[str, Any]:
    return {"resourceType": "Task", "id": "t", "for": {"reference": ROSA}}


@pytest.mark.parametrize(
    "changes",
    [{"deceasedBoolean": True}, {"active": False}],
    ids=["dead", "inactive"],
)
def test_closed_record_is_not_looked_at_any_more(
    world: World, changes: dict[str, Any]
) -> None:
    world.fhir.put(patient(**changes))
    turn(world)
    world.run()
    pass_weeks(world, 2)
    assert kinds(world) == []
    assert world.one("SELECT state FROM review WHERE patient = %s", ROSA) == "ended"


def test_merged_record_is_looked_at_under_the_one_that_lives_on(world: World) -> None:
    link = {"other": {"reference": "Patient/maria"}, "type": "replaced-by"}
    world.fhir.put(patient(active=False, link=[link]))
    world.fhir.put(patient(id="maria"))
    turn(world)
    world.run()
    world.clock.instant += timedelta(seconds=2)
    turn(world)
    world.run()
    rows = world.rows("SELECT patient, kind FROM event ORDER BY seq")
    assert rows == [{"patient": "Patient/maria", "kind": "patient-added"}]
    assert world.one("SELECT state FROM review WHERE patient = %s", ROSA) == "ended"


def test_thousands_who_are_met_at_once_are_looked_at_one_after_the_other(
    world: World,
) -> None:
    names = [f"Patient/p{number}" for number in range(400)]
    with world.database.tx() as tx:
        tx.execute("DELETE FROM review")
        reviews.note_known(tx, ENDPOINT.id, names, START)
    made = []
    for _ in range(8):
        turn(world)
        made.append(world.one("SELECT count(*) FROM inbox WHERE source = 'review'"))
        world.clock.instant += timedelta(minutes=1)
    steps = [after - before for before, after in itertools.pairwise(made)]
    assert max(steps) <= PER_MINUTE
    assert made[-1] == len(names)
    assert world.one("SELECT count(DISTINCT focus) FROM inbox") == len(names)


def test_turns_that_nobody_took_do_not_come_at_once(world: World) -> None:
    names = [f"Patient/p{number}" for number in range(300)]
    with world.database.tx() as tx:
        tx.execute("DELETE FROM review")
        reviews.note_known(tx, ENDPOINT.id, names, START)
    turn(world)
    world.clock.instant += timedelta(days=1)
    before = world.one("SELECT count(*) FROM inbox WHERE source = 'review'")
    turn(world)
    after = world.one("SELECT count(*) FROM inbox WHERE source = 'review'")
    assert after - before <= 1


def test_site_that_does_not_review_is_left_alone_until_it_does(world: World) -> None:
    site = replace(ENDPOINT.site, review_days=0)
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, replace(ENDPOINT, site=site))
    turn(world)
    pass_weeks(world, 1)
    assert kinds(world) == []
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, ENDPOINT)
    turn(world)
    world.run()
    assert kinds(world) == ["patient-added"]
