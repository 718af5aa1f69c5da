from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from subscriptions.keys import event_digests, inbox_keys
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
BODY = b'{"resourceType":"Bundle"}'


def keys(*events: NotificationEvent, **changes: Any) -> tuple[str, ...]:
    told = Notification(NotificationType.EVENT, "r5", events)
    return inbox_keys("s1", told, **{"body": BODY, "arrival": "n1", **changes})


STRONG = {
    "id": NotificationEvent("Encounter/e1", "3", 7, "audit-1", AT),
    "version": NotificationEvent("Encounter/e1", "3", 7, None, AT),
    "time": NotificationEvent("Encounter/e1", None, 7, None, AT),
    "time of an empty one": NotificationEvent(None, None, 7, None, AT),
}


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
@pytest.mark.parametrize("event", STRONG.values(), ids=STRONG)
def test_a_second_delivery_has_the_same_key(event: NotificationEvent) -> None:
    first = keys(event)
    assert keys(event, body=b"another bundle around it", arrival="n2") == first


def test_the_ladder_takes_the_first_rung_that_is_there() -> None:
    rungs = (
        *STRONG.values(),
        NotificationEvent("Encounter/e1", None, 7),
        NotificationEvent("Encounter/e1"),
    )
    told = [keys(event)[0].split("|")[1] for event in rungs]
    assert told == ["id", "version", "time", "time", "number", "body"]


def test_another_version_is_another_event() -> None:
    first = keys(NotificationEvent("Encounter/e1", "3"))
    assert keys(NotificationEvent("Encounter/e1", "4")) != first


def test_another_subscription_is_another_event() -> None:
    told = Notification(NotificationType.EVENT, "r5", (STRONG["version"],))
    one = inbox_keys("s1", told, body=BODY, arrival="n1")
    assert inbox_keys("s2", told, body=BODY, arrival="n1") != one


def test_a_number_that_started_again_is_another_event() -> None:
    event = NotificationEvent("Encounter/e1", None, 1)
    assert keys(event) != keys(event, body=b'{"id":"later"}')
    assert keys(event) == keys(event, arrival="n2")


@pytest.mark.parametrize(
    "event", [NotificationEvent(None), NotificationEvent("Encounter/e1")]
)
def test_a_ping_is_new_each_time(event: NotificationEvent) -> None:
    assert keys(event, body=b"") != keys(event, body=b"", arrival="n2")


def test_a_deletion_without_a_version_is_new_each_time() -> None:
    event = NotificationEvent("Encounter/e1", interaction="delete")
    assert keys(event, body=b"{}") != keys(event, body=b"{}", arrival="n2")


def test_events_of_one_delivery_differ() -> None:
    event = NotificationEvent(None)
    assert len(set(keys(event, event, event))) == 3
    assert len(set(keys(event, event, body=b""))) == 2


def test_no_events_no_keys() -> None:
    assert keys() == ()


def test_a_long_id_makes_a_short_key() -> None:
    one = NotificationEvent(None, event_id="x" * 5000)
    two = NotificationEvent(None, event_id="x" * 4999 + "y")
    assert len(keys(one)[0]) < 400
    assert keys(one) != keys(two)


def test_a_number_is_known_by_its_event_however_it_is_sent_again() -> None:
    told = NotificationEvent("Encounter/e1", version="3", number=7)
    first, again = (
        event_digests(Notification(NotificationType.EVENT, "r5", (told,)), body=body)
        for body in (b"first", b"again")
    )
    assert first == again
    other = replace(told, version="4")
    whole = Notification(NotificationType.EVENT, "r5", (told, other))
    assert len(set(event_digests(whole, body=b"first"))) == 2


def test_a_number_of_an_event_that_nothing_tells_is_known_by_the_body() -> None:
    bare = NotificationEvent("Encounter/e1", number=7)
    unnumbered = NotificationEvent("Encounter/e1")
    whole = Notification(NotificationType.EVENT, "r5", (bare, unnumbered))
    first, again = (event_digests(whole, body=body) for body in (b"first", b"again"))
    assert len(first) == len(again) == 1
    assert first != again
