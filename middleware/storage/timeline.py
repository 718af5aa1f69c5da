"""One event from its notification to the answer, and what needs a person's attention.

Read-only. The steps are the words that the console shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from mappings.nudge import REASONS
from middleware.storage.connecting import Tx

_STEPS = """
SELECT at, step, text FROM (
  SELECT 0 AS place, coalesce(n.received_at, i.received_at, e.received_at) AS at,
         'received' AS step, coalesce(n.form, e.source) AS text
    FROM event e LEFT JOIN inbox i ON i.id = e.inbox_id
    LEFT JOIN notification n ON n.id = i.notification_id WHERE e.id = %(id)s
  UNION ALL
  SELECT 1, coalesce(i.done_at, e.received_at), 'read chart',
         e.focus || ' version ' || e.focus_version || ': ' || e.kind
    FROM event e LEFT JOIN inbox i ON i.id = e.inbox_id WHERE e.id = %(id)s
  UNION ALL
  SELECT 2, d.decided_at, 'decided',
         d.action || ': ' || d.outcome || ' (' || d.reason || ')'
    FROM decision d WHERE d.event_id = %(id)s AND d.stage = 'decide'
  UNION ALL
  SELECT 3, n.due_at, 'due', n.action || ': ' || n.state || ' (' || n.reason || ')'
    FROM nudge n WHERE n.event_id = %(id)s
  UNION ALL
  SELECT 4, coalesce(v.sent_at, v.sending_at), CASE v.state WHEN 'failed' THEN 'failed'
         WHEN 'unknown' THEN 'unknown' WHEN 'sending' THEN 'sending' ELSE 'sent' END,
         v.channel || ', ' || v.language || coalesce(' (' || v.reason || ')', '')
    FROM delivery v JOIN nudge n ON n.id = v.nudge_id WHERE n.event_id = %(id)s
  UNION ALL
  SELECT 5, v.delivered_at, 'delivered', v.channel
    FROM delivery v JOIN nudge n ON n.id = v.nudge_id
   WHERE n.event_id = %(id)s AND v.delivered_at IS NOT NULL
  UNION ALL
  SELECT 6, v.answered_at, 'answered', v.channel
    FROM delivery v JOIN nudge n ON n.id = v.nudge_id
   WHERE n.event_id = %(id)s AND v.answered_at IS NOT NULL
) AS steps ORDER BY at, place, text
"""

_ATTENTION = """
SELECT 'nudge' AS kind, n.id, n.state, n.reason, n.endpoint_id, n.patient,
       n.title AS text, n.due_at AS at FROM nudge n WHERE n.state IN ('held', 'failed')
UNION ALL
SELECT 'resolve', i.id::text, 'dead', 'dead-letter', i.endpoint_id, NULL,
       coalesce(i.error, ''), coalesce(i.done_at, i.due_at)
  FROM inbox i WHERE i.state = 'dead'
UNION ALL
SELECT 'decide', e.id, 'dead', 'dead-letter', e.endpoint_id, e.patient,
       coalesce(e.error, ''), coalesce(e.done_at, e.due_at)
  FROM event e WHERE e.state = 'dead'
UNION ALL
SELECT 'record', o.id, 'dead', 'dead-letter', o.endpoint_id, o.patient,
       coalesce(o.error, ''), coalesce(o.done_at, o.due_at)
  FROM outbox o WHERE o.state = 'dead'
UNION ALL
SELECT 'receive', r.id::text, 'quarantined', 'quarantined', s.endpoint_id, NULL,
       coalesce(r.error, ''), r.received_at
  FROM notification r JOIN subscription s ON s.id = r.subscription_id
 WHERE r.state = 'quarantined'
UNION ALL
SELECT 'listen', b.id::text, 'dead', 'dead-letter', NULL, NULL,
       coalesce(b.error, ''), coalesce(b.done_at, b.due_at)
  FROM inbound b WHERE b.state = 'dead'
UNION ALL
SELECT 'task', t.id, t.priority, t.reason, t.endpoint_id, t.patient, t.text,
       t.created_at FROM staff_task t WHERE t.state = 'requested'
ORDER BY at DESC, id LIMIT %s
"""


class Step(NamedTuple):
    """One step of an event: when, the step's word and what there is to say."""

    at: datetime
    step: str
    text: str


@dataclass(frozen=True)
class Attention:
    """One thing that waits for a person.

    ``kind`` is nudge, task or the stage of a dead letter; ``id`` is the row's own.
    """

    kind: str
    id: str
    state: str
    reason: str
    endpoint_id: str | None
    patient: str | None
    text: str
    at: datetime


@dataclass(frozen=True)
class AttentionGroup:
    """All that waits for one reason, the newest first, with the reason's sentence."""

    reason: str
    sentence: str
    items: tuple[Attention, ...]


def timeline(tx: Tx, event_id: str) -> list[Step]:
    """List the steps of one event in the order in which they happened or will."""
    rows = tx.execute(_STEPS, {"id": event_id})
    return [Step(**row) for row in rows]


def list_attention(tx: Tx, limit: int = 500) -> list[AttentionGroup]:
    """List what is held, failed, dead or a task, by reason; largest group first."""
    groups: dict[str, list[Attention]] = {}
    for row in tx.execute(_ATTENTION, (limit,)):
        groups.setdefault(row["reason"], []).append(Attention(**row))
    return sorted(
        (
            AttentionGroup(reason, _sentence(reason), tuple(items))
            for reason, items in groups.items()
        ),
        key=lambda group: (-len(group.items), group.reason),
    )


def _sentence(reason: str) -> str:
    if reason == "quarantined":
        return "A notification came from the right sender and could not be read."
    if reason == "dead-letter":
        return "It failed several times and was given up; a person decides."
    known = REASONS.get(reason)
    return known.sentence if known else reason
