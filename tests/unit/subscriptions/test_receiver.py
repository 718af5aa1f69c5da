from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import Client

from mappings.errors import StorageError
from subscriptions.notification import NotificationType
from subscriptions.receiver import (
    LARGEST_BODY,
    Received,
    Registered,
    make_receiver,
)
from tests.unit.subscriptions.wire import ENCOUNTER, bundle, r4_status

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
OLD, NEW = "old-secret-0123456789", "new-secret-0123456789"
REGISTERED = Registered("s1", "e1", "Encounter", (NEW, OLD))
BEARER = {
    "Authorization": f"Bearer {NEW}",
    "Content-Type": "application/fhir+json",
    "User-Agent": "EHR/1",
}


@dataclass
class Memory:
    """A store that remembers, or fails when it is told to."""

    registered: Registered = REGISTERED
    kept: list[Received] = field(default_factory=list)
    broken: bool = False

    def find(self, hook_key: str, until: float) -> Registered | None:
        return self.registered if hook_key == "hook" else None

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        assert registered is self.registered
        if self.broken:
            raise StorageError("the database is down")
        self.kept.append(received)


class Stopped:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def web(store: Memory) -> Client:
    return Client(make_receiver(store, Stopped()))


def beat() -> bytes:
    return json.dumps(bundle(r4_status("heartbeat"))).encode()


def read(answer: Any) -> tuple[int, str, dict[str, Any]]:
    return answer.status_code, answer.content_type, json.loads(answer.data)


ACCEPTED = (
    200,
    "application/fhir+json",
    {"resourceType": "Bundle", "type": "transaction-response"},
)


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
        ({"Content-Encoding": "gzip"}, b"x", 415),
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


def test_the_body_is_read_before_anybody_is_refused(web: Client) -> None:
    stream = io.BytesIO(b" " * 100_000)
    answer = web.post("/hooks/other", input_stream=stream, content_length=100_000)
    assert (answer.status_code, stream.read()) == (401, b"")
