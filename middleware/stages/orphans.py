"""Deliveries that a dead worker left ``sending``: their shards are woken.

DELIVER settles them (see ``handover``); whoever holds the shard knows that nobody else
is sending them. The answer to a reply needs no such look: its own row stays due.
"""

from __future__ import annotations

from datetime import timedelta

from middleware.stages.context import StageContext
from middleware.storage import orphans

# Younger ones are most likely with a worker that lives.
GRACE = timedelta(seconds=5)


def wake_orphans(context: StageContext) -> None:
    """Wake the shards of deliveries that have been ``sending`` for long.

    Their rows are not due, so the metronome alone would never look at them.
    """
    with context.database.tx() as tx:
        stuck = orphans.list_orphan_shards(tx, context.clock.now() - GRACE)
    for shard in stuck:
        context.wake("deliver", shard)
