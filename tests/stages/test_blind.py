"""Notifications that name nothing: however many wait, one search answers them."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from mappings.errors import FhirError
from middleware.stages.reconcile import poll_endpoints
from middleware.stages.resolve import BLIND_PAUSE
from middleware.storage.intake import IntakeDatabase
from tests.stages.listening import listen, post, subscribe
from tests.stages.world import World, encounter

MANY = 300


@pytest.fixture
def hook(world: World, intake: IntakeDatabase) -> Client:
    subscribe(world)
    return listen(world, intake)


def waiting(world: World) -> int:
    return int(
        world.one(
            "SELECT count(*) FROM inbox WHERE state = 'waiting' AND focus IS NULL"
        )
    )


def count_searches(world: World) -> list[str]:
    """Note each search from now on."""
    asked: list[str] = []

    def note(verb: str, what: str) -> None:
        if verb == "search" and "_lastUpdated=ge" in what:
            asked.append(what)

    world.fhir.fault = note
    return asked


def test_a_flood_is_one_search(hook: Client, world: World) -> None:
    asked = count_searches(world)
    world.fhir.put(encounter())
    for _ in range(MANY):
        assert post(hook, b"").status_code == 200
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (1, 0)
    world.run()
    assert len(world.rows("SELECT 1 FROM event")) == 1


def test_a_flood_of_ten_thousand_is_one_search(world: World) -> None:
    subscribe(world)
    world.fhir.put(encounter())
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO inbox (key, endpoint_id, subscription_id, source, "
            "resource_type, shard, received_at, due_at) SELECT 'k' || n, 'north', "
            "'s1', 'push', 'Encounter', 3, %(now)s, %(now)s "
            "FROM generate_series(1, 10000) AS n",
            {"now": world.clock.now()},
        )
    asked = count_searches(world)
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (1, 0)


def test_one_that_comes_during_the_search_is_searched_for_again(
    hook: Client, world: World
) -> None:
    asked: list[str] = []

    def interrupt(verb: str, what: str) -> None:
        if verb == "search" and "_lastUpdated=ge" in what:
            asked.append(what)
            if len(asked) == 1:
                assert post(hook, b"").status_code == 200

    world.fhir.fault = interrupt
    for _ in range(3):
        post(hook, b"")
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (1, 1)
    world.clock.instant += BLIND_PAUSE
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (2, 0)


def test_a_flood_does_not_shorten_the_pause_after_a_fault(
    hook: Client, world: World
) -> None:
    asked: list[str] = []

    def refuse(verb: str, what: str) -> FhirError | None:
        if verb != "search":
            return None
        asked.append(what)
        return FhirError("the server did not answer", status=None)

    world.fhir.fault = refuse
    post(hook, b"")
    world.drain("resolve")
    post(hook, b"")
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (1, 1)


def test_searches_of_two_types_stay_two(hook: Client, world: World) -> None:
    post(hook, b"")
    hook.post("/hooks/hook-1/Appointment", headers={"X-CareCue-Secret": "right"})
    asked = count_searches(world)
    world.drain("resolve")
    kinds = sorted(what.partition("?")[0] for what in asked)
    assert kinds == ["Appointment", "Encounter"]


def test_between_two_searches_there_is_a_pause(hook: Client, world: World) -> None:
    """Also when a notification comes all the time: never later, never without end."""
    poll_endpoints(world.context)
    asked = count_searches(world)
    began = world.clock.instant
    for _ in range(40):
        post(hook, b"")
        world.drain("resolve")
        world.clock.instant += BLIND_PAUSE / 10
    assert world.clock.instant - began == BLIND_PAUSE * 4
    assert len(asked) == 4
    world.clock.instant += BLIND_PAUSE
    world.drain("resolve")
    assert (len(asked), waiting(world)) == (5, 0)


def test_a_pause_holds_no_other_type_up(hook: Client, world: World) -> None:
    poll_endpoints(world.context)
    asked = count_searches(world)
    for _ in range(2):
        post(hook, b"")
        hook.post("/hooks/hook-1/Appointment", headers={"X-CareCue-Secret": "right"})
        world.drain("resolve")
    kinds = sorted(what.partition("?")[0] for what in asked)
    assert (kinds, waiting(world)) == (["Appointment", "Encounter"], 2)
