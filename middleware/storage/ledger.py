"""The ledger: every candidate of a day is sent, pending, or ended for one reason.

Candidates are counted when they are made; what became of them is counted from the rows
of nudges and decisions. Days are UTC. Those that do not apply are counted only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import orjson

from middleware.storage.connecting import Tx

SENT, PENDING, TASK = "sent", "pending", "task"
_COUNT = """
INSERT INTO ledger AS l (day, endpoint_id, shard, plan, candidates, not_applicable)
SELECT day, endpoint_id, shard, plan, candidates, not_applicable
  FROM json_populate_recordset(NULL::ledger, %s)
 ORDER BY endpoint_id, shard, plan
    ON CONFLICT (day, endpoint_id, shard, plan) DO UPDATE
   SET candidates = l.candidates + excluded.candidates,
       not_applicable = l.not_applicable + excluded.not_applicable
"""
_ENDS = """
SELECT day, became, count(*) AS number FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day,
           CASE WHEN state = 'sent' AND detail ->> 'kind' = 'task' THEN 'task'
                WHEN state = 'sent' THEN 'sent'
                WHEN state IN ('planned', 'held', 'sending') THEN 'pending'
                ELSE reason END AS became
      FROM nudge WHERE created_at >= %(first)s AND created_at < %(last)s
    UNION ALL
    SELECT (decided_at AT TIME ZONE 'UTC')::date,
           CASE WHEN outcome = 'send' THEN 'task' ELSE reason END
      FROM decision WHERE decided_at >= %(first)s AND decided_at < %(last)s
       AND stage = 'decide' AND nudge_id IS NULL) AS ended
GROUP BY day, became ORDER BY day, became
"""


@dataclass(frozen=True)
class LedgerDay:
    """One day: how many candidates there were and what each number of them became.

    ``became`` has ``sent``, ``pending``, ``task`` (staff were asked) and reasons.
    """

    day: date
    candidates: int
    became: Mapping[str, int]

    @property
    def missing(self) -> int:
        """Return how many candidates are not accounted for; 0 is right."""
        return self.candidates - sum(self.became.values())


def count_candidates(
    tx: Tx, counts: Mapping[tuple[str, int, str], tuple[int, int]], now: datetime
) -> None:
    """Add to the day of ``now``: all candidates, and those not applicable.

    They are counted by (endpoint, shard, plan): a shard's rows are its own, so that
    workers do not wait for each other.
    """
    rows = [
        {
            "day": now.date(),
            "endpoint_id": endpoint_id,
            "shard": shard,
            "plan": plan,
            "candidates": candidates,
            "not_applicable": idle,
        }
        for (endpoint_id, shard, plan), (candidates, idle) in counts.items()
    ]
    if rows:
        tx.execute(_COUNT, (orjson.dumps(rows).decode(),))


def list_ledger(tx: Tx, first: datetime, last: datetime) -> tuple[LedgerDay, ...]:
    """Return the days from ``first`` until before ``last`` (midnights, UTC)."""
    became: dict[date, dict[str, int]] = {}
    span = {"first": first, "last": last}
    for row in tx.execute(_ENDS, span):
        became.setdefault(row["day"], {})[row["became"]] = row["number"]
    counted: dict[date, int] = {}
    rows = tx.execute(
        "SELECT day, sum(candidates)::int AS candidates, sum(not_applicable)::int AS "
        "not_applicable FROM ledger WHERE day >= %(first)s::date "
        "AND day < %(last)s::date GROUP BY day",
        span,
    )
    for row in rows:
        counted[row["day"]] = row["candidates"]
        if row["not_applicable"]:
            day = became.setdefault(row["day"], {})
            name = "not-applicable"
            day[name] = day.get(name, 0) + row["not_applicable"]
    return tuple(
        LedgerDay(day, counted.get(day, 0), became.get(day, {}))
        for day in sorted(counted.keys() | became.keys())
    )
