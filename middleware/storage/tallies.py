"""Rows of ``tally``: what deliveries told of their subscription, until it is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from middleware.storage.connecting import Row, Tx


@dataclass(frozen=True)
class Tally:
    """One delivery: its type, the Subscription.status it claims, and its numbers.

    ``count`` is eventsSinceSubscriptionStart, ``numbers`` its events' own, ``digests``
    one for each of them, ``reference`` the id by which it names its Subscription.
    """

    notification_id: int
    subscription_id: str
    received_at: datetime
    type: str
    status: str | None
    count: int | None
    numbers: tuple[int, ...]
    digests: tuple[str, ...] = ()
    reference: str | None = None


def list_tallied(tx: Tx) -> list[str]:
    """List the subscriptions that have something to count."""
    rows = tx.execute("SELECT DISTINCT subscription_id AS id FROM tally ORDER BY id")
    return [row["id"] for row in rows]


def take_tallies(tx: Tx, subscription_id: str, limit: int) -> Sequence[Tally]:
    """Lock the subscription, remove its next tallies and return them in order.

    Empty while another counts them.
    """
    held = tx.execute(
        "SELECT 1 FROM subscription WHERE id = %s FOR UPDATE SKIP LOCKED",
        (subscription_id,),
    ).fetchone()
    if held is None:
        return ()
    rows = tx.execute(
        "DELETE FROM tally WHERE notification_id IN (SELECT notification_id FROM tally "
        "WHERE subscription_id = %s ORDER BY notification_id LIMIT %s) RETURNING "
        "notification_id, subscription_id, received_at, type, status, count, numbers, "
        "digests, reference",
        (subscription_id, limit),
    ).fetchall()
    found = [_read(row) for row in rows]
    return sorted(found, key=lambda tally: tally.notification_id)


def _read(row: Row) -> Tally:
    arrays = {name: tuple(row[name]) for name in ("numbers", "digests")}
    return Tally(**{**row, **arrays})
