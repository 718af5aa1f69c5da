"""A row that breaks its stage goes to the dead letters; nobody else waits for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from middleware.ports import SearchResult
from middleware.storage.ids import shard_of
from tests.stages.world import (
    CHECK_IN,
    ENDPOINT,
    LIBRARY,
    ROSA,
    World,
    encounter,
    patient,
)

# A second patient of Rosa's own shard.
OTHER = next(
    f"p{number}"
    for number in range(10_000)
    if shard_of(ENDPOINT.id, f"Patient/p{number}") == shard_of(ENDPOINT.id, ROSA)
)


def test_a_resource_that_no_reader_understands_dies_alone(world: World) -> None:
    world.fhir.put(encounter())
    world.fhir.versions["Encounter/broken"] = [7]  # type: ignore[list-item]
    for name in ("Encounter/broken", "Encounter/stay"):
        world.notify(name)
    with world.database.tx() as tx:
        tx.execute("UPDATE inbox SET shard = 3")
    world.run("resolve")
    assert world.state_of("Encounter/stay") == "done"
    for _ in range(20):
        world.wait(hours=6)
    assert world.state_of("Encounter/broken") == "dead"


@pytest.fixture
def two(world: World) -> World:
    """Events of two patients wait in one shard; the first one's chart is poison."""
    other = patient(id=OTHER)
    world.fhir.put(other)
    world.permit(patient=f"Patient/{OTHER}")
    world.discharge()
    world.run("resolve")
    world.fhir.put(encounter(id="stay2", subject={"reference": f"Patient/{OTHER}"}))
    world.notify("Encounter/stay2")
    world.run("resolve")
    return world


def poison_chart(world: World) -> None:
    with world.database.tx() as tx:
        tx.execute(
            "UPDATE event SET chart = convert_to(jsonb_set(convert_from(chart, 'UTF8')"
            "::jsonb, '{resources}', '[7]')::text, 'UTF8') WHERE patient = %s",
            (ROSA,),
        )


def test_an_event_that_cannot_be_decided_dies_alone(two: World) -> None:
    poison_chart(two)
    two.run("decide")
    done = two.one("SELECT count(*) FROM nudge WHERE patient = %s", f"Patient/{OTHER}")
    assert done > 0
    for _ in range(20):
        two.wait(hours=6)
    rows = two.rows("SELECT DISTINCT state, error FROM event WHERE patient = %s", ROSA)
    assert [row["state"] for row in rows] == ["dead"]
    assert all(row["error"] for row in rows)
    assert two.tasks().count(("plan-unknown", "urgent")) == 1


def test_a_nudge_that_cannot_be_looked_at_waits_alone(two: World) -> None:
    two.run()
    two.clock.instant = CHECK_IN
    search = two.fhir.fetch_search

    def broken(query: str, **more: Any) -> Any:
        if query == f"Condition?patient={ROSA}":
            return SearchResult((7,))  # type: ignore[arg-type]
        return search(query, **more)

    two.fhir.fetch_search = broken  # type: ignore[method-assign]
    two.run("deliver")
    (message,) = two.sms.sent
    owner = two.one("SELECT patient FROM delivery WHERE id = %s", message.delivery_id)
    assert owner == f"Patient/{OTHER}"
    (row,) = two.rows(
        "SELECT state, reason FROM nudge WHERE patient = %s AND action = 'check-in'",
        ROSA,
    )
    assert row == {"state": "held", "reason": "plan-unknown"}


def test_a_record_that_breaks_dies_alone(two: World) -> None:
    two.run("decide")
    with two.database.tx() as tx:
        tx.execute("UPDATE outbox SET resource = resource - 'identifier' WHERE seq = 1")
    two.go(CHECK_IN)
    left = two.rows("SELECT seq FROM outbox WHERE state = 'waiting'")
    assert [row["seq"] for row in left] == [1]
    for _ in range(20):
        two.wait(hours=6)
    assert two.one("SELECT state FROM outbox WHERE seq = 1") == "dead"


def test_content_that_is_broken_for_one_site_stops_only_that(world: World) -> None:
    broken = replace(LIBRARY, plans=None)
    world.context = replace(world.context, library=lambda endpoint: broken)
    world.discharge()
    world.run()
    (row,) = world.rows("SELECT state, attempts FROM inbox")
    assert row == {"state": "waiting", "attempts": 1}
