"""The forecast: with a chart that stays as it is, it is what then happens."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mappings.nudge import Outcome
from mappings.preference import Who
from mappings.resource import Resource
from middleware.decisions.forecast import World as Frozen
from middleware.decisions.forecast import forecast
from middleware.stages.charts import fetch_chart
from middleware.stages.people import own_record
from middleware.storage.nudges import list_open_nudges
from middleware.storage.preferences import insert_preference
from tests.stages.world import (
    ENDPOINT,
    LIBRARY,
    ROSA,
    START,
    World,
    encounter,
)

AHEAD = START + timedelta(days=60)
Sent = list[tuple[datetime, str]]


def foreseen(world: World) -> tuple[Sent, list[tuple[str, str]]]:
    """Return what the forecast sends, and what it ends with its reason."""
    now = world.clock.now()
    chart = fetch_chart(world.fhir, LIBRARY, ROSA, now)
    with world.database.tx() as tx:
        own = own_record(tx, ENDPOINT.id, ROSA, chart, now)
        planned = list_open_nudges(tx, ENDPOINT.id, ROSA)
    frozen = Frozen(chart, LIBRARY, ENDPOINT)
    found = list(forecast(frozen, own, planned, now, AHEAD))
    sent = [item for item in found if item.candidate.verdict.outcome is Outcome.SEND]
    ended = [item for item in found if item not in sent]
    return (
        [
            (item.at, item.nudge.action)
            for item in sent
            if item.candidate.kind == "message"
        ],
        sorted((item.nudge.action, item.candidate.verdict.reason) for item in ended),
    )


def lived(world: World) -> tuple[Sent, list[tuple[str, str]]]:
    """Let 60 days pass, from one due instant to the next."""
    for _ in range(2000):
        due = world.one(
            "SELECT min(due_at) FROM nudge WHERE state IN ('planned', 'held')"
        )
        if due is None or due >= AHEAD:
            break
        world.clock.instant = max(due, world.clock.instant)
        world.run("deliver", "decide")
    sent = world.rows(
        "SELECT d.sending_at, n.action FROM delivery AS d JOIN nudge AS n "
        "ON n.id = d.nudge_id ORDER BY d.sending_at, n.action"
    )
    ended = world.rows(
        "SELECT action, reason FROM nudge WHERE state IN ('cancelled', 'failed') "
        "ORDER BY action, reason"
    )
    return (
        [(row["sending_at"], row["action"]) for row in sent],
        [(row["action"], row["reason"]) for row in ended],
    )


def care_plan(*activity: Resource) -> Resource:
    return {
        "resourceType": "CarePlan",
        "id": "plan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": ROSA},
        "activity": list(activity),
    }


def steps(*days: str) -> list[Resource]:
    return [
        {
            "detail": {
                "status": "scheduled",
                "description": f"Step {day}",
                "scheduledPeriod": {"end": day},
            }
        }
        for day in days
    ]


@pytest.fixture
def busy(world: World) -> World:
    """Rosa goes home, has a visit and a care plan whose steps come thick."""
    world.discharge()
    world.book(START + timedelta(days=12))
    days = [f"2026-12-{day:02}" for day in range(1, 8)]
    world.notify(world.fhir.put(care_plan(*steps(*days))))
    world.run("resolve", "decide")
    return world


def test_the_forecast_is_what_then_happens(busy: World) -> None:
    expected = foreseen(busy)
    assert len(expected[0]) > 2, "several messages are foreseen"
    assert expected[1], "and several that the limits leave no room for"
    assert lived(busy) == expected


def test_a_repeated_step_is_foreseen_beyond_what_is_planned(world: World) -> None:
    every = [f"2026-12-{day:02}" for day in range(1, 29)]
    detail = {
        "status": "scheduled",
        "description": "Walk",
        "scheduledTiming": {"event": every},
    }
    world.notify(world.fhir.put(care_plan({"detail": detail})))
    world.run("resolve", "decide")
    expected = foreseen(world)
    assert max(at for at, _ in expected[0]) > datetime.fromisoformat(
        "2026-12-13T00:00:00Z"
    )
    assert lived(world) == expected


def test_a_pause_is_foreseen(busy: World) -> None:
    with busy.database.tx() as tx:
        insert_preference(
            tx,
            id="pause",
            endpoint_id=ENDPOINT.id,
            patient=ROSA,
            name="pause",
            value={"until": None, "why": "asked"},
            who=Who.STAFF,
            how="asked at the desk",
            recorded_by="N. Vega",
            recorded_at=busy.clock.now(),
        )
    sent, ended = foreseen(busy)
    assert sent == []
    assert {reason for _, reason in ended} == {"window-passed"}
    assert lived(busy) == (sent, ended)


def test_a_death_is_foreseen_as_silence(busy: World) -> None:
    busy.fhir.change(ROSA, deceasedBoolean=True)
    sent, ended = foreseen(busy)
    assert sent == []
    assert {reason for _, reason in ended} == {"deceased"}


def test_nothing_is_foreseen_for_whom_nothing_is_planned(world: World) -> None:
    world.fhir.put(encounter(status="planned", hospitalization=...))
    assert foreseen(world) == ([], [])
