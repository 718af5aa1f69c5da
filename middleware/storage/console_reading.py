"""What the console alone reads: endpoints at work, one event's messages, any id.

Read-only, and without addresses, names or texts of messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mappings.event import EventKind
from middleware.storage.connecting import Tx

_WORK = """
SELECT endpoint_id, sum(events)::int AS events, sum(dead)::int AS dead,
       sum(failed)::int AS failed, sum(recorded)::int AS recorded,
       sum(kept)::int AS kept FROM (
  SELECT endpoint_id, count(*) AS events, count(*) FILTER (WHERE state = 'dead') AS dead,
         0 AS failed, 0 AS recorded, 0 AS kept FROM event GROUP BY endpoint_id
  UNION ALL
  SELECT endpoint_id, 0, count(*), 0, 0, 0 FROM inbox WHERE state = 'dead'
   GROUP BY endpoint_id
  UNION ALL
  SELECT endpoint_id, 0, 0, count(*), 0, 0 FROM nudge WHERE state = 'failed'
   GROUP BY endpoint_id
  UNION ALL
  SELECT endpoint_id, 0, 0, 0, count(*) FILTER (WHERE state = 'done'),
         count(*) FILTER (WHERE state IN ('kept', 'dead')) FROM outbox
   GROUP BY endpoint_id
) AS parts GROUP BY endpoint_id
"""

_EVENT = """
SELECT e.id, e.seq, e.endpoint_id, e.kind, e.patient, e.focus, e.focus_version,
       e.occurred_at, e.received_at, e.state, e.error,
       (SELECT o.id FROM event o WHERE o.seq < e.seq ORDER BY o.seq DESC LIMIT 1)
         AS older,
       (SELECT o.id FROM event o WHERE o.seq > e.seq ORDER BY o.seq LIMIT 1) AS newer
  FROM event e WHERE e.id = %s
"""

_FIND = """
SELECT coalesce(
  (SELECT id FROM event WHERE id = %(id)s),
  (SELECT event_id FROM nudge WHERE id = %(id)s),
  (SELECT n.event_id FROM delivery d JOIN nudge n ON n.id = d.nudge_id
    WHERE d.id = %(id)s),
  (SELECT event_id FROM decision WHERE id = %(id)s),
  (SELECT n.event_id FROM staff_task t JOIN nudge n ON n.id = t.nudge_id
    WHERE t.id = %(id)s),
  (SELECT e.id FROM staff_task t JOIN event e ON e.endpoint_id = t.endpoint_id
      AND e.patient = t.patient AND e.received_at <= t.created_at
    WHERE t.id = %(id)s ORDER BY e.seq DESC LIMIT 1)) AS found
"""


@dataclass(frozen=True)
class EndpointWork:
    """What one endpoint's rows came to.

    ``dead`` counts given-up notifications and events, ``kept`` resources that the EHR
    did not take, ``recorded`` those that it took.
    """

    endpoint_id: str
    events: int = 0
    dead: int = 0
    failed: int = 0
    recorded: int = 0
    kept: int = 0


@dataclass(frozen=True)
class EventHead:
    """One event with its neighbours in the log; ``older`` and ``newer`` are ids."""

    id: str
    seq: int
    endpoint_id: str
    kind: EventKind
    patient: str
    focus: str
    focus_version: str
    occurred_at: datetime
    received_at: datetime
    state: str
    error: str | None
    older: str | None
    newer: str | None


@dataclass(frozen=True)
class DeliveryStep:
    """One hand-over to a channel, without address or text."""

    id: str
    nudge_id: str
    channel: str
    language: str
    state: str
    sending_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    answered_at: datetime | None
    reason: str | None


def count_endpoint_work(tx: Tx) -> dict[str, EndpointWork]:
    """Count every endpoint's rows, by endpoint id."""
    rows = tx.execute(_WORK)
    return {row["endpoint_id"]: EndpointWork(**row) for row in rows}


def count_notes(tx: Tx, since: datetime) -> dict[tuple[str, str], int]:
    """Count the resources that led to no event, by (endpoint id, note), since then."""
    rows = tx.execute(
        "SELECT endpoint_id, note, count(DISTINCT focus) AS total FROM inbox "
        "WHERE note IS NOT NULL AND done_at >= %s GROUP BY endpoint_id, note "
        "ORDER BY endpoint_id, note",
        (since,),
    )
    return {(row["endpoint_id"], row["note"]): int(row["total"]) for row in rows}


def get_event_head(tx: Tx, event_id: str) -> EventHead | None:
    """Return one event and the ids of its neighbours."""
    row = tx.execute(_EVENT, (event_id,)).fetchone()
    return EventHead(**{**row, "kind": EventKind(row["kind"])}) if row else None


def list_event_deliveries(tx: Tx, event_id: str) -> list[DeliveryStep]:
    """List the hand-overs of one event's messages, the first one first."""
    rows = tx.execute(
        "SELECT d.id, d.nudge_id, d.channel, d.language, d.state, d.sending_at, "
        "d.sent_at, d.delivered_at, d.answered_at, d.reason FROM delivery d "
        "JOIN nudge n ON n.id = d.nudge_id WHERE n.event_id = %s "
        "ORDER BY d.sending_at, d.id",
        (event_id,),
    )
    return [DeliveryStep(**row) for row in rows]


def find_event(tx: Tx, identifier: str) -> str | None:
    """Return the event behind an event, message, delivery, decision or task id.

    A task without a message leads to its patient's last event before it.
    """
    row = tx.execute(_FIND, {"id": identifier}).fetchone()
    return str(row["found"]) if row and row["found"] else None


def next_planned(tx: Tx) -> datetime | None:
    """Return when the first planned message is due; None when none is planned."""
    row = tx.execute(
        "SELECT min(due_at) AS due_at FROM nudge WHERE state = 'planned'"
    ).fetchone()
    return row["due_at"] if row else None


def list_ended_since(tx: Tx, since: datetime) -> list[tuple[str, str, int]]:
    """Count (state, reason, how many) of messages that ended at or after ``since``."""
    rows = tx.execute(
        "SELECT state, reason, count(*) AS total FROM nudge WHERE done_at >= %s "
        "AND state IN ('sent', 'failed', 'cancelled', 'skipped') "
        "GROUP BY state, reason ORDER BY state, reason",
        (since,),
    )
    return [(row["state"], row["reason"], row["total"]) for row in rows]
