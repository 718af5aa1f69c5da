"""Which plans are switched on where, what they were tried on, and how they are taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from middleware.storage.connecting import Tx

_COLUMNS = "endpoint_id, plan, version, percent, state, reason, changed_at, changed_by"
# A contact point that was closed by its people within three days of a plan's message.
_TAKEN = """
SELECT d.endpoint_id, regexp_replace(n.plan, '^.*/', '') AS plan,
       count(DISTINCT (d.channel, d.address)) AS told,
       count(DISTINCT (d.channel, d.address)) FILTER (WHERE c.id IS NOT NULL) AS objected
  FROM delivery AS d JOIN nudge AS n ON n.id = d.nudge_id
  LEFT JOIN consent AS c ON c.system = d.channel AND c.value = d.address
   AND NOT c.permit AND c.who = 'patient' AND c.recorded_at >= d.sending_at
   AND c.recorded_at < d.sending_at + interval '3 days'
 WHERE d.sending_at >= %s AND d.state <> 'failed'
 GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Rollout:
    """How one plan stands at one endpoint: on, off, or paused by itself."""

    endpoint_id: str
    plan: str
    version: str
    percent: int
    state: str
    reason: str
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class Taken:
    """How a plan's messages were taken: contact points told, and those that objected."""

    endpoint_id: str
    plan: str
    told: int
    objected: int


def list_rollouts(tx: Tx, endpoint_id: str | None = None) -> list[Rollout]:
    """List what was switched on or off, of one endpoint or of all."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM plan_rollout "  # noqa: S608 -- a constant
        "WHERE %(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s "
        "ORDER BY endpoint_id, plan",
        {"endpoint": endpoint_id},
    )
    return [Rollout(**row) for row in rows]


def put_rollout(tx: Tx, rollout: Rollout) -> None:
    """Set how a plan stands at an endpoint."""
    tx.execute(
        f"INSERT INTO plan_rollout ({_COLUMNS}) VALUES (%(endpoint_id)s, %(plan)s, "  # noqa: S608 -- a constant
        "%(version)s, %(percent)s, %(state)s, %(reason)s, %(changed_at)s, "
        "%(changed_by)s) ON CONFLICT (endpoint_id, plan) DO UPDATE SET "
        "version = excluded.version, percent = excluded.percent, "
        "state = excluded.state, reason = excluded.reason, "
        "changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        vars(rollout),
    )


def insert_trial(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    endpoint_id: str,
    plan: str,
    version: str,
    tried_at: datetime,
    tried_by: str,
    result: dict[str, Any],
) -> None:
    """Keep what a plan would have done; ``result`` holds numbers, no patient."""
    tx.execute(
        "INSERT INTO plan_trial (id, endpoint_id, plan, version, tried_at, tried_by, "
        "result) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (id, endpoint_id, plan, version, tried_at, tried_by, Jsonb(result)),
    )


def last_trial(tx: Tx, endpoint_id: str, plan: str, version: str) -> datetime | None:
    """Return when this version was last tried at an endpoint."""
    row = tx.execute(
        "SELECT max(tried_at) AS tried_at FROM plan_trial "
        "WHERE endpoint_id = %s AND plan = %s AND version = %s",
        (endpoint_id, plan, version),
    ).fetchone()
    return row["tried_at"] if row else None


def list_taken(tx: Tx, since: datetime) -> list[Taken]:
    """Return how each plan's messages since then were taken."""
    return [Taken(**row) for row in tx.execute(_TAKEN, (since,))]
