"""Who may deliver, how fast, and what a receiver says to those who ask first."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from werkzeug.test import Client

from mappings.errors import StorageError
from subscriptions.buckets import Buckets
from subscriptions.outline import HIDDEN, write_outline
from subscriptions.proving import Given, is_proved
from subscriptions.receiver import Received, Registered, make_receiver
from tests.unit.subscriptions.envelopes import cloud, message
from tests.unit.subscriptions.receiving import ACCEPTED, Memory, Stopped, read
from tests.unit.subscriptions.wire import ENCOUNTER, bundle, r4_status

OLD, NEW = "old-secret-0123456789", "new-secret-0123456789"
BODY = json.dumps(bundle(r4_status("heartbeat"))).encode()


def sign(secret: str, body: bytes = BODY, method: str = "sha256") -> str:
    return hmac.new(secret.encode(), body, method).hexdigest()


@pytest.fixture
def store() -> Memory:
    return Memory(Registered("s1", "e1", "Encounter", (NEW, OLD), "hmac"))


@pytest.fixture
def web(store: Memory) -> Client:
    return Client(make_receiver(store, Stopped(), buckets=Buckets(1, 30)))


def post(web: Client, body: bytes = BODY, path: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.post(f"/hooks/hook{path}", data=body, headers=named)


# --- proof ------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize(
    ("name", "prefix"), [("X_Signature", ""), ("X_Hub_Signature", "sha256=")]
)
def test_a_signature_over_the_raw_bytes_is_let_in(
    web: Client, store: Memory, secret: str, name: str, prefix: str
) -> None:
    signature = sign(secret)
    assert read(post(web, **{name: prefix + signature})) == ACCEPTED
    assert read(post(web, **{name: prefix + signature.upper()})) == ACCEPTED
    assert len(store.kept) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Signature": ""},
        {"X_Signature": sign("other-secret-0123456789")},
        {"X_Signature": sign(NEW, BODY + b" ")},
        {"X_Signature": sign(NEW)[:-1]},
        {"X_Signature": sign(NEW, method="sha1")},
        {"X_Hub_Signature": f"sha1={sign(NEW, method='sha1')}"},
        {"X_Hub_Signature": f"sha1={sign(NEW)}"},
        {"X_Hub_Signature": sign(NEW)},
        {"Authorization": f"Bearer {NEW}"},
        {"X_CareCue_Secret": NEW},
    ],
)
def test_nothing_else_is_let_in_where_a_signature_was_registered(
    web: Client, store: Memory, headers: dict[str, str]
) -> None:
    answer = post(web, **headers)
    assert answer.status_code == 401
    assert NEW.encode() not in answer.data
    assert store.kept == []


def test_a_signature_does_not_count_where_a_header_was_registered(
    web: Client, store: Memory
) -> None:
    store.registered = Registered("s1", "e1", "Encounter", (NEW,), "header")
    assert post(web, X_Signature=sign(NEW)).status_code == 401
    assert post(web, path=f"?token={NEW}").status_code == 401
    assert post(web, Authorization=f"Bearer {NEW}").status_code == 200


def test_a_sender_without_headers_brings_its_secret_in_the_query(
    web: Client, store: Memory
) -> None:
    store.registered = Registered("s1", "e1", "Encounter", (NEW, OLD), "query")
    for secret in (NEW, OLD):
        assert post(web, path=f"?token={secret}").status_code == 200
    for path in ("", "?token=", "?token=x", f"?token={NEW}x"):
        assert post(web, path=path).status_code == 401
    assert post(web, Authorization=f"Bearer {NEW}").status_code == 401


@pytest.mark.parametrize("proof", ["header", "hmac", "query", "other", ""])
@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_is_proof(proof: str, secrets: tuple[str]) -> None:
    signature = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    given = Given(lambda name: signature if name == "X-Signature" else "", "", BODY)
    assert not is_proved(proof, secrets, given)


def test_an_unknown_kind_of_proof_never_counts() -> None:
    given = Given(lambda _: NEW, NEW, BODY)
    assert not is_proved("other", (NEW,), given)


# --- rate -------------------------------------------------------------------------


def test_a_bucket_empties_and_fills_again() -> None:
    buckets = Buckets(per_second=2, burst=3)
    assert [buckets.take("a", 10.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 10.0)
    assert [buckets.take("a", 11.0) for _ in range(3)] == [True, True, False]
    assert not buckets.take("a", 5.0)
    assert sum(buckets.take("a", 1000.0) for _ in range(9)) == 3


def test_too_many_at_once_are_asked_to_come_again(web: Client, store: Memory) -> None:
    signature = sign(NEW)
    answers = [post(web, X_Signature=signature) for _ in range(40)]
    told = [answer.status_code for answer in answers]
    assert (told[:30], told[-1]) == ([200] * 30, 503)
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert len(store.kept) == told.count(200)


def test_a_stranger_does_not_use_up_the_subscriptions_rate(web: Client) -> None:
    for _ in range(40):
        assert post(web).status_code == 401
    assert post(web, X_Signature=sign(NEW)).status_code == 200


def test_the_default_rate_is_more_than_one_process_takes() -> None:
    buckets = Buckets()
    assert all(buckets.take("a", number / 5000) for number in range(20_000))


# --- what else is answered --------------------------------------------------------


@pytest.fixture
def open_web(store: Memory) -> Client:
    """The receiver of a subscription with a secret in a header."""
    store.registered = Registered("s1", "e1", "Encounter", (NEW,))
    return Client(make_receiver(store, Stopped()))


@pytest.mark.parametrize("method", ["GET", "PATCH", "TRACE", "OPTIONS"])
def test_other_methods_are_refused_in_fhir(open_web: Client, method: str) -> None:
    for path in ("/hooks", "/hooks/", "/hooks/hook", "/hooks/other/Encounter/e1"):
        answer = open_web.open(path, method=method)
        status, kind, body = read(answer)
        assert (status, kind) == (405, "application/fhir+json")
        assert body["resourceType"] == "OperationOutcome"
        assert answer.headers["Allow"] == "POST, PUT, DELETE"


def test_a_sender_that_asks_for_leave_gets_it_with_its_secret(
    open_web: Client, store: Memory
) -> None:
    asks = {"WebHook-Request-Origin": "eventgrid.example", "WebHook-Request-Rate": "5"}
    known = {**asks, "Authorization": f"Bearer {NEW}"}
    answer = open_web.options("/hooks/hook", headers=known)
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.example"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    stranger = open_web.options("/hooks/hook", headers=asks)
    assert stranger.status_code == 401
    assert "WebHook-Allowed-Origin" not in stranger.headers
    assert store.kept == []


def test_event_grid_gets_its_code_back(open_web: Client, store: Memory) -> None:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    body = [{"id": "v", "eventType": kind, "data": {"validationCode": "A-1"}}]
    headers = {"Authorization": f"Bearer {NEW}"}
    answer = open_web.post("/hooks/hook", json=body, headers=headers)
    assert (answer.status_code, answer.json) == (200, {"validationResponse": "A-1"})
    assert len(store.kept) == 1


def test_an_event_in_binary_mode_keeps_the_headers_that_it_is_read_by(
    open_web: Client, store: Memory
) -> None:
    whole = cloud()
    headers = {f"ce-{name}": whole[name] for name in ("specversion", "id", "type")}
    headers |= {"Authorization": f"Bearer {NEW}", "Content-Type": "application/json"}
    body = json.dumps(whole["data"]).encode()
    assert read(open_web.post("/hooks/hook", data=body, headers=headers)) == ACCEPTED
    (kept,) = store.kept
    assert kept.notification is not None
    assert kept.notification.events[0].focus == "Encounter/e1"
    assert {"ce-specversion", "ce-id", "ce-type"} <= set(kept.headers)
    assert "Authorization" not in kept.headers


@pytest.mark.parametrize("path", ["/$process-message", "/%24process-message/"])
def test_a_message_is_answered_with_an_outcome(
    open_web: Client, store: Memory, path: str
) -> None:
    body = message({"fullUrl": "urn:uuid:2", "resource": ENCOUNTER})
    headers = {"Authorization": f"Bearer {NEW}"}
    answer = open_web.post(f"/hooks/hook{path}", json=body, headers=headers)
    status, kind, told = read(answer)
    assert (status, kind) == (200, "application/fhir+json")
    assert told["resourceType"] == "OperationOutcome"
    assert [issue["severity"] for issue in told["issue"]] == ["information"]
    assert store.kept[0].notification is not None
    assert store.kept[0].notification.topic is not None


@pytest.mark.parametrize("key", ["", "a%00b", "a b", "é", "x" * 300])
def test_an_odd_key_is_a_stranger(open_web: Client, key: str) -> None:
    headers = {"Authorization": f"Bearer {NEW}"}
    assert open_web.post(f"/hooks/{key}", headers=headers).status_code == 401


class Picky(Memory):
    """A database that never takes what was read."""

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        if received.notification is not None:
            raise StorageError("refused", permanent=True)
        super().keep(registered, received, until)


def test_what_the_database_will_never_take_is_set_aside() -> None:
    store = Picky(Registered("s1", "e1", "Encounter", (NEW,)))
    web = Client(make_receiver(store, Stopped()))
    headers = {"Authorization": f"Bearer {NEW}"}
    answer = web.post("/hooks/hook", data=BODY, headers=headers)
    assert read(answer) == ACCEPTED
    (kept,) = store.kept
    assert (kept.notification, kept.body) == (None, BODY)
    assert kept.error


# --- looking at what was set aside ------------------------------------------------


def test_an_outline_shows_ids_and_no_chart() -> None:
    rosa = {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Delgado", "given": ["Rosa"]}],
        "birthDate": "1960-01-01",
        "telecom": [{"system": "phone", "value": "+13125550142"}],
        "gender": "female",
        "text": {"status": "generated", "div": "<div>Rosa Delgado</div>"},
        "identifier": [{"value": "MRN-1"}],
        "Delgado, Rosa": 1,
        "type": "Mrs Delgado",
    }
    body = json.dumps(bundle(r4_status("greeting"), {"resource": rosa})).encode()
    shown = json.dumps(write_outline(body), ensure_ascii=False)
    for hidden in ("Delgado", "Rosa", "1960", "555", "MRN"):
        assert hidden not in shown
    for told in ("Patient", "p1", "greeting", "Subscription/s1", "history", HIDDEN):
        assert told in shown


@pytest.mark.parametrize(
    ("body", "outline"),
    [
        (b"<Patient/>", "XML, 10 bytes"),
        (b"{", "no JSON, 1 bytes"),
        (b"", "no JSON, 0 bytes"),
        (b'"Rosa"', HIDDEN),
        (b"[" * 50 + b"]" * 50, None),
    ],
)
def test_an_outline_of_anything(body: bytes, outline: str | None) -> None:
    shown = write_outline(body)
    assert outline is None or shown == outline


def test_an_outline_of_much_is_short() -> None:
    shown = write_outline(json.dumps([{"id": "x"}] * 5000).encode())
    assert len(shown) == 21
