"""The key of each event: what makes a second delivery of it the same event.

Pure. A key that is too weak loses an event for good, one that is too strong costs one
more read of a resource whose version is known already; so numbers, which some servers
start again at one, never stand alone.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from subscriptions.notification import Notification, NotificationEvent

_LONGEST = 300


def inbox_keys(
    subscription_id: str, notification: Notification, *, body: bytes, arrival: str
) -> tuple[str, ...]:
    """Return one key per event of the notification, in order.

    By the first that is there: the server's event id; focus and versionId; focus and
    timestamp; number, focus and the body's hash; the body's hash. A delivery without
    a body can repeat with a new meaning: it is known by ``arrival``, the id under
    which it was kept.
    """

    @functools.cache
    def digest() -> str:
        return hashlib.sha256(body).hexdigest()[:32] if body.strip() else ""

    return tuple(
        _shorten(f"{subscription_id}|{_tell(event, index, digest, arrival)}")
        for index, event in enumerate(notification.events)
    )


def event_digests(notification: Notification, *, body: bytes) -> tuple[str, ...]:
    """Return one short digest per numbered event: what the number stands for.

    Of the event where anything tells it from others about its focus, else of the
    body: a number that means another event is never taken for the same.
    """
    return tuple(
        _digest(event) or hashlib.sha256(body).hexdigest()[:12]
        for event in notification.events
        if event.number is not None
    )


def _digest(event: NotificationEvent) -> str | None:
    if not (event.event_id or event.version or event.timestamp):
        return None
    told = (event.event_id, event.focus, event.version, event.timestamp)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def _tell(
    event: NotificationEvent, index: int, digest: Callable[[], str], arrival: str
) -> str:
    if event.event_id:
        return f"id|{event.event_id}"
    if event.focus and event.version:
        return f"version|{event.focus}|{event.version}"
    if event.timestamp is not None:
        focus = event.focus or event.number
        return f"time|{focus}|{event.timestamp.isoformat()}"
    if event.number is not None and digest():
        return f"number|{event.number}|{event.focus}|{digest()}"
    # What was deleted may come back and be deleted again, in the same words.
    if digest() and event.interaction != "delete":
        return f"body|{digest()}|{index}"
    return f"arrival|{arrival}|{index}"


def _shorten(key: str) -> str:
    if len(key) <= _LONGEST:
        return key
    return f"{key[:200]}|{hashlib.sha256(key.encode()).hexdigest()}"
