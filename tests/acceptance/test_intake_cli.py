"""Hooks for senders that are set up by hand, and what was set aside, by command."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from click.testing import Result

from middleware.clock import FixedClock
from middleware.sealing import Sealer, read_keys
from middleware.storage.database import Database
from middleware.storage.intake import IntakeDatabase
from tests.stages.listening import listen, subscribe
from tests.stages.world import START, World

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def world(database: Database, clock: FixedClock, ids: Any) -> World:
    return World(database, clock, ids)


@pytest.fixture
def intake(database_url: str) -> Iterator[IntakeDatabase]:
    opened = IntakeDatabase(database_url)
    yield opened
    opened.close()


def last_json(result: Result) -> Any:
    return orjson.loads(result.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("proof", ["header", "hmac", "query"])
def test_a_hook_lets_its_own_sender_in(
    carecue: Any, world: World, intake: IntakeDatabase, tmp_path: Path, proof: str
) -> None:
    made = last_json(carecue("hook", "north", "--proof", proof, "--json"))
    (key_file,) = tmp_path.glob("*.key")
    sealer = Sealer(read_keys(key_file))
    web = listen(
        world,
        intake,
        open_secrets=lambda sealed: tuple(sealer.open(sealed).decode().split("\n")),
    )
    secret = made["secret"]
    signature = hmac.new(secret.encode(), b"", hashlib.sha256).hexdigest()
    headers = {
        "header": {"Authorization": f"Bearer {secret}"},
        "hmac": {"X-Signature": signature},
        "query": {},
    }
    parts = urlsplit(made["url"])
    assert (parts.query == f"token={secret}") == (proof == "query")
    for name, given in headers.items():
        path = f"{parts.path}?{parts.query}" if name == "query" == proof else parts.path
        answer = web.post(path, headers=given)
        assert answer.status_code == (200 if name == proof else 401)
    rows = world.rows("SELECT focus, resource_type FROM inbox")
    assert rows == [{"focus": None, "resource_type": None}]
    assert world.one("SELECT action FROM audit") == "hook"


def test_a_delivery_that_names_nothing_is_searched_for_in_every_type(
    carecue: Any, world: World
) -> None:
    carecue("hook", "north")
    asked: list[str] = []
    world.fhir.fault = lambda verb, what: asked.append(what.partition("?")[0])
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO inbox (key, endpoint_id, source, shard, received_at, due_at) "
            "VALUES ('k', 'north', 'push', 1, %(now)s, %(now)s)",
            {"now": START},
        )
    world.drain("resolve")
    assert {"Encounter", "Appointment", "CarePlan"} <= set(asked)


def test_a_hook_of_an_unknown_endpoint_is_bad_input(carecue: Any) -> None:
    assert carecue("hook", "none").exit_code == 2


def set_aside(world: World, body: bytes) -> int:
    subscribe(world)
    with world.database.tx() as tx:
        row = tx.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, state, error) VALUES ('s1', %s, 'POST', '', '{}', %s, "
            "'quarantined', 'not read') RETURNING id",
            (START, body),
        ).fetchone()
    assert row is not None
    return int(row["id"])


def test_what_was_set_aside_is_listed_looked_at_and_replayed(
    carecue: Any, world: World
) -> None:
    rosa = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Delgado"}]}
    identifier = set_aside(world, orjson.dumps(rosa))
    (row,) = last_json(carecue("events", "quarantined", "--json"))["quarantined"]
    assert (row["id"], row["endpoint"], row["error"]) == (
        identifier,
        "north",
        "not read",
    )
    assert "outline" not in row
    shown = carecue(
        "events", "quarantined", "--id", str(identifier), "--by", "A. Mehta"
    )
    assert shown.exit_code == 0
    assert "p1" in shown.output
    assert "Delgado" not in shown.output
    replayed = carecue("events", "replay", "--stage", "receive", "--json")
    assert last_json(replayed) == {"replayed": {"receive": 1}}
    assert world.rows("SELECT focus FROM inbox") == [{"focus": "Patient/p1"}]
    actions = world.rows("SELECT who, action, subject FROM audit ORDER BY id")
    assert [tuple(row.values()) for row in actions] == [
        ("A. Mehta", "quarantine-view", str(identifier)),
        ("command line", "replay", "receive"),
    ]
    assert last_json(carecue("events", "quarantined", "--json")) == {"quarantined": []}
    assert carecue("events", "quarantined", "--id", str(identifier)).exit_code == 2


def test_a_replay_says_what_stays_set_aside(carecue: Any, world: World) -> None:
    set_aside(world, b"<x/>")
    replayed = carecue("events", "replay", "--stage", "receive", "--json")
    assert last_json(replayed) == {"replayed": {"receive": 0}}
    assert "1 stay set aside" in replayed.stderr
