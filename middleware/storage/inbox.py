"""What came in: raw notifications, and the items of work that RESOLVE takes up.

An item's key makes a repeated notification one item: (endpoint, subscription, event id
or focus and version).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.rows import end_rows, list_rows, retry_row


@dataclass(frozen=True)
class NewItem:
    """A focus that may have changed; without ``focus``, criteria to read again.

    ``source`` is push, poll, recovery, or empty (a push that named no focus, and a
    search); ``focus`` is ``Type/id``.
    """

    key: str
    endpoint_id: str
    subscription_id: str | None
    notification_id: int | None
    source: str
    focus: str | None
    version: str | None
    event_number: int | None
    resource_type: str | None
    interaction: str
    shard: int
    received_at: datetime


@dataclass(frozen=True)
class InboxItem(NewItem):
    """A waiting row of ``inbox``."""

    id: int
    due_at: datetime
    attempts: int


def insert_inbox(tx: Tx, items: Sequence[NewItem]) -> int:
    """Add the items whose key is new, due at once; return how many were."""
    if not items:
        return 0
    with tx.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO inbox (key, endpoint_id, subscription_id, notification_id, "
            "source, focus, version, event_number, resource_type, interaction, shard, "
            "received_at, due_at) VALUES (%(key)s, %(endpoint_id)s, "
            "%(subscription_id)s, %(notification_id)s, %(source)s, %(focus)s, "
            "%(version)s, %(event_number)s, %(resource_type)s, %(interaction)s, "
            "%(shard)s, %(received_at)s, %(received_at)s) ON CONFLICT (key) DO NOTHING",
            [asdict(item) for item in items],
        )
        return cursor.rowcount


def list_inbox(
    tx: Tx, shards: Iterable[int], now: datetime, limit: int
) -> list[InboxItem]:
    """List the items of these shards that are due, in the order they became due."""
    columns = ", ".join(field.name for field in fields(InboxItem))
    rows = list_rows(tx, "inbox", columns, shards, now, limit, place="id")
    return [InboxItem(**row) for row in rows]


def finish_inbox(
    tx: Tx, ids: Sequence[int], now: datetime, note: str | None = None
) -> None:
    """Mark items done; ``note`` says why no event came of them (mappings.event)."""
    end_rows(tx, "inbox", ids, "done", now)
    if note is not None:
        tx.execute("UPDATE inbox SET note = %s WHERE id = ANY(%s)", (note, list(ids)))


def retry_inbox(tx: Tx, item_id: int, due_at: datetime, error: str) -> None:
    """Count an attempt and try again at ``due_at``."""
    retry_row(tx, "inbox", item_id, due_at, error)


def kill_inbox(tx: Tx, item_id: int, error: str, now: datetime) -> None:
    """Give an item up: a dead letter that a person sees."""
    end_rows(tx, "inbox", [item_id], "dead", now, error=error)


@dataclass(frozen=True)
class PollCursor:
    """How far the poll of one resource type at one endpoint has read.

    ``read_at`` is when a search was last read to its end, ``polled_at`` the last try.
    """

    endpoint_id: str
    resource_type: str
    since: datetime
    polled_at: datetime | None
    error: str | None
    read_at: datetime | None


def read_cursor(tx: Tx, endpoint_id: str, resource_type: str) -> PollCursor | None:
    """Return the poll cursor; None before the first poll."""
    row = tx.execute(
        "SELECT endpoint_id, resource_type, since, polled_at, error, read_at "
        "FROM poll_cursor WHERE endpoint_id = %s AND resource_type = %s",
        (endpoint_id, resource_type),
    ).fetchone()
    return PollCursor(**row) if row else None


def advance_cursor(
    tx: Tx,
    endpoint_id: str,
    resource_type: str,
    since: datetime,
    polled_at: datetime,
    *,
    back: bool = False,
) -> None:
    """Record a poll that came as far as ``since``.

    It goes back only when ``back`` says that the server's clock did.
    """
    tx.execute(
        "INSERT INTO poll_cursor AS c (endpoint_id, resource_type, since, polled_at, "
        "read_at) VALUES (%(endpoint)s, %(type)s, %(since)s, %(polled)s, %(polled)s) "
        "ON CONFLICT (endpoint_id, resource_type) DO UPDATE SET "
        "polled_at = excluded.polled_at, error = NULL, read_at = excluded.read_at, "
        "since = CASE WHEN %(back)s THEN excluded.since "
        "ELSE greatest(c.since, excluded.since) END",
        {
            "endpoint": endpoint_id,
            "type": resource_type,
            "since": since,
            "polled": polled_at,
            "back": back,
        },
    )
    tx.execute(
        "DELETE FROM poll_unbegun WHERE endpoint_id = %s AND resource_type = %s",
        (endpoint_id, resource_type),
    )


def note_fault(
    tx: Tx, endpoint_id: str, resource_type: str, fault: str, polled_at: datetime
) -> None:
    """Record a poll that failed: the cursor stays, where there is one."""
    noted = tx.execute(
        "UPDATE poll_cursor SET polled_at = %s, error = %s "
        "WHERE endpoint_id = %s AND resource_type = %s",
        (polled_at, fault, endpoint_id, resource_type),
    )
    if noted.rowcount == 0:
        tx.execute(
            "INSERT INTO poll_unbegun (endpoint_id, resource_type, polled_at, error) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT (endpoint_id, resource_type) "
            "DO UPDATE SET polled_at = excluded.polled_at, error = excluded.error",
            (endpoint_id, resource_type, polled_at, fault),
        )


@dataclass(frozen=True)
class Poll:
    """The last poll of one type: its fault, and when one last came to its end.

    ``read_at`` is None where none ever did.
    """

    resource_type: str
    polled_at: datetime
    error: str | None
    read_at: datetime | None


def list_polls(tx: Tx, endpoint_id: str, types: Sequence[str]) -> list[Poll]:
    """List the last poll of each of these types that was polled, by type."""
    rows = tx.execute(
        "SELECT resource_type, polled_at, error, read_at FROM poll_cursor "
        "WHERE endpoint_id = %(endpoint)s AND resource_type = ANY(%(types)s) "
        "AND polled_at IS NOT NULL UNION ALL "
        "SELECT resource_type, polled_at, error, NULL FROM poll_unbegun "
        "WHERE endpoint_id = %(endpoint)s AND resource_type = ANY(%(types)s) ORDER BY 1",
        {"endpoint": endpoint_id, "types": list(types)},
    )
    return [Poll(**row) for row in rows]


def delete_cursor(tx: Tx, endpoint_id: str, resource_type: str) -> None:
    """Forget how far a type was read: the next look begins anew."""
    tx.execute(
        "DELETE FROM poll_cursor WHERE endpoint_id = %s AND resource_type = %s",
        (endpoint_id, resource_type),
    )
