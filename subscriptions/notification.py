"""The one neutral value that every notification becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class NotificationType(StrEnum):
    """What kind of notification it is (SubscriptionStatus.type, and ours)."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"
    QUERY_STATUS = "query-status"
    QUERY_EVENT = "query-event"
    RESOURCE = "resource"
    PING = "ping"


@dataclass(frozen=True)
class NotificationEvent:
    """One event inside a notification.

    ``focus`` is ``Type/id`` (None when the server does not tell), ``version`` its
    versionId when known, ``resource`` the full resource when it came along (a hint
    only: the truth is read again), ``number`` the event number, ``event_id`` the
    server's own id of the event. ``focus_type`` is the type alone, where the server
    names no resource.
    """

    focus: str | None
    version: str | None = None
    number: int | None = None
    event_id: str | None = None
    timestamp: datetime | None = None
    interaction: str = "update"
    resource: dict[str, Any] | None = None
    focus_base: str | None = None
    focus_type: str | None = None


@dataclass(frozen=True)
class Notification:
    """A notification, whatever its wire form was.

    ``count`` is eventsSinceSubscriptionStart, ``status`` the Subscription.status that
    the server claims, ``form`` the wire form for the record, ``topic`` what kind of
    event it is in the server's own words, ``echo`` a code that the sender wants back.
    """

    type: NotificationType
    form: str
    events: tuple[NotificationEvent, ...] = ()
    count: int | None = None
    status: str | None = None
    topic: str | None = None
    subscription: str | None = None
    errors: tuple[str, ...] = field(default=())
    echo: str | None = None

    @property
    def subscription_id(self) -> str | None:
        """Return the id by which it names its Subscription, whatever stands before."""
        named = (self.subscription or "").partition("/_history")[0]
        return named.rpartition("/")[2] or None
