"""RECEIVE: keep what arrived, then say so; nothing slow and nothing clever.

One transaction stores the raw delivery and one inbox row per focus; a key that is
there already is a duplicate and changes nothing. The shards are woken after the commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from middleware.ports import Clock
from middleware.storage import endpoints, inbox, subscriptions, tallies
from middleware.storage.connecting import Tx
from middleware.storage.database import Database
from middleware.storage.ids import shard_of
from subscriptions.keys import inbox_keys
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.receiver import Received, Registered

SILENT = (NotificationType.HANDSHAKE, NotificationType.HEARTBEAT)
KEPT_SECONDS = 1.0


@dataclass(frozen=True)
class ReceivePorts:
    """What receiving needs: ``open_secrets`` unseals a subscription's secrets."""

    database: Database
    clock: Clock
    wake: Callable[[str, int], None]
    open_secrets: Callable[[bytes], tuple[str, ...]]


@dataclass(frozen=True)
class Known(Registered):
    """A registered subscription with the base that its references must lie under."""

    fhir_base: str = ""


class Intake:
    """The receiver's store over the database; lookups are kept for one second."""

    def __init__(self, ports: ReceivePorts) -> None:
        self._ports = ports
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Registered | None]] = {}

    def find(self, hook_key: str) -> Registered | None:
        """Return the subscription behind a hook; raises StorageError."""
        with self._lock:
            kept = self._kept.get(hook_key)
        if kept is not None and time.monotonic() - kept[0] < KEPT_SECONDS:
            return kept[1]
        found = self._look_up(hook_key)
        if found is not None:
            with self._lock:
                self._kept[hook_key] = (time.monotonic(), found)
        return found

    def _look_up(self, hook_key: str) -> Registered | None:
        with self._ports.database.tx() as tx:
            row = subscriptions.find_subscription(tx, hook_key)
            endpoint = endpoints.get_endpoint(tx, row.endpoint_id) if row else None
        if row is None or endpoint is None:
            return None
        return Known(
            subscription_id=row.id,
            endpoint_id=row.endpoint_id,
            resource_type=row.resource_type,
            secrets=self._ports.open_secrets(row.secrets),
            fhir_base=endpoint.fhir_base,
        )

    def keep(self, registered: Registered, received: Received) -> None:
        """Commit one delivery, then wake the shards; raises StorageError."""
        now = self._ports.clock.now()
        with self._ports.database.tx() as tx:
            items = keep_notification(tx, registered, received, now)
        for shard in sorted({item.shard for item in items}):
            self._ports.wake("resolve", shard)


def keep_notification(
    tx: Tx, registered: Registered, received: Received, now: datetime
) -> Sequence[inbox.NewItem]:
    """Store the raw bytes and what they announce; return the new inbox items."""
    notification = received.notification
    state = "quarantined" if notification is None else "stored"
    identifier = inbox.insert_notification(
        tx,
        subscription_id=registered.subscription_id,
        received_at=now,
        method=received.method,
        path=received.path,
        headers=dict(received.headers),
        body=received.body,
        type=notification.type.value if notification else None,
        form=notification.form if notification else None,
        state=state,
        error=received.error,
    )
    if notification is None:
        return ()
    tallies.insert_tally(
        tx,
        tallies.Tally(
            notification_id=identifier,
            subscription_id=registered.subscription_id,
            received_at=now,
            type=notification.type.value,
            status=notification.status,
            count=notification.count,
            numbers=tuple(
                event.number
                for event in notification.events
                if event.number is not None
            ),
        ),
    )
    items = _items(registered, received, notification, identifier, now)
    inbox.insert_inbox(tx, items)
    return items


def _items(
    registered: Registered,
    received: Received,
    notification: Notification,
    identifier: int,
    now: datetime,
) -> list[inbox.NewItem]:
    """Make one item per focus, or one blind one where no focus was named."""
    keys = inbox_keys(
        registered.subscription_id,
        notification,
        body=received.body,
        arrival=str(identifier),
    )
    if not notification.events and notification.type not in SILENT:
        return [_blind(registered, identifier, now)]
    return [
        _item(registered, identifier, key, event, now)
        for key, event in zip(keys, notification.events, strict=True)
        if _ours(registered, event)
    ]


def _ours(registered: Registered, event: NotificationEvent) -> bool:
    """Tell whether the focus lies under our endpoint's base; others are never read."""
    base = event.focus_base
    if base is None or not isinstance(registered, Known):
        return True
    return base.rstrip("/") == registered.fhir_base


def _item(
    registered: Registered,
    notification_id: int,
    key: str,
    event: NotificationEvent,
    now: datetime,
) -> inbox.NewItem:
    if event.focus is None:
        return _blind(registered, notification_id, now)
    return inbox.NewItem(
        key=key,
        endpoint_id=registered.endpoint_id,
        subscription_id=registered.subscription_id,
        notification_id=notification_id,
        source="push",
        focus=event.focus,
        version=event.version,
        event_number=event.number,
        resource_type=event.focus.partition("/")[0],
        interaction=event.interaction,
        shard=shard_of(registered.endpoint_id, event.focus),
        received_at=now,
    )


def _blind(
    registered: Registered, notification_id: int, now: datetime
) -> inbox.NewItem:
    """Make the item of a notification without a focus: what changed is searched."""
    return inbox.NewItem(
        key=f"{registered.subscription_id}|empty|{notification_id}",
        endpoint_id=registered.endpoint_id,
        subscription_id=registered.subscription_id,
        notification_id=notification_id,
        source="push",
        focus=None,
        version=None,
        event_number=None,
        resource_type=registered.resource_type,
        interaction="update",
        shard=shard_of(registered.endpoint_id, registered.subscription_id),
        received_at=now,
    )
