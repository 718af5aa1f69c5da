"""How much of what searches found push had delivered already, by day.

A version is judged one poll after it was found, so that a notification that comes a
moment later counts. Only ids of ``inbox`` are compared, never clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from middleware.storage.connecting import Tx

SHOWN = timedelta(days=7)
_KEPT = timedelta(days=35)

# What an empty notification let us search for was pushed, too.
_JUDGE = """
WITH cursor AS (
  SELECT floor_id, judged_id, seen_id FROM poll_cursor
   WHERE endpoint_id = %(endpoint)s AND resource_type = %(type)s),
pushed AS (
  SELECT i.focus, i.version FROM inbox AS i, cursor
   WHERE i.id > cursor.floor_id AND i.source = 'push' AND i.focus IS NOT NULL
     AND i.endpoint_id = %(endpoint)s AND i.resource_type = %(type)s),
judged AS (
  SELECT i.source = 'empty' OR EXISTS (
           SELECT 1 FROM pushed AS p WHERE p.focus = i.focus
              AND (p.version IS NULL OR p.version = i.version)) AS known
    FROM inbox AS i, cursor
   WHERE i.id > cursor.judged_id AND i.id <= cursor.seen_id
     AND i.source IN ('poll', 'recovery', 'empty') AND i.interaction <> 'delete'
     AND i.endpoint_id = %(endpoint)s AND i.resource_type = %(type)s)
INSERT INTO completeness AS c (endpoint_id, resource_type, day, found, pushed)
SELECT %(endpoint)s, %(type)s, %(day)s, count(*), count(*) FILTER (WHERE known)
  FROM judged HAVING count(*) > 0
ON CONFLICT (endpoint_id, resource_type, day) DO UPDATE
  SET found = c.found + excluded.found, pushed = c.pushed + excluded.pushed
"""
_MOVE = """
UPDATE poll_cursor SET floor_id = coalesce(judged_id, last.id),
       judged_id = coalesce(seen_id, last.id), seen_id = last.id
  FROM (SELECT coalesce(max(id), 0) AS id FROM inbox) AS last
 WHERE endpoint_id = %(endpoint)s AND resource_type = %(type)s
"""


@dataclass(frozen=True)
class Share:
    """Versions that searches found, and how many of them push had delivered."""

    found: int
    pushed: int

    @property
    def ratio(self) -> float | None:
        """Return the share from 0 to 1; None where nothing was found."""
        return self.pushed / self.found if self.found else None


def judge_found(tx: Tx, endpoint_id: str, resource_type: str, now: datetime) -> None:
    """Count what the search before this one found; call it once after each poll."""
    values = {
        "endpoint": endpoint_id,
        "type": resource_type,
        "day": now.date(),
        "before": (now - _KEPT).date(),
    }
    tx.execute(_JUDGE, values)
    tx.execute(_MOVE, values)
    tx.execute(
        "DELETE FROM completeness WHERE endpoint_id = %(endpoint)s "
        "AND resource_type = %(type)s AND day < %(before)s",
        values,
    )


def read_shares(tx: Tx, now: datetime) -> dict[tuple[str, str], Share]:
    """Return the shares of the last seven days by (endpoint, resource type)."""
    rows = tx.execute(
        "SELECT endpoint_id, resource_type, sum(found)::bigint AS found, "
        "sum(pushed)::bigint AS pushed FROM completeness WHERE day > %s "
        "GROUP BY endpoint_id, resource_type",
        ((now - SHOWN).date(),),
    )
    return {
        (row["endpoint_id"], row["resource_type"]): Share(row["found"], row["pushed"])
        for row in rows
    }
