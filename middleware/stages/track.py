"""TRACK: count what deliveries told of their subscriptions, behind the intake.

Intake commits and answers; what a delivery says of its subscription (that it lives, its
status, its numbers) is counted here, by one process at a time for each subscription.
What is wrong is noticed by RECOVER.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from middleware.stages.context import StageContext
from middleware.storage import conditions, subscriptions, tallies
from middleware.storage.connecting import Tx
from subscriptions.numbering import Told
from subscriptions.recovery import Condition, count_told, note_sign, note_status

BATCH = 1000
# What we asked for ourselves is no sign that the server still delivers.
ASKED = {"query-status", "query-event"}


def track_subscriptions(context: StageContext) -> int:
    """Count everything that is waiting; return how many deliveries that were."""
    with context.database.tx() as tx:
        waiting = tallies.list_tallied(tx)
    total = 0
    for subscription_id in waiting:
        while counted := _count(context, subscription_id):
            total += counted
    return total


def _count(context: StageContext, subscription_id: str) -> int:
    now = context.clock.now()
    with context.database.tx() as tx:
        found = tallies.take_tallies(tx, subscription_id, BATCH)
        if not found:
            return 0
        watched = conditions.lock_watched(tx, subscription_id)
        if watched is None:
            return len(found)
        condition = watched.condition
        for tally in found:
            condition = _take_in(condition, tally)
        conditions.put_condition(tx, subscription_id, condition)
        _note_delivered(tx, subscription_id, found, now)
    return len(found)


def _take_in(known: Condition, tally: tallies.Tally) -> Condition:
    told = Told(
        tally.received_at, tally.type, tally.count, tally.numbers, tally.digests
    )
    if tally.type not in ASKED:
        known = note_sign(known, tally.received_at)
    known = note_status(known, tally.status, tally.received_at)
    return count_told(known, tally.reference, told)


def _note_delivered(
    tx: Tx, subscription_id: str, found: Sequence[tallies.Tally], now: datetime
) -> None:
    moments = [tally.received_at for tally in found if tally.type not in ASKED]
    if moments:
        subscriptions.update_subscription(
            tx, subscription_id, last_seen_at=max(moments)
        )
        conditions.note_heard(tx, subscription_id, moments, now)
