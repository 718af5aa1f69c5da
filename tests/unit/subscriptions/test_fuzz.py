"""Whatever is sent: a Notification or a NotificationError, and soon."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import NotificationError
from subscriptions.notification import Notification
from subscriptions.outline import write_outline
from subscriptions.parsing import parse_notification
from subscriptions.receiver import LARGEST_BODY
from tests.unit.subscriptions.envelopes import STORE, cloud, message, pubsub
from tests.unit.subscriptions.wire import (
    ENCOUNTER,
    bundle,
    entry,
    r4_event,
    r4_status,
    r5_event,
    r5_status,
)

SEEDS: list[Any] = [
    bundle(r4_status("event-notification", r4_event()), entry(ENCOUNTER)),
    bundle(r5_status("event-notification", r5_event()), entry(ENCOUNTER)),
    message({"fullUrl": "urn:uuid:2", "resource": ENCOUNTER}),
    [cloud()],
    pubsub(f"{STORE}/Encounter/e1"),
    pubsub(ENCOUNTER),
    ENCOUNTER,
]
PATHS = ["", "Encounter/e1", "$process-message", "Encounter", "x/y/z", "../.."]
KINDS = ["", "application/fhir+json", "text/plain", "application/fhir+xml", "text/html"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["Bundle", "Encounter/e1", "9" * 4500, "urn:uuid:1", "\0"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=10,
)


def outcome(
    body: bytes, method: str = "POST", tail: str = "", **headers: str
) -> Notification | NotificationError:
    try:
        return parse_notification(method, tail, headers, body)
    except NotificationError as error:
        return error


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.sampled_from(PATHS) | st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(
            ["Content-Type", "ce-specversion", "ce-type", "X-Medplum-Interaction"]
        ),
        st.sampled_from(KINDS) | st.text(max_size=10),
    ),
)
def test_any_request_is_read_or_refused(
    body: bytes, method: str, tail: str, headers: dict[str, str]
) -> None:
    found = outcome(body, method, tail, **headers)
    assert isinstance(found, Notification | NotificationError)
    write_outline(body)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_any_change_of_a_notification_is_read_or_refused(
    seed: Any, data: st.DataObject
) -> None:
    changed = json.loads(json.dumps(seed))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places(changed)))
        if data.draw(st.booleans()):
            holder[key] = data.draw(VALUES)
        elif isinstance(holder, dict):
            del holder[key]
        if not changed:
            break
    body = json.dumps(changed).encode()
    assert isinstance(outcome(body), Notification | NotificationError)
    write_outline(body)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_any_cut_of_a_notification_is_set_aside(seed: Any, data: st.DataObject) -> None:
    body = json.dumps(seed).encode()
    found = outcome(body[: data.draw(st.integers(1, len(body) - 1))])
    assert isinstance(found, NotificationError)
    assert found.quarantine


def repeat(piece: bytes, head: bytes = b"", tail: bytes = b"") -> bytes:
    """As many of a piece as fit into the largest body, between head and tail."""
    room = LARGEST_BODY - len(head) - len(tail)
    return head + piece * (room // len(piece)) + tail


def large_bundle(one: Callable[[], Any], count: int) -> bytes:
    return json.dumps(bundle(r4_status(), *[one() for _ in range(count)])).encode()


EVENT = json.dumps(r5_event()).encode()
STATUS = json.dumps(r5_status("event-notification", 0)).encode()
MANY_EVENTS = bundle(r5_status("event-notification", 0))
HEAD, TAIL = json.dumps(MANY_EVENTS).encode().split(b"[0]")
LARGE = {
    "deep lists": repeat(b"["),
    "deep objects": repeat(b'{"a":'),
    "wide list": repeat(b"{},", b"[", b"{}]"),
    "wide and deep": repeat(b"[" * 90 + b"]" * 90 + b",", b"[", b"0]"),
    "numbers": repeat(b"1,", b"[", b"1]"),
    "events": repeat(EVENT + b",", HEAD + b"[", EVENT + b"]" + TAIL),
    "entries": large_bundle(entry, 20_000),
    "whole resources": large_bundle(lambda: entry(ENCOUNTER), 14_000),
    "one number": repeat(b"9"),
    "one text": repeat(b"a", b'{"resourceType":"', b'"}'),
    "slashes": repeat(b"A/", b'{"resourceType":"Encounter","id":"', b'"}'),
    "blanks": repeat(b" "),
    "nothing": repeat(b"\0"),
}


@pytest.fixture
def seconds() -> Iterator[Callable[[Callable[[], Any]], float]]:
    """What a call takes of this thread, without looking for garbage in what others left."""

    def measure(call: Callable[[], Any]) -> float:
        began = time.thread_time()
        call()
        return time.thread_time() - began

    gc.disable()
    yield measure
    gc.enable()


def read_plainly() -> None:
    json.loads(LARGE["whole resources"])


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_the_largest_body_is_read_or_refused_in_time(body: bytes, seconds: Any) -> None:
    found: list[Notification | NotificationError] = []
    took = seconds(lambda: found.append(outcome(body)))
    assert len(found) == 1
    # Plain reading is some 70 ms; the answer has 1.5 seconds for everything.
    assert took < 15 * seconds(read_plainly)


def test_a_reference_of_any_length_is_read_in_time(seconds: Any) -> None:
    event = r5_event(focus="http://" + "a/" * 1_000_000)
    body = json.dumps(bundle(r5_status("heartbeat", event))).encode()
    assert isinstance(outcome(body), Notification)
    assert seconds(lambda: outcome(body)) < 15 * seconds(read_plainly)
