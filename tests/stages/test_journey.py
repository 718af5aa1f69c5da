"""A journey of four steps: planned at the event, and anew when the world changes.

Two texts, a text in a group of its own that follows them, and a task for staff, all
under one group whose stop conditions stop the rest.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.content import read_library, shipped_resources
from mappings.endpoint import Site
from mappings.instants import write_instant
from mappings.plan import NS, Library
from middleware.storage import endpoints
from tests.stages.world import ENDPOINT, ROSA, START, World, encounter, patient

SD = f"{NS}/StructureDefinition/"
OFFER = f"{NS}/ActivityDefinition/post-discharge-book-visit"
CALL = f"{NS}/ActivityDefinition/journey-call"
STEPS = ("first", "second", "third", "call")
VISIT = START + timedelta(days=9)


def hours(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "h", "code": "h"}


def condition(kind: str, reason: str, expression: str) -> dict[str, Any]:
    inner = {"name": reason, "description": "So it is.", "language": "text/fhirpath"}
    return {"kind": kind, "expression": {**inner, "expression": expression}}


def step(name: str, definition: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "definitionCanonical": definition, **more}


def after(name: str, offset: float) -> list[dict[str, Any]]:
    after_start = {"actionId": name, "relationship": "after-start"}
    return [{**after_start, "offsetDuration": hours(offset)}]


PLAN: dict[str, Any] = {
    "resourceType": "PlanDefinition",
    "id": "journey",
    "url": f"{NS}/PlanDefinition/journey",
    "version": "1.0.0",
    "status": "active",
    "type": {"coding": [{"code": "eca-rule"}]},
    "topic": [{"coding": [{"code": "post-discharge"}]}],
    "action": [
        {
            "id": "all",
            "extension": [{"url": f"{SD}window", "valueDuration": hours(240)}],
            "trigger": [{"type": "named-event", "name": "encounter-discharged"}],
            "condition": [
                condition(
                    "stop",
                    "already-booked",
                    "%appointments.where(status = 'booked' and start.asHours() > "
                    "%eventInstant.asHours() and start.asHours() < "
                    "%eventInstant.asHours() + 336).exists()",
                ),
                condition(
                    "stop",
                    "already-done",
                    "%procedures.where(status = 'completed').exists()",
                ),
                condition(
                    "stop",
                    "readmitted",
                    "%encounters.where(id != %focus.id and status = 'in-progress')"
                    ".exists()",
                ),
            ],
            "input": [{"type": name} for name in ("Appointment", "Procedure")],
            "action": [
                step("first", OFFER, timingDuration=hours(24)),
                step("second", OFFER, relatedAction=after("first", 48)),
                {
                    "id": "inner",
                    "action": [step("third", OFFER, relatedAction=after("second", 72))],
                },
                step(
                    "call",
                    CALL,
                    timingDuration={"value": 3, "unit": "d", "code": "d"},
                    extension=[{"url": f"{SD}anchor", "valueCode": "business-day"}],
                ),
            ],
        }
    ],
}
TASK = {
    "resourceType": "ActivityDefinition",
    "id": "journey-call",
    "url": CALL,
    "version": "1.0.0",
    "status": "active",
    "kind": "Task",
    "description": "Call the patient about the follow-up visit.",
    "priority": "urgent",
    "participant": [{"type": "practitioner", "role": {"text": "Care manager"}}],
}


def library_of(plan: dict[str, Any] | None) -> Library:
    kept = [item for item in shipped_resources() if "PlanDefinition" not in item["url"]]
    return read_library([*kept, TASK, *([plan] if plan else [])], {"es": "L. Ortiz"})


LIBRARY, NO_PLAN = library_of(PLAN), library_of(None)


@pytest.fixture
def home(world: World) -> World:
    """Rosa has gone home; the journey is planned."""
    world.context = replace(world.context, library=lambda endpoint: LIBRARY)
    world.discharge()
    world.run()
    return world


def states(world: World) -> dict[str, str]:
    """Return how each step stands; a task by its state and, at its end, by whom."""
    rows = world.rows("SELECT action, state, reason FROM nudge ORDER BY due_at")
    found = {row["action"]: f"{row['state']}: {row['reason']}" for row in rows}
    for task in world.rows("SELECT * FROM staff_task WHERE reason = 'journey-call'"):
        found["call"] = ": ".join(filter(None, (task["state"], task["done_by"])))
    return found


def planned() -> dict[str, str]:
    return {**dict.fromkeys(STEPS[:3], "planned: due"), "call": "requested"}


def ended(reason: str) -> dict[str, str]:
    texts = dict.fromkeys(STEPS[:3], f"cancelled: {reason}")
    return {**texts, "call": f"withdrawn: withdrawn: {reason}"}


def task_there(world: World) -> dict[str, Any]:
    (task,) = world.fhir.list_created("Task")
    return task


def test_journey_is_planned_at_the_event(home: World) -> None:
    assert states(home) == planned()
    rows = home.rows("SELECT action, due_at, expires_at FROM nudge ORDER BY due_at")
    gone = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    assert [(row["action"], row["due_at"] - gone) for row in rows] == [
        ("first", timedelta(hours=24)),
        ("second", timedelta(hours=72)),
        # Thanksgiving: it waits until nine the next morning.
        ("third", timedelta(hours=144 + 16.5)),
    ]
    assert [row["expires_at"] - gone for row in rows] == [
        timedelta(days=10, hours=hours) for hours in (24, 72, 144)
    ]


def test_step_for_staff_is_a_task_with_an_owner_and_a_due_time(home: World) -> None:
    (row,) = home.rows("SELECT * FROM staff_task")
    assert row["text"] == "Care manager: Call the patient about the follow-up visit."
    assert row["due_at"] == datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
    task = task_there(home)
    assert task["performerType"] == [{"text": "Care manager"}]
    assert task["description"] == "Call the patient about the follow-up visit."
    assert task["restriction"]["period"]["end"] == "2026-11-25T23:00:00.000Z"
    assert (task["status"], task["priority"]) == ("requested", "urgent")


def test_visit_that_is_booked_stops_all_of_it(home: World) -> None:
    home.book(VISIT)
    home.run()
    assert states(home) == ended("already-booked")
    task = task_there(home)
    assert task["status"] == "cancelled"
    assert task["statusReason"] == {"text": "A follow-up visit is already booked."}
    (audited,) = home.rows("SELECT * FROM audit WHERE action = 'task-withdrawn'")
    assert audited["detail"] == {"reason": "already-booked"}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "cancelled"},
        {"status": "noshow"},
        {"status": "waitlist"},
        {"status": "entered-in-error"},
        {"start": write_instant(START + timedelta(days=40))},
    ],
    ids=["cancelled", "missed", "waitlist", "error", "moved too far"],
)
def test_visit_that_is_not_to_be_brings_it_back(
    home: World, changes: dict[str, Any]
) -> None:
    home.book(VISIT)
    home.run()
    home.wait(minutes=1)
    home.book(VISIT, **changes) if "start" not in changes else home.book(
        START + timedelta(days=40)
    )
    home.run()
    assert states(home) == planned()
    assert task_there(home)["status"] == "requested"
    assert home.one("SELECT count(*) FROM nudge") == len(STEPS) - 1


def test_visit_that_is_moved_a_little_stops_it_still(home: World) -> None:
    home.book(VISIT)
    home.run()
    home.book(VISIT + timedelta(days=1))
    home.run()
    assert states(home) == ended("already-booked")


def test_what_was_sent_is_not_sent_again(home: World) -> None:
    home.wait(hours=24)
    assert states(home)["first"] == "sent: due"
    home.book(VISIT)
    home.run()
    home.book(VISIT, status="cancelled")
    home.run()
    assert states(home) == {**planned(), "first": "sent: due"}
    assert home.deliveries() == ["sms sent"]


def test_gap_that_closes_stops_the_rest(home: World) -> None:
    home.wait(hours=24)
    home.fhir.put(
        {
            "resourceType": "Procedure",
            "id": "done",
            "status": "completed",
            "subject": {"reference": ROSA},
        }
    )
    home.book(VISIT + timedelta(days=30), id="other")
    home.run()
    assert states(home) == {**ended("already-done"), "first": "sent: due"}


def test_readmission_stops_all_of_it_and_its_end_in_error_brings_it_back(
    home: World,
) -> None:
    again = {"id": "again", "status": "in-progress", "hospitalization": ...}
    period = {"start": write_instant(START + timedelta(hours=3))}
    home.clock.instant += timedelta(hours=4)
    home.notify(home.fhir.put(encounter(**again, period=period)))
    home.run()
    assert states(home) == ended("readmitted")
    wrong = encounter(**{**again, "status": "entered-in-error"}, period=period)
    home.notify(home.fhir.put(wrong))
    home.run()
    assert states(home) == planned()


def test_death_ends_all_of_it(home: World) -> None:
    home.notify(home.fhir.put(patient(deceasedBoolean=True)))
    home.run()
    assert states(home) == ended("deceased")
    assert task_there(home)["status"] == "cancelled"


def test_death_withdraws_a_task_also_where_no_message_is_planned(home: World) -> None:
    with home.database.tx() as tx:
        tx.execute("UPDATE nudge SET state = 'skipped', reason = 'skipped-by-staff'")
    home.notify(home.fhir.put(patient(deceasedBoolean=True)))
    home.run()
    assert states(home)["call"] == "withdrawn: withdrawn: deceased"


@pytest.mark.parametrize("how", ["by the site", "out of the library"])
def test_plan_that_is_switched_off_ends_all_of_it(home: World, how: str) -> None:
    if how == "by the site":
        site: Site = replace(ENDPOINT.site, plans_off=("journey",))
        with home.database.tx() as tx:
            endpoints.update_endpoint(tx, replace(ENDPOINT, site=site))
    else:
        home.context = replace(home.context, library=lambda endpoint: NO_PLAN)
    home.book(VISIT + timedelta(days=30), id="other")
    home.run()
    assert states(home) == ended("plan-off")


def test_task_that_staff_have_done_is_left_alone(home: World) -> None:
    with home.database.tx() as tx:
        tx.execute("UPDATE staff_task SET state = 'completed', done_by = 'Sam'")
    home.book(VISIT)
    home.run()
    home.book(VISIT, status="cancelled")
    home.run()
    assert states(home)["call"] == "completed: Sam"


def test_every_event_again_changes_nothing(home: World) -> None:
    before = home.snapshot()
    home.notify("Encounter/stay")
    home.run()
    assert home.snapshot() == before
