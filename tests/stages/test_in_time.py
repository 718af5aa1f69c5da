"""There is an answer within 1.5 seconds; and what was acknowledged is there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client

from middleware.storage.intake import IntakeDatabase
from tests.pace import Pace
from tests.stages.breaking import Line
from tests.stages.listening import SECRET, listen, post, subscribe
from tests.stages.world import World

# The limit, and what the way there and back adds to it.
LIMIT = 1.5 + 0.4


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    with Line(database_url) as opened:
        yield opened


@pytest.fixture
def hook(world: World, line: Line) -> Iterator[Client]:
    """The receiver, over the line."""
    subscribe(world)
    database = IntakeDatabase(line.url)
    yield listen(world, database)
    database.close()


def timed(hook: Client, body: bytes = b"") -> tuple[int, float]:
    with Pace() as granted:
        answer = post(hook, body)
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json["resourceType"] == "OperationOutcome"
    return answer.status_code, granted.seconds


def encounter(name: str) -> bytes:
    return b'{"resourceType":"Encounter","id":"%s","meta":{"versionId":"1"}}' % (
        name.encode()
    )


def kept(world: World) -> list[str]:
    rows = world.rows("SELECT focus FROM inbox ORDER BY focus")
    return [row["focus"] for row in rows]


@pytest.mark.parametrize("table", ["subscription", "notification", "inbox"])
def test_a_locked_table_is_not_waited_for(
    hook: Client, world: World, database_url: str, table: str
) -> None:
    with psycopg.connect(database_url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        status, took = timed(hook, encounter("e1"))
    assert (status, took < LIMIT) == (503, True)
    assert kept(world) == []
    assert until_taken(hook, encounter("e1"))
    assert kept(world) == ["Encounter/e1"]


def test_a_database_that_is_frozen_is_not_waited_for(
    hook: Client, world: World, line: Line
) -> None:
    assert until_taken(hook, encounter("e1"))
    line.freeze()
    for _ in range(2):
        status, took = timed(hook, encounter("e2"))
        assert (status, took < LIMIT) == (503, True)
    line.thaw()
    assert "Encounter/e1" in kept(world)
    assert until_taken(hook, encounter("e2"))
    assert kept(world) == ["Encounter/e1", "Encounter/e2"]


def test_a_database_that_stops_and_comes_back(
    hook: Client, world: World, line: Line
) -> None:
    assert until_taken(hook, encounter("e1"))
    line.cut()
    for _ in range(2):
        status, took = timed(hook, encounter("e2"))
        assert (status, took < LIMIT) == (503, True)
    assert kept(world) == ["Encounter/e1"]
    line.mend()
    assert until_taken(hook, encounter("e2"))
    assert kept(world) == ["Encounter/e1", "Encounter/e2"]


def until_taken(hook: Client, body: bytes) -> bool:
    """Send it again as a server does, for some seconds."""
    return any(timed(hook, body)[0] == 200 for _ in range(8))


def test_a_slow_upload_holds_no_answer(hook: Client, world: World) -> None:
    app: Any = hook.application
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    head = (
        "POST /hooks/hook-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        f"X-CareCue-Secret: {SECRET['X-CareCue-Secret']}\r\n\r\n{{"
    )
    try:
        with (
            Pace() as granted,
            socket.create_connection(("127.0.0.1", server.server_port)) as sender,
        ):
            sender.sendall(head.encode())
            told = sender.recv(4096)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert b" 503 " in told.splitlines()[0]
    assert granted.seconds < LIMIT
    assert world.rows("SELECT 1 FROM notification") == []
