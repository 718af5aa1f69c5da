"""What tells a restored database from one that only stood still, and what it forgot.

The generation is a counter that goes up while the product runs; a copy is kept beside
the sealing key. The incarnation says which server's files the rows were written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from mappings.nudge import Nudge
from middleware.storage.connecting import Tx
from middleware.storage.marks import RESTORE_UNCHECKED, put_mark, read_mark
from middleware.storage.nudges import COLUMNS, read_nudge

GENERATION = "database-generation"
_LOCK = 0x67656E72

# The answers to these are what another server, a copy under another name or a
# point-in-time recovery cannot have in common with the original.
_INCARNATION = """
SELECT s.system_identifier::text AS system, c.timeline_id AS timeline,
       d.oid::bigint AS number
  FROM pg_control_system() AS s, pg_control_checkpoint() AS c, pg_database AS d
 WHERE d.datname = current_database()
"""


@dataclass(frozen=True)
class RestoreMark:
    """Since when what we know may be incomplete, and when that was noticed."""

    marked_at: datetime
    since: datetime
    why: str


@dataclass(frozen=True)
class Generation:
    """How far the database came: a counter, when, of which database, on what server."""

    number: int
    at: datetime
    lineage: str
    incarnation: dict[str, Any] | None


def read_restore_mark(tx: Tx) -> RestoreMark | None:
    """Return the mark that holds everything; None when nothing was restored."""
    value = read_mark(tx, RESTORE_UNCHECKED)
    if value is None:
        return None
    return RestoreMark(
        datetime.fromisoformat(value["marked_at"]),
        datetime.fromisoformat(value["since"]),
        str(value["why"]),
    )


def put_restore_mark(tx: Tx, mark: RestoreMark) -> None:
    """Hold everything; a mark that stands keeps the earlier ``since``."""
    lock_generation(tx)
    known = read_restore_mark(tx)
    since = min(mark.since, known.since) if known else mark.since
    value = {
        "marked_at": mark.marked_at.isoformat(),
        "since": since.isoformat(),
        "why": mark.why,
    }
    put_mark(tx, RESTORE_UNCHECKED, value)


def newest_known(tx: Tx) -> datetime | None:
    """Return when the newest message or reply that we know went or came."""
    row = tx.execute(
        "SELECT greatest((SELECT max(sending_at) FROM delivery), "
        "(SELECT max(received_at) FROM inbound)) AS newest, "
        "(SELECT min(created_at) FROM endpoint) AS first"
    ).fetchone()
    return (row["newest"] or row["first"]) if row else None


def lock_generation(tx: Tx) -> None:
    """Let one process at a time look at generation and mark."""
    tx.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def read_generation(tx: Tx) -> Generation | None:
    """Return how far the database says it came; None before the first note."""
    value = read_mark(tx, GENERATION)
    if value is None:
        return None
    return Generation(
        int(value["number"]),
        datetime.fromisoformat(value["at"]),
        str(value["lineage"]),
        value.get("incarnation"),
    )


def put_generation(tx: Tx, generation: Generation) -> None:
    """Write how far the database came."""
    value = {
        "number": generation.number,
        "at": generation.at.isoformat(),
        "lineage": generation.lineage,
        "incarnation": generation.incarnation,
    }
    put_mark(tx, GENERATION, value)


def read_incarnation(tx: Tx) -> dict[str, Any] | None:
    """Return which server's files these are; None where the server does not say."""
    try:
        with tx.transaction():
            row = tx.execute(_INCARNATION).fetchone()
    except psycopg.Error:
        return None
    return dict(row) if row else None


def count_unread(tx: Tx, now: datetime) -> int:
    """Count changes in the EHR that were found and not yet decided on."""
    row = tx.execute(
        "SELECT (SELECT count(*) FROM inbox WHERE state = 'waiting' AND due_at <= %s) "
        "+ (SELECT count(*) FROM event WHERE state = 'waiting' AND due_at <= %s) "
        "AS total",
        (now, now),
    ).fetchone()
    return int(row["total"]) if row else 0


def count_sending(tx: Tx) -> int:
    """Count deliveries that began and never came to an end."""
    row = tx.execute(
        "SELECT count(*) AS total FROM delivery WHERE state = 'sending'"
    ).fetchone()
    return int(row["total"]) if row else 0


def settle_lonely(tx: Tx, before: datetime) -> int:
    """Mark unknown what is ``sending`` with no nudge that waits; return how many."""
    settled = tx.execute(
        "UPDATE delivery AS d SET state = 'unknown', reason = 'delivery-unknown' "
        "WHERE d.state = 'sending' AND d.sending_at < %s AND NOT EXISTS ("
        "SELECT 1 FROM nudge AS n WHERE n.id = d.nudge_id AND n.state = 'sending')",
        (before,),
    )
    return settled.rowcount


def knows_channel(tx: Tx, channel: str) -> bool:
    """Tell whether anything was ever sent by a channel."""
    row = tx.execute(
        "SELECT 1 FROM delivery WHERE channel = %s LIMIT 1", (channel,)
    ).fetchone()
    return row is not None


def knows_text(tx: Tx, provider_id: str) -> bool:
    """Tell whether a delivery of our own, not one found again, is this text."""
    row = tx.execute(
        "SELECT 1 FROM delivery WHERE channel = 'sms' AND provider_id = %s "
        "AND id NOT LIKE 'restored-%%'",
        (provider_id,),
    ).fetchone()
    return row is not None


def takes_communications(tx: Tx, endpoint_id: str) -> bool:
    """Tell whether this EHR ever took a Communication of ours."""
    row = tx.execute(
        "SELECT 1 FROM outbox WHERE endpoint_id = %s AND state = 'done' "
        "AND resource ->> 'resourceType' = 'Communication' LIMIT 1",
        (endpoint_id,),
    ).fetchone()
    return row is not None


def find_nudge(tx: Tx, key: str) -> Nudge | None:
    """Return the nudge of a key."""
    return next(iter(_list(tx, "key = %s", (key,))), None)


def list_open(tx: Tx, shard: int) -> list[Nudge]:
    """List every planned or held nudge of a shard, whenever it is due."""
    return _list(
        tx, "shard = %s AND state IN ('planned', 'held') ORDER BY due_at, seq", (shard,)
    )


def finish_inbound_by_key(tx: Tx, key: str, intent: str, now: datetime) -> None:
    """Mark a reply that was found again as done: it is not answered twice."""
    tx.execute(
        "UPDATE inbound SET state = 'done', intent = %s, done_at = %s WHERE key = %s",
        (intent, now, key),
    )


def look_again(tx: Tx, ids: Sequence[str], now: datetime) -> list[int]:
    """Make those of these nudges that only the restore held due; return shards."""
    rows = tx.execute(
        "UPDATE nudge SET due_at = least(due_at, %s) WHERE id = ANY(%s) "
        "AND state = 'held' AND reason = 'restore-unchecked' RETURNING shard",
        (now, list(ids)),
    ).fetchall()
    return sorted({int(row["shard"]) for row in rows})


def _list(tx: Tx, where: str, values: tuple[Any, ...]) -> list[Nudge]:
    rows = tx.execute(f"SELECT {COLUMNS} FROM nudge WHERE {where}", values)  # noqa: S608 -- constants of this module
    return [read_nudge(row) for row in rows]
