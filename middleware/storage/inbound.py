"""What patients sent back and providers told us: replies and receipts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx
from middleware.storage.rows import end_rows, list_rows, retry_row

_COLUMNS = (
    "id, key, channel, source, address, body, detail, received_at, shard, state, "
    "due_at, attempts, error, intent"
)


@dataclass(frozen=True)
class InboundItem:
    """A row of ``inbound``; ``source`` is reply or receipt."""

    id: int
    key: str
    channel: str
    source: str
    address: str
    body: str
    detail: dict[str, Any]
    received_at: datetime
    shard: int
    state: str
    due_at: datetime
    attempts: int
    error: str | None
    intent: str | None


def insert_inbound(
    tx: Tx,
    *,
    key: str,
    channel: str,
    source: str,
    address: str,
    body: str,
    detail: dict[str, Any],
    received_at: datetime,
    shard: int,
) -> bool:
    """Add a reply or receipt, due at once; False when its key exists already."""
    inserted = tx.execute(
        "INSERT INTO inbound (key, channel, source, address, body, detail, "
        "received_at, shard, due_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (key) DO NOTHING",
        (
            key,
            channel,
            source,
            address,
            body,
            Jsonb(detail),
            received_at,
            shard,
            received_at,
        ),
    )
    return inserted.rowcount == 1


def list_inbound(
    tx: Tx, shards: Iterable[int], now: datetime, limit: int
) -> list[InboundItem]:
    """List the items of these shards that are due, in the order they became due."""
    rows = list_rows(tx, "inbound", _COLUMNS, shards, now, limit, place="id")
    return [InboundItem(**row) for row in rows]


def get_inbound(tx: Tx, item_id: int) -> InboundItem | None:
    """Return one reply or receipt, whatever its state."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM inbound WHERE id = %s",  # noqa: S608 -- a constant
        (item_id,),
    ).fetchone()
    return InboundItem(**row) if row else None


def note_intent(tx: Tx, item: InboundItem, intent: str) -> InboundItem:
    """Keep what a reply was taken to mean: from then on its effects are done."""
    tx.execute("UPDATE inbound SET intent = %s WHERE id = %s", (intent, item.id))
    return replace(item, intent=intent)


def finish_inbound(tx: Tx, item_id: int, intent: str | None, now: datetime) -> None:
    """Mark an item done, with what it was taken to mean."""
    tx.execute(
        "UPDATE inbound SET state = 'done', intent = %s, done_at = %s "
        "WHERE id = %s AND state = 'waiting'",
        (intent, now, item_id),
    )


def retry_inbound(tx: Tx, item_id: int, due_at: datetime, error: str) -> None:
    """Count an attempt and try again at ``due_at``."""
    retry_row(tx, "inbound", item_id, due_at, error)


def kill_inbound(tx: Tx, item_id: int, error: str, now: datetime) -> None:
    """Give an item up: a dead letter that a person sees."""
    end_rows(tx, "inbound", [item_id], "dead", now, error=error)
