"""An EHR's past, however it comes in, leads to no message and to no chart read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.instants import write_instant
from tests.stages.world import CHECK_IN, START, World, appointment, encounter

IMPORTED = 300


def history(number: int) -> dict[str, Any]:
    """Make one of many things of years ago, each of another patient."""
    who = {"reference": f"Patient/h{number}"}
    people = [{"actor": who, "status": "accepted"}]
    day = START - timedelta(days=100 + 11 * number)
    text = day.date().isoformat()
    stay = {"start": text, "end": text}
    visit: dict[str, Any] = {"participant": people, "start": write_instant(day)}
    detail = {"status": "scheduled", "scheduledPeriod": {"end": text}}
    plan = {"resourceType": "CarePlan", "subject": who, "period": {"start": text}}
    made = [
        encounter(subject=who, period=stay),
        encounter(subject=who, period=stay, status="cancelled"),
        encounter(subject=who, period=stay, status="entered-in-error"),
        encounter(subject=who, period={"start": text}, status="in-progress"),
        encounter(subject=who, period={"start": text}),
        encounter(subject=who, period=..., actualPeriod=stay, status="completed"),
        appointment(**visit),
        appointment(**visit, status="fulfilled"),
        appointment(**visit, status="noshow"),
        appointment(**visit, status="cancelled"),
        plan | {"status": "active", "activity": [{"detail": detail}]},
        plan | {"status": "entered-in-error"},
    ]
    return made[number % len(made)] | {"id": f"old{number}"}


@pytest.fixture
def reads(world: World) -> list[str]:
    """Everything that is read of the EHR."""
    found: list[str] = []
    world.fhir.on_read = lambda what: found.extend(what.split())
    return found


@pytest.mark.parametrize("how", ["pushed", "polled"])
def test_a_past_that_is_brought_in_today_is_no_news(
    world: World, reads: list[str], how: str
) -> None:
    """A bulk import, a re-index, a replay: every ``lastUpdated`` is of today."""
    names = [world.fhir.put(history(number)) for number in range(IMPORTED)]
    fresh = world.fhir.put(encounter())
    if how == "polled":
        world.poll()
    for name in names if how == "pushed" else ():
        world.notify(name)
    world.notify(fresh)
    world.run()
    histories = [item for item in reads if item.endswith("/_history")]
    assert len(histories) == IMPORTED + 1
    assert [item for item in reads if "Patient/h" in item] == []
    assert world.one("SELECT count(*) FROM event") == 1
    assert world.one("SELECT count(DISTINCT focus) FROM nudge") == 1
    assert world.rows("SELECT 1 FROM inbox WHERE state <> 'done'") == []
    noted = world.one("SELECT count(*) FROM inbox WHERE note = 'too-long-ago'")
    assert noted == IMPORTED
    assert world.tasks() == []
    world.go(CHECK_IN)
    assert len(world.sms.sent) == 1


def test_the_same_past_again_costs_nothing_more(world: World) -> None:
    names = [world.fhir.put(history(number)) for number in range(24)]
    for name in [*names, *names]:
        world.notify(name)
        world.run()
    assert world.rows("SELECT 1 FROM event") == []
    assert world.one("SELECT count(*) FROM focus_state") == 24


def test_a_stay_that_does_not_say_when_it_ended_is_told_to_nobody(
    world: World,
) -> None:
    """Brought in as finished, with no date: it may have been years ago."""
    world.notify(world.fhir.put(encounter(period=...)))
    world.run()
    assert world.rows("SELECT 1 FROM event") == []
    assert world.one("SELECT note FROM inbox") == "time-unknown"


def test_a_stay_that_was_seen_to_end_needs_no_date(world: World) -> None:
    going = encounter(period=..., status="in-progress", hospitalization=...)
    name = world.fhir.put(going, START - timedelta(days=2))
    world.fhir.put(encounter(period=...))
    world.notify(name)
    world.run()
    assert world.state() == "planned: due"
    assert world.nudge()["due_at"] == START + timedelta(hours=24)


def test_an_outage_of_a_week_is_caught_up_without_a_late_message(world: World) -> None:
    """What ended within reach is decided on; what is too late by then is cancelled."""
    ended = [START - timedelta(days=days) for days in range(8)]
    for number, moment in enumerate(ended):
        period = {
            "start": write_instant(moment - timedelta(days=2)),
            "end": write_instant(moment),
        }
        stay = encounter(id=f"w{number}", period=period)
        world.notify(world.fhir.put(stay, moment))
    world.run()
    rows = world.rows(
        "SELECT n.state, e.occurred_at FROM nudge AS n JOIN event AS e "
        "ON e.id = n.event_id WHERE n.action = 'check-in' AND n.state <> 'cancelled'"
    )
    assert rows
    assert all(START - row["occurred_at"] <= timedelta(hours=72) for row in rows)
    reasons = world.rows(
        "SELECT reason FROM decision WHERE action = 'check-in' AND outcome = 'cancel' "
        "AND nudge_id IS NULL"
    )
    assert {row["reason"] for row in reasons} <= {"window-passed", "readmitted"}


def test_an_old_stay_that_something_is_planned_about_is_looked_at(
    world: World,
) -> None:
    """What may take something back is never too long ago."""
    name = world.discharge()
    world.run()
    past = {"start": "2016-01-01", "end": "2016-01-05"}
    world.fhir.change(name, period=past, status="entered-in-error")
    world.notify(name)
    world.run()
    assert world.state() == "cancelled: event-undone"


@pytest.mark.parametrize("status", ["fulfilled", "noshow", "cancelled", "booked"])
def test_a_visit_first_seen_in_a_late_state_is_told_to_nobody(
    world: World, status: str
) -> None:
    world.book(START - timedelta(days=100), status=status)
    world.run()
    assert world.rows("SELECT 1 FROM nudge") == []
    assert world.rows("SELECT 1 FROM event") == []


def test_thousands_deleted_at_once_cost_no_chart(
    world: World, reads: list[str]
) -> None:
    for number in range(100):
        name = world.fhir.put(history(0) | {"id": f"d{number}"})
        kind, _, identifier = name.partition("/")
        world.fhir.put({"resourceType": kind, "id": identifier, "_deleted": True})
        world.notify(name)
    world.run()
    assert [item for item in reads if "Patient/h" in item] == []
    assert world.rows("SELECT 1 FROM event") == []
