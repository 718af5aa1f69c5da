"""RECEIVE: keep what arrived, then say so; nothing slow and nothing clever.

One statement stores the raw deliveries of one moment and one inbox row per focus; a key
that is there already is a duplicate and changes nothing. The shards are woken after the commit.
A focus that belongs to no endpoint is held with its delivery; the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mappings.endpoint import Endpoint
from mappings.event import FOCUS_TYPES
from middleware.ports import Clock, RandomIds
from middleware.stages.homes import find_home, list_homes, write_held
from middleware.storage import endpoints, inbox, subscriptions
from middleware.storage.connecting import Cursor, Tx
from middleware.storage.ids import shard_of
from middleware.storage.intake import IntakeDatabase
from middleware.storage.keeping import Keeper
from middleware.storage.notifications import (
    Delivery,
    NewNotification,
    insert_notifications,
)
from subscriptions.keys import event_digests, inbox_keys
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.receiver import Received, Registered

SILENT = (
    NotificationType.HANDSHAKE,
    NotificationType.HEARTBEAT,
    NotificationType.QUERY_STATUS,
    NotificationType.QUERY_EVENT,
)
KEPT_SECONDS = 1.0
# What is forged may not have every request look its hook up.
FRESH_SECONDS = 0.02
EVERY_TYPE = "*"
_IDS = RandomIds()


@dataclass(frozen=True)
class ReceivePorts:
    """What receiving needs: ``open_secrets`` unseals a subscription's secrets."""

    database: IntakeDatabase
    clock: Clock
    wake: Callable[[str, int], None]
    open_secrets: Callable[[bytes], tuple[str, ...]]


@dataclass(frozen=True)
class Known(Registered):
    """A registered subscription with the bases that its foci may lie under."""

    homes: Mapping[str, str] = field(default_factory=dict)


class Intake:
    """The receiver's store over the database; lookups are kept for one second."""

    def __init__(self, ports: ReceivePorts) -> None:
        self._ports = ports
        self._keeper = Keeper(ports.database)
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Registered | None]] = {}

    def find(
        self, hook_key: str, until: float, *, fresh: bool = False
    ) -> Registered | None:
        """Return the subscription behind a hook; raises StorageError."""
        longest = FRESH_SECONDS if fresh else KEPT_SECONDS
        with self._lock:
            kept = self._kept.get(hook_key)
        if kept is not None and time.monotonic() - kept[0] < longest:
            return kept[1]
        looked = time.monotonic()
        found = self._look_up(hook_key, until)
        if found is not None:
            with self._lock:
                self._kept[hook_key] = (looked, found)
        return found

    def _look_up(self, hook_key: str, until: float) -> Registered | None:
        with self._ports.database.tx(until) as tx:
            row = subscriptions.find_subscription(tx, hook_key)
            endpoint = endpoints.get_endpoint(tx, row.endpoint_id) if row else None
            if row is None or endpoint is None:
                return None
            secrets = self._ports.open_secrets(row.secrets)
            return register(tx, row, endpoint, secrets)

    def keep(self, registered: Registered, received: Received, until: float) -> None:
        """Commit one delivery, then wake the shards; raises StorageError."""
        delivery = make_delivery(registered, received, received.received_at)
        self._keeper.keep(delivery, until)
        for item in delivery[1]:
            self._ports.wake("resolve", item.shard)


def register(
    tx: Tx,
    row: subscriptions.SubscriptionRow,
    endpoint: Endpoint,
    secrets: tuple[str, ...],
) -> Known:
    """Return what a subscription's deliveries are read with."""
    return Known(
        subscription_id=row.id,
        endpoint_id=row.endpoint_id,
        resource_type=row.resource_type,
        secrets=secrets,
        proof=row.proof,
        homes=list_homes(tx, endpoint),
    )


def keep_notification(
    tx: Tx | Cursor,
    registered: Registered,
    received: Received,
    now: datetime,
    new_id: Callable[[], str] = _IDS.new,
) -> Sequence[inbox.NewItem]:
    """Store one delivery; return the new inbox items."""
    delivery = make_delivery(registered, received, now, new_id)
    insert_notifications(tx, [delivery])
    return delivery[1]


def make_delivery(
    registered: Registered,
    received: Received,
    now: datetime,
    new_id: Callable[[], str] = _IDS.new,
) -> Delivery:
    """Make the rows: the raw bytes, and what they announce.

    ``new_id`` tells deliveries apart that nothing else does.
    """
    notification = received.notification
    error = received.error or tell_homeless(registered, notification)
    items: Sequence[inbox.NewItem] = ()
    if notification is not None:
        items = make_items(registered, notification, received.body, new_id(), now)
    kept = NewNotification(
        subscription_id=registered.subscription_id,
        received_at=now,
        method=received.method,
        path=received.path,
        headers=received.headers,
        body=received.body,
        state="stored" if error is None else "quarantined",
        error=error,
        **(_tell(notification, received.body) if notification else {}),
    )
    return kept, items


def _tell(notification: Notification, body: bytes) -> dict[str, Any]:
    numbers = (event.number for event in notification.events)
    return {
        "type": notification.type.value,
        "form": notification.form,
        "topic": notification.topic,
        "status": notification.status,
        "count": notification.count,
        "reference": notification.subscription_id,
        "numbers": tuple(number for number in numbers if number is not None),
        "digests": event_digests(notification, body=body),
    }


def make_items(
    registered: Registered,
    notification: Notification,
    body: bytes,
    arrival: str,
    now: datetime,
) -> list[inbox.NewItem]:
    """Make one item per focus, or a blind one where none was named.

    ``arrival`` tells the delivery from others in the same words. A focus that is
    nobody's makes none.
    """
    keys = inbox_keys(
        registered.subscription_id, notification, body=body, arrival=arrival
    )
    if not notification.events and notification.type not in SILENT:
        return [_blind(registered, arrival, None, now)]
    found: list[inbox.NewItem] = []
    for key, event in zip(keys, notification.events, strict=True):
        home = _home(registered, event)
        if home is None:
            continue
        if event.focus is None:
            found.append(_blind(registered, arrival, event.focus_type, now))
        else:
            found.append(_item(registered, home, key, event, now))
    return found


def tell_homeless(
    registered: Registered, notification: Notification | None
) -> str | None:
    """Say why a delivery is held of which some foci are nobody's; None if none is."""
    events = notification.events if notification else ()
    foreign = sum(_home(registered, event) is None for event in events)
    return write_held(foreign) if foreign else None


def _home(registered: Registered, event: NotificationEvent) -> str | None:
    homes = registered.homes if isinstance(registered, Known) else {}
    return find_home(homes, registered.endpoint_id, event)


def _item(
    registered: Registered,
    endpoint_id: str,
    key: str,
    event: NotificationEvent,
    now: datetime,
) -> inbox.NewItem:
    focus = event.focus or ""
    return inbox.NewItem(
        key=key,
        endpoint_id=endpoint_id,
        subscription_id=registered.subscription_id,
        notification_id=None,
        source="push",
        focus=focus,
        version=event.version,
        event_number=event.number,
        resource_type=focus.partition("/")[0],
        interaction=event.interaction,
        shard=shard_of(endpoint_id, focus),
        received_at=now,
    )


def _blind(
    registered: Registered, arrival: str, told: str | None, now: datetime
) -> inbox.NewItem:
    """Make the item of an event without a focus: what changed is searched.

    ``told`` is the type that the server tells, if it does; without any, all are.
    """
    every = registered.resource_type == EVERY_TYPE
    known = None if every else registered.resource_type
    kind = told if told in FOCUS_TYPES else known
    return inbox.NewItem(
        key=f"{registered.subscription_id}|empty|{arrival}|{kind}",
        endpoint_id=registered.endpoint_id,
        subscription_id=registered.subscription_id,
        notification_id=None,
        source="push",
        focus=None,
        version=None,
        event_number=None,
        resource_type=kind,
        interaction="update",
        shard=shard_of(registered.endpoint_id, registered.subscription_id),
        received_at=now,
    )
