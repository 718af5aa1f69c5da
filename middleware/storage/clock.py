"""The movable clock's offset, and when something is due next.

Only a site whose endpoints are all sandboxes may move the clock; whoever calls
:func:`move_clock` has checked that.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from psycopg import sql

from middleware.storage.connecting import Tx
from middleware.storage.ids import SHARDS
from middleware.storage.shards import STAGE_TABLES

_FIRST = sql.SQL(
    "SELECT min(f.due_at) AS due_at FROM generate_series(0, {last}) AS s(shard), "
    "LATERAL (SELECT t.due_at FROM {table} AS t WHERE t.shard = s.shard AND t.{open} "
    "ORDER BY t.due_at LIMIT 1) AS f"
)


def read_offset(tx: Tx) -> timedelta:
    """Return how far the clock is moved ahead of the system's."""
    row = tx.execute("SELECT offset_seconds FROM clock").fetchone()
    return timedelta(seconds=row["offset_seconds"] if row else 0)


def move_clock(tx: Tx, offset: timedelta) -> None:
    """Set how far the clock is ahead of the system's (negative: behind it).

    Once there are events it never goes back.
    """
    tx.execute(
        "UPDATE clock SET offset_seconds = CASE WHEN EXISTS (SELECT FROM event) "
        "THEN greatest(offset_seconds, %(offset)s) ELSE %(offset)s END",
        {"offset": offset.total_seconds()},
    )


def next_due(tx: Tx, now: datetime) -> datetime | None:
    """Return the next instant at which a row is due: ``now`` when one is already.

    None when nothing waits in any stage.
    """
    parts = [
        _FIRST.format(
            last=sql.Literal(SHARDS - 1),
            table=sql.Identifier(table),
            open=sql.SQL(is_open),
        )
        for table, is_open in STAGE_TABLES.values()
    ]
    rows = tx.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall()
    found = [row["due_at"] for row in rows if row["due_at"] is not None]
    return max(min(found), now) if found else None
