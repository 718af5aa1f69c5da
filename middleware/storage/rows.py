"""What the work tables have in common: finishing, retrying and burying a row.

The tables are ``inbox``, ``event``, ``outbox`` and ``inbound``: each row is waiting,
done, dead or in an end state of its own. Which stage may finish a row is fenced by
:func:`middleware.storage.shards.check_epoch`, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import sql

from middleware.storage.connecting import Row, Tx

# Each shard's next rows by its index, however deep its backlog is.
_LIST = sql.SQL(
    "SELECT {columns} FROM unnest(%(shards)s::smallint[]) AS s(number), LATERAL "
    "(SELECT * FROM {table} WHERE shard = s.number AND state = 'waiting' "
    "AND due_at <= %(now)s ORDER BY due_at, {place} LIMIT %(limit)s) AS due "
    "ORDER BY due_at, {place} LIMIT %(limit)s"
)
_END = sql.SQL(
    "UPDATE {table} SET state = %(state)s, done_at = %(now)s, error = %(error)s "
    "WHERE id = ANY(%(ids)s) AND state = 'waiting'"
)
_RETRY = sql.SQL(
    "UPDATE {table} SET attempts = attempts + 1, due_at = %(due_at)s, "
    "error = %(error)s WHERE id = %(id)s AND state = 'waiting'"
)
_REVIVE = sql.SQL(
    "UPDATE {table} SET state = 'waiting', attempts = 0, due_at = %(now)s, "
    "done_at = NULL WHERE state = 'dead' RETURNING shard"
)


def list_rows(
    tx: Tx,
    table: str,
    columns: str,
    shards: Iterable[int],
    now: datetime,
    limit: int,
    *,
    place: str = "seq",
) -> list[Row]:
    """List what is due in these shards, in the order in which it became due.

    ``place`` is the column that tells rows of one instant apart.
    """
    statement = _LIST.format(
        table=sql.Identifier(table),
        columns=sql.SQL(columns),
        place=sql.Identifier(place),
    )
    values = {"shards": list(shards), "now": now, "limit": limit}
    return tx.execute(statement, values).fetchall()


def revive_rows(tx: Tx, table: str, now: datetime) -> list[int]:
    """Let dead rows be worked on again from now; return the shard of each.

    Nothing is done twice: every effect has its own key.
    """
    rows = tx.execute(_REVIVE.format(table=sql.Identifier(table)), {"now": now})
    return [int(row["shard"]) for row in rows]


def end_rows(
    tx: Tx,
    table: str,
    ids: Sequence[str] | Sequence[int],
    state: str,
    now: datetime,
    *,
    error: str | None = None,
) -> int:
    """Move waiting rows to an end state; return how many were waiting."""
    statement = _END.format(table=sql.Identifier(table))
    values = {"ids": list(ids), "state": state, "now": now, "error": error}
    return tx.execute(statement, values).rowcount


def retry_row(
    tx: Tx, table: str, row_id: str | int, due_at: datetime, error: str
) -> None:
    """Count an attempt and let the row wait until ``due_at``."""
    statement = _RETRY.format(table=sql.Identifier(table))
    tx.execute(statement, {"id": row_id, "due_at": due_at, "error": error})
