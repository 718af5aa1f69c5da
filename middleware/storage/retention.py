"""What is forgotten with time: the content goes, the fact that it happened stays.

Run often, it does little each time: at most ``BATCH`` rows of each kind a turn.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import orjson

from middleware.storage import cds
from middleware.storage.connecting import Tx
from middleware.storage.drafts import delete_expired_drafts
from middleware.storage.last_answers import delete_old_answers
from middleware.storage.launches import (
    delete_expired_launches,
    empty_expired_launches,
)
from middleware.storage.login_links import delete_expired_logins

BATCH = 5000
SIGNS = ("handshake", "heartbeat", "query-status")
EMPTY_CHART = orjson.dumps(
    {
        "patient": {},
        "resources": [],
        "read_at": "1970-01-01T00:00:00+00:00",
        "incomplete": ["erased"],
    }
)

# A chart is kept while a message of its event may still go out.
_CHARTS = """
UPDATE event SET chart = %(empty)s WHERE id IN (
  SELECT e.id FROM event AS e
   WHERE e.state <> 'waiting' AND e.done_at < %(before)s
     AND e.chart IS DISTINCT FROM %(empty)s
     AND NOT EXISTS (SELECT 1 FROM nudge AS n WHERE n.event_id = e.id
                     AND n.state IN ('planned', 'held', 'sending'))
   LIMIT %(limit)s)
"""
_BODIES = """
UPDATE notification SET body = '', headers = '{}' WHERE id IN (
  SELECT id FROM notification
   WHERE received_at < %(before)s AND body <> '' LIMIT %(limit)s)
"""
# By then nothing is left in them; of an event its inbox row says when it came and how.
_RECEIVED = """
DELETE FROM notification WHERE id IN (
  SELECT id FROM notification
   WHERE received_at < %(before)s AND body = '' LIMIT %(limit)s)
"""
# They told of nobody, and whether push lives is remembered elsewhere.
_SIGNS = """
DELETE FROM notification WHERE id IN (
  SELECT id FROM notification
   WHERE received_at < %(before)s AND type = ANY(%(signs)s) LIMIT %(limit)s)
"""
_SHARES = "DELETE FROM completeness WHERE day < %(before)s"
# What the EHR has taken is the EHR's; what it refused stays ours as the record.
_WRITTEN = """
UPDATE outbox SET resource = jsonb_build_object('resourceType',
                                                resource -> 'resourceType')
 WHERE id IN (
  SELECT id FROM outbox WHERE state = 'done' AND done_at < %(before)s
     AND resource ? 'identifier' LIMIT %(limit)s)
"""
_REPLIES = """
UPDATE inbound SET body = '', detail = '{}' WHERE id IN (
  SELECT id FROM inbound WHERE source = 'reply' AND state <> 'waiting'
     AND received_at < %(before)s AND body <> '' LIMIT %(limit)s)
"""
_TEXTS = """
UPDATE delivery SET body = '', subject = '' WHERE id IN (
  SELECT id FROM delivery WHERE state <> 'sending' AND sending_at < %(before)s
     AND body <> '' LIMIT %(limit)s)
"""
_FACTS = """
UPDATE decision SET facts = '[]', detail = '' WHERE id IN (
  SELECT id FROM decision WHERE decided_at < %(before)s
     AND facts <> '[]' LIMIT %(limit)s)
"""
_TASKS = """
UPDATE staff_task SET text = '' WHERE id IN (
  SELECT id FROM staff_task WHERE state <> 'requested' AND done_at < %(before)s
     AND text <> '' LIMIT %(limit)s)
"""
_WAKEUPS_OF_READING = """
DELETE FROM inbox WHERE id IN (
  SELECT i.id FROM inbox AS i WHERE i.state = 'done' AND i.done_at < %(before)s
     AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.inbox_id = i.id)
   LIMIT %(limit)s)
"""
_SOON = {
    "charts": _CHARTS,
    "notifications": _BODIES,
    "signs": _SIGNS,
    "written_to_ehr": _WRITTEN,
}
_LATER = {
    "received": _RECEIVED,
    "replies": _REPLIES,
    "texts": _TEXTS,
    "facts": _FACTS,
    "tasks": _TASKS,
    "inbox": _WAKEUPS_OF_READING,
    "push_shares": _SHARES,
}


def purge(
    tx: Tx, now: datetime, *, days: int = 30, text_days: int = 365
) -> dict[str, int]:
    """Empty what is older; return how many rows by kind.

    ``days`` counts for charts, notification bodies, mere signs of life, what the EHR
    has taken, ended launches and CDS cards; ``text_days`` for what was said, on either
    side, and why, and for the emptied notifications.
    """
    counts: dict[str, int] = {}
    for statements, age in ((_SOON, days), (_LATER, text_days)):
        values = {
            "before": now - timedelta(days=age),
            "empty": EMPTY_CHART,
            "limit": BATCH,
            "signs": list(SIGNS),
        }
        for name, statement in statements.items():
            counts[name] = tx.execute(statement, values).rowcount
    before = now - timedelta(days=days)
    counts["launch_tokens"] = empty_expired_launches(tx, now)
    counts["launches"] = delete_expired_launches(tx, before)
    counts["drafts"] = delete_expired_drafts(tx, now)
    counts["cards"] = cds.delete_old(tx, now, before)
    counts["last_answers"] = delete_old_answers(tx, before)
    counts["logins"] = delete_expired_logins(tx, before)
    return counts
