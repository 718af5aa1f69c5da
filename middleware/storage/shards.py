"""Who may work on a shard: one holder at a time, and fenced.

A holder keeps a session-level advisory lock and knows the shard's epoch; every
transaction that finishes rows checks that epoch, so that a holder that was frozen, cut
off or failed over cannot finish what another has taken.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from datetime import datetime

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

# The lock is tried once, before any row is looked at; without it no row is written.
# The time limit is this statement's alone.
_TAKE = """
INSERT INTO shard (stage, number, epoch)
SELECT %(stage)s, %(shard)s, 1 WHERE set_config('lock_timeout', '500ms', true) <> ''
   AND pg_try_advisory_lock(%(class)s, %(shard)s)
ON CONFLICT (stage, number) DO UPDATE SET epoch = shard.epoch + 1 RETURNING epoch
"""

# A generated list of shards with LIMIT lets each probe stop at its first index entry,
# however deep the backlog is (EXISTS becomes a hash join over all of it).
_DUE = sql.SQL(
    "SELECT {stage} AS stage, s.shard FROM generate_series(0, {last}) AS s(shard), "
    "LATERAL (SELECT 1 FROM {table} AS t WHERE t.shard = s.shard "
    "AND t.due_at <= %(now)s AND t.{open} ORDER BY t.due_at LIMIT 1) AS due"
)
_HELD = """
SELECT classid::bigint AS stage, objid::bigint AS shard FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class ShardHold:
    """A shard that is ours, with the epoch that proves it."""

    def __init__(self, stage: str, shard: int, epoch: int) -> None:
        self.stage = stage
        self.shard = shard
        self.epoch = epoch


@contextlib.contextmanager
def hold(database: Database, stage: str, shard: int) -> Iterator[ShardHold | None]:
    """Take the shard for the length of the block; None when another holds it.

    Never waits for a lock: a shard whose row is kept by an unfinished transaction
    counts as held. A lost connection frees the lock; the epoch fences what was open.
    """
    key = {"class": _lock_class(stage), "shard": shard}
    with database.lock_connection() as connection:
        taken = _take(connection, key, stage, shard)
        try:
            yield taken
        finally:
            if taken is not None:
                _release(connection, key)


def _take(
    connection: Tx, key: dict[str, int], stage: str, shard: int
) -> ShardHold | None:
    try:
        taken = connection.execute(_TAKE, {"stage": stage, "shard": shard, **key})
        epoch = taken.fetchone()
    except psycopg.errors.LockNotAvailable:
        _release(connection, key)
        return None
    except psycopg.Error as error:
        raise storage_error(error) from None
    return ShardHold(stage, shard, int(epoch["epoch"])) if epoch else None


def _release(connection: Tx, key: dict[str, int]) -> None:
    """Unlock; a connection that cannot is closed, which frees the lock as well."""
    try:
        row = connection.execute(
            "SELECT pg_advisory_unlock(%(class)s, %(shard)s) AS freed", key
        ).fetchone()
    except psycopg.Error:
        connection.close()
        return
    if row is None or not row["freed"]:
        connection.close()


def check_epoch(tx: Tx, stage: str, shard: int, epoch: int) -> None:
    """Raise FencedError unless the shard is still at ``epoch``.

    The row stays share-locked to the end of the transaction, so that a takeover
    happens wholly before (and is seen here) or wholly after it.
    """
    row = tx.execute(
        "SELECT epoch FROM shard WHERE stage = %s AND number = %s FOR SHARE",
        (stage, shard),
    ).fetchone()
    if row is None or row["epoch"] != epoch:
        raise FencedError(stage, shard)


def list_idle_due(tx: Tx, now: datetime) -> list[tuple[str, int]]:
    """List (stage, shard) with rows due at ``now`` that nobody holds.

    A held shard is being drained, and its holder looks once more after letting go.
    """
    union = sql.SQL(" UNION ALL ").join(_due_of(stage) for stage in STAGE_TABLES)
    due = tx.execute(union, {"now": now}).fetchall()
    if not due:
        return []
    held = {(row["stage"], row["shard"]) for row in tx.execute(_HELD)}
    return [
        (row["stage"], row["shard"])
        for row in due
        if (_lock_class(row["stage"]), row["shard"]) not in held
    ]


def has_due(tx: Tx, stage: str, shard: int, now: datetime) -> bool:
    """Tell whether one shard has rows due at ``now``."""
    table, is_open = STAGE_TABLES[stage]
    statement = sql.SQL(
        "SELECT 1 FROM {table} WHERE shard = %s AND due_at <= %s AND {open} LIMIT 1"
    ).format(table=sql.Identifier(table), open=sql.SQL(is_open))
    return tx.execute(statement, (shard, now)).fetchone() is not None


def _due_of(stage: str) -> sql.Composed:
    table, is_open = STAGE_TABLES[stage]
    return _DUE.format(
        stage=sql.Literal(stage),
        last=sql.Literal(SHARDS - 1),
        table=sql.Identifier(table),
        open=sql.SQL(is_open),
    )


def _lock_class(stage: str) -> int:
    return zlib.crc32(f"carecue {stage}".encode()) & 0x7FFFFFFF
