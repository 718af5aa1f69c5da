"""Bodies that are begun and never end, at the real server: whom they hold up."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from middleware.cli.bench_bodies import FIRST, fill, id_only_template
from middleware.cli.bench_rig import BASE, HOOK, Rig, open_rig
from subscriptions.reading import READERS, SHARE

PATIENCE = 20.0
BUSY = b"HTTP/1.1 503 Service Unavailable"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with open_rig(tmp_path, 4) as opened:
        yield opened


def begin(rig: Rig, secret: str) -> socket.socket:
    """Send the head and one byte."""
    port = rig.runtime.settings.listen_port
    sender = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sender.sendall(
        f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        f"X-CareCue-Secret: {secret}\r\n\r\n{{".encode()
    )
    return sender


def read_status(sender: socket.socket) -> bytes:
    return sender.recv(4096).split(b"\r\n", 1)[0]


def post(rig: Rig, number: int) -> int:
    port = rig.runtime.settings.listen_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {
        "X-CareCue-Secret": rig.secret,
        "Content-Type": "application/fhir+json",
    }
    with contextlib.closing(connection):
        body = fill(id_only_template(BASE), FIRST + number)
        connection.request("POST", HOOK, body, headers)
        return connection.getresponse().status


def is_taken(rig: Rig, number: int) -> bool:
    """Send it again while it is answered 503, as servers do."""
    until = time.monotonic() + PATIENCE
    while (status := post(rig, number)) == 503 and time.monotonic() < until:
        pass
    return status == 200


def test_strangers_hold_nobody_up(rig: Rig) -> None:
    with contextlib.ExitStack() as stack:
        count = READERS + 20
        senders = [stack.enter_context(begin(rig, "wrong")) for _ in range(count)]
        told = {read_status(sender) for sender in senders}
        # Where the machine is busy their secrets are not even looked up in time.
        assert told - {BUSY} == {b"HTTP/1.1 401 Unauthorized"}
        assert is_taken(rig, 1)


def test_a_slow_sender_is_answered_and_holds_up_nobody_but_itself(rig: Rig) -> None:
    with contextlib.ExitStack() as stack:
        few = [stack.enter_context(begin(rig, rig.secret)) for _ in range(3)]
        told = {read_status(sender) for sender in few}
        assert told == {BUSY}
        assert is_taken(rig, 1)
        more = [
            stack.enter_context(begin(rig, rig.secret)) for _ in range(SHARE - len(few))
        ]
        told = {read_status(sender) for sender in more}
        assert told == {BUSY}
        assert post(rig, 2) == 503
    assert is_taken(rig, 3)
