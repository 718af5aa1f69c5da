"""Deliveries that were set aside: authentic, and not understood or nobody's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from middleware.storage.connecting import Tx

_COLUMNS = (
    "n.id, n.subscription_id, s.endpoint_id, n.received_at, n.method, n.path, "
    "n.headers, n.body, n.error"
)


@dataclass(frozen=True)
class Quarantined:
    """One delivery as it came; ``error`` says why it was set aside."""

    id: int
    subscription_id: str
    endpoint_id: str
    received_at: datetime
    method: str
    path: str
    headers: dict[str, Any]
    body: bytes
    error: str | None


def list_quarantined(tx: Tx, after: int, limit: int) -> list[Quarantined]:
    """List those behind the id ``after``, oldest first, locked against each other."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM notification n "  # noqa: S608 -- a constant
        "JOIN subscription s ON s.id = n.subscription_id "
        "WHERE n.state = 'quarantined' AND n.id > %s ORDER BY n.id LIMIT %s "
        "FOR UPDATE OF n SKIP LOCKED",
        (after, limit),
    )
    return [Quarantined(**{**row, "body": bytes(row["body"])}) for row in rows]


def release_quarantined(
    tx: Tx,
    notification_id: int,
    *,
    type: str,  # noqa: A002 -- FHIR's word (SubscriptionStatus.type)
    form: str,
    topic: str | None,
) -> None:
    """Note that a delivery was read after all."""
    tx.execute(
        "UPDATE notification SET state = 'stored', error = NULL, type = %s, form = %s, "
        "topic = %s WHERE id = %s AND state = 'quarantined'",
        (type, form, topic, notification_id),
    )


def retain_quarantined(tx: Tx, notification_id: int, error: str) -> None:
    """Note why a delivery stays set aside."""
    tx.execute(
        "UPDATE notification SET error = %s WHERE id = %s AND state = 'quarantined'",
        (error, notification_id),
    )
