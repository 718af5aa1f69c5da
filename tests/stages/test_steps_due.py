"""Care plan steps: planned by their day, and looked at again when it comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from middleware.storage import endpoints
from tests.stages.world import ENDPOINT, ROSA, START, World

ACTION = "activity-due"
DAY = datetime(2026, 11, 27, 16, tzinfo=UTC)  # 10 in the morning in Chicago
DUE = DAY - timedelta(hours=48)


def care_plan(*activities: dict[str, Any], **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": ROSA},
        "activity": list(activities) or [step("2026-11-27")],
    }
    return values | changes


def step(day: str, status: str = "scheduled") -> dict[str, Any]:
    detail = {"status": status, "scheduledPeriod": {"end": day}}
    return {"id": "walk", "detail": detail}


def start(world: World, plan: dict[str, Any]) -> str:
    name = world.fhir.put(plan)
    world.notify(name)
    world.run()
    return name


def change(world: World, name: str, **changes: Any) -> None:
    world.fhir.change(name, **changes)
    world.notify(name)
    world.run()


def states(world: World) -> list[str]:
    rows = world.rows(
        "SELECT occasion, state, reason FROM nudge WHERE action = %s ORDER BY occasion",
        ACTION,
    )
    return [
        f"{row['occasion'].partition('@')[2]} {row['state']}: {row['reason']}"
        for row in rows
    ]


def kinds(world: World) -> list[str]:
    return [row["kind"] for row in world.rows("SELECT kind FROM event ORDER BY seq")]


def test_a_step_whose_time_has_come_is_an_event_of_its_own(world: World) -> None:
    start(world, care_plan())
    assert states(world) == ["2026-11-27 planned: due"]
    assert world.nudge(ACTION)["due_at"] == DUE
    world.go(DUE - timedelta(seconds=1))
    assert kinds(world) == ["careplan-activated"]
    world.go(DUE)
    assert len(world.sms.sent) == 1
    assert kinds(world) == ["careplan-activated", "careplan-activity-due"]
    world.go(DAY)
    assert len(world.sms.sent) == 1
    assert kinds(world) == ["careplan-activated", "careplan-activity-due"]


def test_a_step_with_another_day_is_told_at_that_day_alone(world: World) -> None:
    name = start(world, care_plan())
    change(world, name, activity=[step("2026-12-04")])
    assert states(world) == [
        "2026-11-27 cancelled: care-plan-ended",
        "2026-12-04 planned: due",
    ]
    change(world, name, activity=[step("2026-11-27")])
    assert states(world) == [
        "2026-11-27 planned: due",
        "2026-12-04 cancelled: care-plan-ended",
    ]
    world.go(DAY + timedelta(days=20))
    assert kinds(world).count("careplan-activity-due") == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("completed", "already-done"),
        ("cancelled", "care-plan-ended"),
        ("on-hold", "care-plan-ended"),
    ],
)
def test_a_step_that_is_done_or_off_is_not_told(
    world: World, status: str, reason: str
) -> None:
    name = start(world, care_plan())
    change(world, name, activity=[step("2026-11-27", status)])
    assert states(world) == [f"2026-11-27 cancelled: {reason}"]
    world.go(DUE)
    assert world.sms.sent == []


@pytest.mark.parametrize("status", ["on-hold", "revoked", "completed"])
def test_a_plan_that_ends_tells_nothing_and_goes_on_when_it_is_resumed(
    world: World, status: str
) -> None:
    name = start(world, care_plan())
    change(world, name, status=status)
    assert states(world) == ["2026-11-27 cancelled: care-plan-ended"]
    change(world, name, status="active")
    assert states(world) == ["2026-11-27 planned: due"]
    world.go(DUE)
    assert len(world.sms.sent) == 1


def test_every_day_of_a_repeated_step_is_told(world: World) -> None:
    days = ["2026-11-27", "2026-12-04", "2026-12-11"]
    detail = {"status": "scheduled", "scheduledTiming": {"event": days}}
    start(world, care_plan({"id": "walk", "detail": detail}))
    assert states(world) == [f"{day} planned: due" for day in days]
    for week in range(4):
        world.go(DUE + timedelta(days=7 * week))
    assert len(world.sms.sent) == 3
    assert states(world) == [f"{day} sent: due" for day in days]


@pytest.mark.parametrize(("most", "sent"), [(52, 15), (9, 9)])
def test_a_long_series_is_planned_on_as_it_goes(
    world: World, most: int, sent: int
) -> None:
    """To its end, or to what the site allows in a year."""
    site = replace(ENDPOINT.site, max_per_year=most)
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, replace(ENDPOINT, site=site))
    days = [(DAY + timedelta(days=7 * n)).date().isoformat() for n in range(15)]
    detail = {"status": "scheduled", "scheduledTiming": {"event": days}}
    start(world, care_plan({"id": "walk", "detail": detail}))
    assert len(states(world)) == 12
    for week in range(16):
        world.go(DUE + timedelta(days=7 * week))
    assert len(world.sms.sent) == sent


@pytest.mark.parametrize("form", ["R4", "R5"])
def test_a_step_in_a_task_that_got_another_day_is_told_at_that_day(
    world: World, form: str
) -> None:
    """The Task moves, the CarePlan does not, and nobody tells."""
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": "ready",
        "for": {"reference": ROSA},
        "restriction": {"period": {"end": "2026-11-27T18:00:00Z"}},
    }
    world.fhir.put(task)
    link = {"reference": "Task/t"}
    name = "reference" if form == "R4" else "plannedActivityReference"
    start(world, care_plan({name: link}))
    assert states(world) == ["2026-11-27 planned: due"]
    world.fhir.change("Task/t", restriction={"period": {"end": "2026-12-04T18:00:00Z"}})
    world.go(DUE)
    assert world.sms.sent == []
    assert states(world) == [
        "2026-11-27 cancelled: care-plan-ended",
        "2026-12-04 planned: due",
    ]
    world.go(DUE + timedelta(days=7))
    assert len(world.sms.sent) == 1


def test_a_step_in_an_order_is_told_until_the_order_is_revoked(world: World) -> None:
    order = {
        "resourceType": "ServiceRequest",
        "id": "o",
        "status": "active",
        "intent": "order",
        "subject": {"reference": ROSA},
        "occurrenceDateTime": "2026-11-27",
    }
    world.fhir.put(order)
    start(
        world,
        care_plan({"plannedActivityReference": {"reference": "ServiceRequest/o"}}),
    )
    assert states(world) == ["2026-11-27 planned: due"]
    world.fhir.change("ServiceRequest/o", status="revoked")
    world.go(DUE)
    assert world.sms.sent == []
    assert states(world) == ["2026-11-27 cancelled: care-plan-ended"]


def test_a_step_that_was_done_in_its_task_is_not_told(world: World) -> None:
    task = {
        "resourceType": "Task",
        "id": "t",
        "status": "ready",
        "for": {"reference": ROSA},
        "restriction": {"period": {"end": "2026-11-27T18:00:00Z"}},
    }
    world.fhir.put(task)
    start(world, care_plan({"reference": {"reference": "Task/t"}}))
    world.fhir.change("Task/t", status="completed")
    world.go(DUE)
    assert world.sms.sent == []
    assert states(world) == ["2026-11-27 cancelled: already-done"]


def test_a_plan_brought_in_with_steps_to_come_is_told_of_those_alone(
    world: World,
) -> None:
    """An active care plan of two years, known to us from today."""
    past = [step(f"2025-{month:02}-01") for month in range(1, 12)]
    start(world, care_plan(*past, step("2026-11-27"), period={"start": "2024-11-01"}))
    assert states(world) == ["2026-11-27 planned: due"]
    assert START < DUE
