"""TRACK: count what deliveries told of their subscriptions, behind the intake.

Intake commits and answers; what a delivery says of its subscription (that it lives, its
status, its numbers) is counted here, by one process at a time for each subscription.
"""

from __future__ import annotations

from middleware.stages.context import StageContext
from middleware.storage import subscriptions, tallies

BATCH = 1000
STATUSES = ("requested", "active", "error", "off")


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
    with context.database.tx() as tx:
        found = tallies.take_tallies(tx, subscription_id, BATCH)
        if not found:
            return 0
        told = [tally.status for tally in found if tally.status in STATUSES]
        counts = [tally.count for tally in found if tally.count is not None]
        subscriptions.update_subscription(
            tx,
            subscription_id,
            status=told[-1] if told else None,
            last_number=max(counts, default=None),
            last_seen_at=max(tally.received_at for tally in found),
        )
    return len(found)
