"""Pages: urgent tasks that nobody took, passed on to the people on call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.storage.connecting import Tx

# A page whose sending was cut off is sent again after this: twice harms nobody.
TRY_AGAIN = timedelta(minutes=1)
_DUE = """
SELECT t.id AS task_id, t.endpoint_id, t.created_at, l.level
  FROM staff_task AS t
  JOIN unnest(%(levels)s::int[], %(after)s::interval[]) AS l (level, after)
    ON t.created_at <= %(now)s - l.after
  LEFT JOIN page AS p ON p.task_id = t.id AND p.level = l.level
 WHERE t.state = 'requested' AND t.priority = 'stat' AND t.taken_at IS NULL
   AND (p.task_id IS NULL
        OR (p.sent_at IS NULL AND p.tried_at <= %(now)s - %(again)s))
 ORDER BY t.created_at, t.id, l.level
"""


@dataclass(frozen=True)
class DuePage:
    """A task that waits too long; ``level`` says whose turn it is to hear of it."""

    task_id: str
    endpoint_id: str
    created_at: datetime
    level: int


def list_due_pages(tx: Tx, waits: dict[int, timedelta], now: datetime) -> list[DuePage]:
    """List what is to be passed on: level by how long a stat task waits untaken."""
    rows = tx.execute(
        _DUE,
        {
            "levels": list(waits),
            "after": list(waits.values()),
            "now": now,
            "again": TRY_AGAIN,
        },
    )
    return [DuePage(**row) for row in rows]


def claim_page(tx: Tx, due: DuePage, address: str, now: datetime) -> bool:
    """Take a page to send it; False when another worker has it."""
    row = tx.execute(
        "INSERT INTO page AS p (task_id, level, address, tried_at) "
        "VALUES (%(task)s, %(level)s, %(address)s, %(now)s) "
        "ON CONFLICT (task_id, level) DO UPDATE SET tried_at = excluded.tried_at, "
        "address = excluded.address WHERE p.sent_at IS NULL "
        "AND p.tried_at <= %(now)s - %(again)s RETURNING level",
        {
            "task": due.task_id,
            "level": due.level,
            "address": address,
            "now": now,
            "again": TRY_AGAIN,
        },
    ).fetchone()
    return row is not None


def note_page(tx: Tx, due: DuePage, error: str | None, now: datetime) -> None:
    """Note that a page went out, or why it did not."""
    tx.execute(
        "UPDATE page SET sent_at = CASE WHEN %(error)s::text IS NULL THEN %(now)s END, "
        "error = %(error)s WHERE task_id = %(task)s AND level = %(level)s",
        {"error": error, "now": now, "task": due.task_id, "level": due.level},
    )


def take_task(tx: Tx, task_id: str, by: str, now: datetime) -> bool | None:
    """Note who sees to a task: False when somebody does already, None when not open."""
    row = tx.execute(
        "UPDATE staff_task AS t SET taken_at = coalesce(t.taken_at, %s), "
        "taken_by = coalesce(t.taken_by, %s) FROM staff_task AS before "
        "WHERE t.id = %s AND t.state = 'requested' AND before.id = t.id "
        "RETURNING before.taken_at IS NULL AS fresh",
        (now, by, task_id),
    ).fetchone()
    return bool(row["fresh"]) if row else None


def count_unheard(tx: Tx, now: datetime, after: timedelta) -> int:
    """Count the stat tasks that nobody took for so long."""
    row = tx.execute(
        "SELECT count(*) AS total FROM staff_task WHERE state = 'requested' "
        "AND priority = 'stat' AND taken_at IS NULL AND created_at <= %s",
        (now - after,),
    ).fetchone()
    return int(row["total"]) if row else 0
