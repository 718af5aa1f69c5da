"""Replay: read again what was set aside, with the present parser and the same keys.

What is known already changes nothing, so it may be run at any time. What still cannot
be read, or still is nobody's, stays where it is, with the present reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mappings.errors import NotificationError
from middleware.stages.receive import make_items, register, tell_homeless
from middleware.storage import audit, endpoints, inbox, quarantine, subscriptions
from middleware.storage.connecting import Tx
from middleware.storage.database import Database
from subscriptions.parsing import parse_notification

BATCH = 50


@dataclass(frozen=True)
class Replayed:
    """How many deliveries were read, and how many stay set aside."""

    read: int = 0
    kept: int = 0


def replay_quarantined(
    database: Database, wake: Callable[[str, int], None], by: str, now: datetime
) -> Replayed:
    """Try everything that was set aside once; what ``by`` did is audited."""
    read, kept, after = 0, 0, 0
    while True:
        with database.tx() as tx:
            rows = quarantine.list_quarantined(tx, after, BATCH)
            found = [_replay(tx, row, now) for row in rows]
            done = [items for items in found if items is not None]
            if done:
                detail = {"rows": len(done)}
                audit.insert_audit(
                    tx, by, "replay", now, subject="receive", detail=detail
                )
        if not rows:
            return Replayed(read, kept)
        for shard in {item.shard for items in done for item in items}:
            wake("resolve", shard)
        read, kept = read + len(done), kept + len(rows) - len(done)
        after = rows[-1].id


def _replay(
    tx: Tx, row: quarantine.Quarantined, now: datetime
) -> Sequence[inbox.NewItem] | None:
    """Return the items of one delivery; None when it stays set aside."""
    subscription = subscriptions.get_subscription(tx, row.subscription_id)
    endpoint = endpoints.get_endpoint(tx, row.endpoint_id)
    if subscription is None or endpoint is None:
        return None
    try:
        told = parse_notification(row.method, row.path, row.headers, row.body)
    except NotificationError as error:
        quarantine.retain_quarantined(tx, row.id, error.message)
        return None
    known = register(tx, subscription, endpoint, secrets=())
    items = [
        replace(item, notification_id=row.id)
        for item in make_items(known, told, row.body, str(row.id), now)
    ]
    inbox.insert_inbox(tx, items)
    held = tell_homeless(known, told)
    if held is not None:
        quarantine.retain_quarantined(tx, row.id, held)
        return None
    quarantine.release_quarantined(
        tx, row.id, type=told.type.value, form=told.form, topic=told.topic
    )
    return items
