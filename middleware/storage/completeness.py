"""How much of what searches found push had delivered already, by day.

A version is judged one poll after it was found, so that a notification that comes a
moment later counts. Only ids of ``inbox`` are compared, never clocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from middleware.storage.connecting import Tx

SHOWN = timedelta(days=7)
_KEPT = timedelta(days=35)

# What an empty notification let us search for was pushed, too.
_JUDGE = """
WITH pushed AS (
  SELECT focus, version FROM inbox
   WHERE id > %(floor)s AND source = 'push' AND focus IS NOT NULL
     AND endpoint_id = %(endpoint)s AND resource_type = %(type)s),
judged AS (
  SELECT source = 'empty'
      OR (focus, version) IN (SELECT focus, version FROM pushed
                               WHERE version IS NOT NULL)
      OR focus IN (SELECT focus FROM pushed WHERE version IS NULL) AS known
    FROM inbox
   WHERE id > %(judged)s AND id <= %(seen)s
     AND source IN ('poll', 'recovery', 'empty') AND interaction <> 'delete'
     AND endpoint_id = %(endpoint)s AND resource_type = %(type)s)
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
    values: dict[str, Any] = {
        "endpoint": endpoint_id,
        "type": resource_type,
        "day": now.date(),
        "before": (now - _KEPT).date(),
    }
    ids = tx.execute(
        "SELECT floor_id AS floor, judged_id AS judged, seen_id AS seen "
        "FROM poll_cursor WHERE endpoint_id = %(endpoint)s "
        "AND resource_type = %(type)s",
        values,
    ).fetchone()
    if ids is not None and ids["seen"] is not None:
        tx.execute(_JUDGE, values | ids)
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
