"""What goes back to the EHR: one resource each, created once under its identifier."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx
from middleware.storage.rows import end_rows, list_rows, retry_row

# How an error begins that an administrator of the EHR can lift.
FORBIDDEN = "The FHIR server answered 403"
# What stood in the EHR before an item changed it; it is kept with the item, never sent.
BEFORE = "before"
_COLUMNS = (
    "id, key, endpoint_id, patient, shard, resource, state, due_at, attempts, error, "
    "server_reference, done_at, begun_at"
)


@dataclass(frozen=True)
class OutboxItem:
    """A row of ``outbox``.

    ``state`` waiting, done, kept (the EHR takes no such resource: ours stays the
    record) or dead; ``server_reference`` is ``Type/id`` at the EHR.
    ``begun_at`` is when it was first sent where only a search tells whether it arrived.
    """

    id: str
    key: str
    endpoint_id: str
    patient: str
    shard: int
    resource: dict[str, Any]
    state: str
    due_at: datetime
    attempts: int
    error: str | None
    server_reference: str | None
    done_at: datetime | None
    begun_at: datetime | None = None


def insert_outbox(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    key: str,
    endpoint_id: str,
    patient: str,
    shard: int,
    resource: dict[str, Any],
    due_at: datetime,
) -> bool:
    """Add a resource to be created; False when its key exists already."""
    inserted = tx.execute(
        "INSERT INTO outbox (id, key, endpoint_id, patient, shard, resource, due_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO NOTHING",
        (id, key, endpoint_id, patient, shard, Jsonb(resource), due_at),
    )
    return inserted.rowcount == 1


def list_outbox(
    tx: Tx, shards: Iterable[int], now: datetime, limit: int
) -> list[OutboxItem]:
    """List the items of these shards that are due, in the order they became due."""
    rows = list_rows(tx, "outbox", _COLUMNS, shards, now, limit)
    return [OutboxItem(**row) for row in rows]


def find_outbox(tx: Tx, key: str) -> OutboxItem | None:
    """Return the item of a key, to learn its reference at the EHR."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE key = %s",  # noqa: S608
        (key,),
    ).fetchone()
    return OutboxItem(**row) if row else None


def list_beside(tx: Tx, item: OutboxItem) -> list[OutboxItem]:
    """List the other answers of the same save, not written as yet, in their order."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE state = 'waiting' AND shard = %s "  # noqa: S608
        "AND endpoint_id = %s AND patient = %s AND id <> %s "
        "AND resource ->> 'resourceType' = %s AND resource ->> 'authored' = %s "
        "AND resource -> 'author' IS NOT DISTINCT FROM %s ORDER BY seq",
        (
            item.shard,
            item.endpoint_id,
            item.patient,
            item.id,
            item.resource["resourceType"],
            item.resource["authored"],
            Jsonb(item.resource.get("author")) if "author" in item.resource else None,
        ),
    )
    return [OutboxItem(**row) for row in rows]


def note_before(tx: Tx, item_id: str, elements: dict[str, Any]) -> None:
    """Keep, before they are changed, the elements as they are, the first time."""
    tx.execute(
        "UPDATE outbox SET resource = resource || %s WHERE id = %s "
        "AND NOT resource ? %s",
        (Jsonb({BEFORE: elements}), item_id, BEFORE),
    )


def begin_outbox(tx: Tx, item_id: str, now: datetime) -> None:
    """Note, before it is sent, that an item may have arrived from now on."""
    tx.execute(
        "UPDATE outbox SET begun_at = coalesce(begun_at, %s) WHERE id = %s",
        (now, item_id),
    )


def finish_outbox(
    tx: Tx, item_id: str, server_reference: str | None, now: datetime
) -> None:
    """Mark an item written, as ``server_reference`` at the EHR."""
    tx.execute(
        "UPDATE outbox SET state = 'done', server_reference = %s, done_at = %s, "
        "error = NULL WHERE id = %s AND state = 'waiting'",
        (server_reference, now, item_id),
    )


def keep_outbox(tx: Tx, item_id: str, error: str, now: datetime) -> None:
    """Mark an item as ours to keep: the EHR refuses such resources."""
    end_rows(tx, "outbox", [item_id], "kept", now, error=error)


def retry_outbox(tx: Tx, item_id: str, due_at: datetime, error: str) -> None:
    """Count an attempt and try again at ``due_at``."""
    retry_row(tx, "outbox", item_id, due_at, error)


def kill_outbox(tx: Tx, item_id: str, error: str, now: datetime) -> None:
    """Give an item up: a dead letter that a person sees."""
    end_rows(tx, "outbox", [item_id], "dead", now, error=error)


def revive_forbidden(tx: Tx, now: datetime) -> list[int]:
    """Let items that were forbidden be sent again from now; return the shard of each.

    What retention or erasure took from them is not there any more.
    """
    rows = tx.execute(
        "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = %s, done_at = NULL "
        "WHERE state = 'kept' AND error LIKE %s AND (resource ? 'identifier' "
        "OR resource ->> 'resourceType' = 'AuditEvent') RETURNING shard",
        (now, f"{FORBIDDEN}%"),
    )
    return [int(row["shard"]) for row in rows]
