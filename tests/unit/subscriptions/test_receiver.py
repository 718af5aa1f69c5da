from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import http.client
import io
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client

from subscriptions.notification import NotificationType
from subscriptions.reading import Reader
from subscriptions.receiver import (
    LARGEST_BODY,
    WORK_SECONDS,
    Received,
    Registered,
    make_receiver,
)
from tests.pace import Pace
from tests.unit.subscriptions.receiving import (
    ACCEPTED,
    NEW,
    NOW,
    OLD,
    REGISTERED,
    Memory,
    Stopped,
    read,
)
from tests.unit.subscriptions.wire import ENCOUNTER, bundle, r4_status

BEARER = {
    "Authorization": f"Bearer {NEW}",
    "Content-Type": "application/fhir+json",
    "User-Agent": "EHR/1",
}


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def web(store: Memory) -> Client:
    return Client(make_receiver(store, Stopped()))


def beat() -> bytes:
    return json.dumps(bundle(r4_status("heartbeat"))).encode()


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("path", ["/hooks/hook", "/hooks/hook/"])
def test_a_notification_is_kept_then_answered(
    web: Client, store: Memory, path: str
) -> None:
    assert read(web.post(path, data=beat(), headers=BEARER)) == ACCEPTED
    (kept,) = store.kept
    assert (kept.received_at, kept.method, kept.path) == (NOW, "POST", "")
    assert kept.body == beat()
    assert kept.notification is not None
    assert kept.notification.type == NotificationType.HEARTBEAT
    assert kept.headers == {
        "Content-Type": "application/fhir+json",
        "User-Agent": "EHR/1",
    }


def test_the_answer_is_these_bytes(web: Client) -> None:
    answer = web.post("/hooks/hook", data=beat(), headers=BEARER)
    assert answer.data == b'{"resourceType":"Bundle","type":"transaction-response"}'


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_resource_at_its_own_path_is_kept(
    web: Client, store: Memory, method: str
) -> None:
    answer = web.open(
        "/hooks/hook/Encounter/e1",
        method=method,
        data=json.dumps(ENCOUNTER),
        headers={**BEARER, "If-Match": '"3"'},
    )
    assert read(answer) == ACCEPTED
    assert store.kept[0].path == "Encounter/e1"
    assert store.kept[0].headers["If-Match"] == '"3"'


def test_a_delete_is_kept(web: Client, store: Memory) -> None:
    answer = web.delete("/hooks/hook/Encounter/e1", headers=BEARER)
    assert read(answer) == ACCEPTED
    notification = store.kept[0].notification
    assert notification is not None
    assert notification.events[0].interaction == "delete"


def test_an_empty_post_is_kept(web: Client, store: Memory) -> None:
    headers = {"Authorization": f"Bearer {NEW}"}
    assert read(web.post("/hooks/hook", headers=headers)) == ACCEPTED
    notification = store.kept[0].notification
    assert notification is not None
    assert notification.type == NotificationType.PING


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {OLD}"},
        {"Authorization": f"bearer {NEW}"},
        {"X-CareCue-Secret": OLD},
        {"X-CareCue-Secret": NEW, "Authorization": "Bearer wrong"},
    ],
)
def test_every_accepted_secret_is_let_in(web: Client, headers: dict[str, str]) -> None:
    assert web.post("/hooks/hook", data=beat(), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {NEW}"},
        {"Authorization": NEW},
        {"Authorization": f"Bearer {NEW}x"},
        {"Authorization": "Bearer é"},
        {"X-CareCue-Secret": ""},
    ],
)
def test_anybody_else_is_told_nothing(
    web: Client, store: Memory, headers: dict[str, str]
) -> None:
    wrong = web.post("/hooks/hook", data=beat(), headers=headers)
    unknown = web.post("/hooks/other", data=beat(), headers=BEARER)
    assert read(wrong) == read(unknown)
    status, _, body = read(wrong)
    assert (status, body["resourceType"]) == (401, "OperationOutcome")
    assert store.kept == []


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_a_hook_without_a_secret_lets_nobody_in(
    web: Client, store: Memory, secrets: tuple[str, ...]
) -> None:
    store.registered = Registered("s1", "e1", "Encounter", secrets)
    assert web.post("/hooks/hook", data=beat()).status_code == 401
    headers = {"Authorization": "Bearer "}
    assert web.post("/hooks/hook", data=beat(), headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body", [b"{", b'{"resourceType":"OperationOutcome"}', b'{"a":' * 5000]
)
def test_what_is_not_understood_is_kept_aside_and_accepted(
    web: Client, store: Memory, body: bytes
) -> None:
    assert read(web.post("/hooks/hook", data=body, headers=BEARER)) == ACCEPTED
    (kept,) = store.kept
    assert (kept.notification, kept.body) == (None, body)
    assert "set aside" in (kept.error or "")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/html"}, b"<html>", 415),
        ({"Content-Type": "application/json"}, b"[]", 400),
        ({"Content-Encoding": "br"}, b"x", 415),
        ({"Content-Encoding": "gzip, gzip"}, b"x", 415),
    ],
)
def test_what_is_not_fhir_is_refused(
    web: Client, store: Memory, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = web.post("/hooks/hook", data=body, headers={**BEARER, **headers})
    assert read(answer)[0] == status
    assert read(answer)[2]["resourceType"] == "OperationOutcome"
    assert store.kept == []


def test_a_large_body_is_refused(web: Client, store: Memory) -> None:
    body = b" " * (LARGEST_BODY + 1)
    answer = web.post("/hooks/hook", data=body, headers=BEARER)
    assert read(answer)[0] == 413
    assert read(answer)[2]["resourceType"] == "OperationOutcome"
    assert store.kept == []
    answer = web.post("/hooks/hook", data=body)
    assert answer.status_code == 401


def test_a_body_that_is_far_too_large_is_not_read(web: Client, store: Memory) -> None:
    stream = io.BytesIO(b" " * 1000)
    told = {"CONTENT_LENGTH": str(10**9)}
    answer = web.post(
        "/hooks/hook", input_stream=stream, environ_overrides=told, headers=BEARER
    )
    assert (read(answer)[0], stream.tell()) == (413, 0)
    assert store.kept == []


def test_what_cannot_be_kept_is_not_accepted(web: Client, store: Memory) -> None:
    store.broken = True
    answer = web.post("/hooks/hook", data=beat(), headers=BEARER)
    assert read(answer)[0] == 503
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "OPTIONS"])
def test_other_methods_are_not_taken(web: Client, method: str) -> None:
    assert web.open("/hooks/hook", method=method).status_code == 405


def test_the_body_of_one_who_proved_nothing_is_not_waited_for(web: Client) -> None:
    stream = io.BytesIO(b" " * 100_000)
    answer = web.post("/hooks/other", input_stream=stream, content_length=100_000)
    assert (answer.status_code, stream.tell()) == (401, 0)


PACKED = {**BEARER, "Content-Encoding": "gzip"}


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP "])
def test_a_packed_body_is_unpacked_and_kept_so(
    web: Client, store: Memory, coding: str
) -> None:
    half = len(beat()) // 2
    packed = gzip.compress(beat()[:half]) + gzip.compress(beat()[half:])
    headers = {**PACKED, "Content-Encoding": coding}
    assert read(web.post("/hooks/hook", data=packed, headers=headers)) == ACCEPTED
    (kept,) = store.kept
    assert (kept.body, kept.error) == (beat(), None)
    assert kept.notification is not None
    assert "Content-Encoding" not in kept.headers


def test_a_signature_is_over_the_packed_bytes(store: Memory) -> None:
    store.registered = Registered("s1", "e1", "Encounter", (NEW,), "hmac")
    packed = gzip.compress(beat())
    right = hmac.new(NEW.encode(), packed, hashlib.sha256).hexdigest()
    wrong = hmac.new(NEW.encode(), beat(), hashlib.sha256).hexdigest()
    web = Client(make_receiver(store, Stopped()))
    for signature, status in ((wrong, 401), (right, 200)):
        headers = {"X-Signature": signature, "Content-Encoding": "gzip"}
        answer = web.post("/hooks/hook", data=packed, headers=headers)
        assert answer.status_code == status
    assert [kept.body for kept in store.kept] == [beat()]


@pytest.mark.parametrize(
    "packed",
    [b"x", gzip.compress(beat())[:-9], gzip.compress(beat()) + b"more"],
    ids=["no gzip", "broken off", "rubbish behind"],
)
def test_what_cannot_be_unpacked_is_set_aside_as_it_came(
    web: Client, store: Memory, packed: bytes
) -> None:
    answer = web.post("/hooks/hook", data=packed, headers=PACKED)
    assert answer.status_code == 200
    (kept,) = store.kept
    assert (kept.body, kept.notification) == (packed, None)
    assert "unpacked" in (kept.error or "")


@pytest.mark.parametrize(("size", "status"), [(LARGEST_BODY, 200), (10**9, 413)])
def test_what_is_unpacked_has_the_limit_of_any_body(
    web: Client, store: Memory, size: int, status: int
) -> None:
    """A thousand millions of spaces take one megabyte; few of them are made."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * LARGEST_BODY
    packed = b"".join(packer.compress(piece) for _ in range(-(-size // len(piece))))
    packed += packer.flush()
    tracemalloc.start()
    answer = web.post("/hooks/hook", data=packed, headers=PACKED)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == status
    assert most < 8 * LARGEST_BODY


@pytest.fixture
def served(store: Memory) -> Iterator[int]:
    """Two hooks over HTTP, each with a share of three readers; the port."""
    second = Memory(replace(REGISTERED, subscription_id="s2"), store.kept)

    class Both:
        def find(self, hook_key: str, until: float, *, fresh: bool = False) -> Any:
            asked = second if hook_key == "second" else store
            return asked.registered if hook_key in {"hook", "second"} else None

        def keep(self, registered: Registered, received: Received, _: float) -> None:
            store.kept.append(received)

    reader = Reader(most=8, share=3)
    app = make_receiver(Both(), Stopped(), reader=reader)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def half_open(port: int, hook: str, secret: str) -> socket.socket:
    """Begin to send a body, and no more."""
    sender = socket.create_connection(("127.0.0.1", port), 10.0)
    sender.sendall(
        f"POST /hooks/{hook} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        f"X-CareCue-Secret: {secret}\r\n\r\n{{".encode()
    )
    return sender


def post_whole(port: int, hook: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    with contextlib.closing(connection):
        connection.request("POST", f"/hooks/{hook}", beat(), BEARER)
        return connection.getresponse().status


def test_half_open_bodies_of_strangers_hold_nobody_up(
    served: int, store: Memory
) -> None:
    with contextlib.ExitStack() as stack:
        with Pace() as granted:
            for number in range(24):
                hook = ("hook", "nobody")[number % 2]
                sender = stack.enter_context(half_open(served, hook, "wrong"))
                assert b" 401 " in sender.recv(4096).splitlines()[0]
        assert granted.seconds < 24 * WORK_SECONDS / 2
        assert post_whole(served, "hook") == 200
    assert len(store.kept) == 1


def test_half_open_bodies_of_one_sender_hold_no_other_up(
    served: int, store: Memory
) -> None:
    with contextlib.ExitStack() as stack:
        senders = [
            stack.enter_context(half_open(served, "hook", NEW)) for _ in range(12)
        ]
        for sender in senders:
            assert b" 503 " in sender.recv(4096).splitlines()[0]
        assert post_whole(served, "second") == 200
        assert post_whole(served, "hook") == 503
    deadline = time.monotonic() + 60.0
    while post_whole(served, "hook") != 200:
        assert time.monotonic() < deadline
    assert len(store.kept) == 2
