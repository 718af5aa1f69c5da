"""Who may work on a shard: one holder at a time, and fenced.

A holder keeps a session-level advisory lock and knows the shard's epoch; every
transaction that finishes rows checks that epoch, so that a holder that was frozen, cut
off or failed over cannot finish what another has taken. Who takes several shards at
once has each of them in this way.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import psycopg
from psycopg import sql

from mappings.errors import FencedError
from middleware.storage.connecting import Tx, storage_error
from middleware.storage.database import Database
from middleware.storage.ids import SHARDS

STAGE_TABLES = {
    "resolve": ("inbox", "state = 'waiting'"),
    "decide": ("event", "state = 'waiting'"),
    "deliver": ("nudge", "state IN ('planned', 'held')"),
    "record": ("outbox", "state = 'waiting'"),
    "listen": ("inbound", "state = 'waiting'"),
    "review": ("review", "state = 'waiting'"),
}

# Rows of several shards that are worked on together: no more than so many at a time.
# DELIVER has none: who holds a shard there waits for channels and EHRs meanwhile.
TOGETHER = {"resolve": 40, "decide": 40, "record": 10, "listen": 10, "review": 100}
# Who holds so many at once and is frozen, or cut off without a word, loses them then.
FROZEN_AFTER = "10min"
FOR_EVER = "0"

Held: TypeAlias = Mapping[int, int]

# Each lock is tried once, and only where no unfinished transaction keeps the row;
# without it no row is written. A row that is kept was share-locked by a holder.
_TAKE = """
WITH kept AS MATERIALIZED (SELECT number FROM shard
      WHERE stage = %(stage)s AND number = ANY(%(shards)s) FOR UPDATE SKIP LOCKED),
    fresh AS (SELECT number FROM unnest(%(shards)s::smallint[]) AS wanted(number)
      WHERE NOT EXISTS (SELECT FROM shard
                         WHERE stage = %(stage)s AND number = wanted.number)),
    ours AS MATERIALIZED (SELECT number FROM (TABLE kept UNION ALL TABLE fresh) AS free
      WHERE set_config('idle_session_timeout', %(longest)s, false) <> ''
        AND pg_try_advisory_lock(%(class)s, number))
INSERT INTO shard (stage, number, epoch) SELECT %(stage)s, number, 1 FROM ours
ON CONFLICT (stage, number) DO UPDATE SET epoch = shard.epoch + 1
RETURNING number, epoch
"""

_RELEASE = """
SELECT pg_advisory_unlock_all(), set_config('idle_session_timeout', %(longest)s, false)
"""

# A generated list of shards with LIMIT lets each probe stop at its first index entry,
# however deep the backlog is (EXISTS becomes a hash join over all of it).
_DUE = sql.SQL(
    "SELECT {stage} AS stage, s.shard FROM generate_series(0, {last}) AS s(shard), "
    "LATERAL (SELECT 1 FROM {table} AS t WHERE t.shard = s.shard "
    "AND t.due_at <= %(now)s AND t.{open} ORDER BY t.due_at LIMIT 1) AS due"
)
# What is due is counted as far as anybody would take it at once.
_READY = sql.SQL("""
SELECT s.shard, due.rows FROM generate_series(0, {last}) AS s(shard), LATERAL (
    SELECT count(*) AS rows, min(due_at) AS first FROM (
        SELECT due_at FROM {table} AS t WHERE t.shard = s.shard
           AND t.due_at <= %(now)s AND t.{open} ORDER BY t.due_at LIMIT %(limit)s
    ) AS waiting) AS due
WHERE due.rows > 0 AND s.shard <> ALL (%(held)s) ORDER BY due.first
""")
_HELD = """
SELECT classid::bigint AS stage, objid::bigint AS shard FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class ShardHold:
    """A shard that is ours, with the epoch that proves it."""

    stage: str
    shard: int
    epoch: int


@contextlib.contextmanager
def hold(database: Database, stage: str, shard: int) -> Iterator[ShardHold | None]:
    """Take one shard for the length of the block; None when another holds it."""
    with hold_several(database, stage, [shard]) as held:
        yield ShardHold(stage, shard, held[shard]) if held else None


@contextlib.contextmanager
def hold_several(
    database: Database,
    stage: str,
    shards: Collection[int],
    *,
    longest: str = FOR_EVER,
) -> Iterator[Held]:
    """Take those of the shards that nobody has, for the length of the block.

    Lends the epoch of each that was taken. Never waits for a lock: a shard whose row
    is kept by an unfinished transaction counts as held. A lost connection frees the
    locks, and so does the server after ``longest`` (an interval of PostgreSQL); the
    epochs fence what was open.
    """
    values = {
        "stage": stage,
        "class": _lock_class(stage),
        "shards": list(shards),
        "longest": longest,
    }
    with database.lock_connection() as connection:
        taken = _take(connection, values)
        try:
            yield taken
        finally:
            _release(connection)


def _take(connection: Tx, values: Mapping[str, object]) -> dict[int, int]:
    try:
        rows = connection.execute(_TAKE, values).fetchall()
    except psycopg.Error as error:
        raise storage_error(error) from None
    return {int(row["number"]): int(row["epoch"]) for row in rows}


def _release(connection: Tx) -> None:
    """Unlock all: the connection was lent for these locks alone."""
    try:
        connection.execute(_RELEASE, {"longest": FOR_EVER})
    except psycopg.Error:
        connection.close()


def check_epoch(tx: Tx, stage: str, shard: int, epoch: int) -> None:
    """Raise FencedError unless the shard is still at ``epoch``."""
    check_epochs(tx, stage, {shard: epoch})


def check_epochs(tx: Tx, stage: str, held: Held) -> None:
    """Raise FencedError unless every shard is still at its epoch.

    The rows stay share-locked to the end of the transaction, so that a takeover
    happens wholly before (and is seen here) or wholly after it.
    """
    rows = tx.execute(
        "SELECT number, epoch FROM shard WHERE stage = %s AND number = ANY(%s) "
        "FOR SHARE",
        (stage, list(held)),
    )
    present = {row["number"]: row["epoch"] for row in rows}
    for shard, epoch in held.items():
        if present.get(shard) != epoch:
            raise FencedError(stage, shard)


def list_idle_due(tx: Tx, now: datetime) -> list[tuple[str, int]]:
    """List (stage, shard) with rows due at ``now`` that nobody holds.

    A held shard is being drained, and its holder looks once more after letting go.
    """
    union = sql.SQL(" UNION ALL ").join(
        _with_table(_DUE, stage) for stage in STAGE_TABLES
    )
    due = tx.execute(union, {"now": now}).fetchall()
    if not due:
        return []
    held = _list_held(tx)
    return [
        (row["stage"], row["shard"])
        for row in due
        if (_lock_class(row["stage"]), row["shard"]) not in held
    ]


def list_ready(tx: Tx, stage: str, now: datetime, limit: int) -> list[tuple[int, int]]:
    """List the shards with rows due at ``now`` that nobody holds, longest due first.

    Each with how many, counted to ``limit``.
    """
    own = _lock_class(stage)
    held = [number for of, number in _list_held(tx) if of == own]
    statement = _with_table(_READY, stage)
    rows = tx.execute(statement, {"now": now, "limit": limit, "held": held})
    return [(row["shard"], row["rows"]) for row in rows]


def _list_held(tx: Tx) -> set[tuple[int, int]]:
    return {(row["stage"], row["shard"]) for row in tx.execute(_HELD)}


def has_due(tx: Tx, stage: str, shard: int, now: datetime) -> bool:
    """Tell whether one shard has rows due at ``now``."""
    table, is_open = STAGE_TABLES[stage]
    statement = sql.SQL(
        "SELECT 1 FROM {table} WHERE shard = %s AND due_at <= %s AND {open} LIMIT 1"
    ).format(table=sql.Identifier(table), open=sql.SQL(is_open))
    return tx.execute(statement, (shard, now)).fetchone() is not None


def _with_table(statement: sql.SQL, stage: str) -> sql.Composed:
    table, is_open = STAGE_TABLES[stage]
    return statement.format(
        stage=sql.Literal(stage),
        last=sql.Literal(SHARDS - 1),
        table=sql.Identifier(table),
        open=sql.SQL(is_open),
    )


def _lock_class(stage: str) -> int:
    return zlib.crc32(f"carecue {stage}".encode()) & 0x7FFFFFFF
