"""Deliveries that a dead worker left ``sending``: found, and settled without a resend.

What concerns a nudge is settled by DELIVER (see ``handover``), a fixed answer to a
reply here, by LISTEN; whoever holds the shard knows that nobody else is sending it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mappings.delivery import Delivery, DeliveryState
from middleware.stages.context import StageContext
from middleware.stages.handover import UNKNOWN_TEXT, ask_channel
from middleware.stages.staff import ask_person
from middleware.storage import deliveries, endpoints, nudges
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch

# Younger ones are most likely with a worker that lives.
GRACE = timedelta(seconds=5)


def wake_orphans(context: StageContext) -> None:
    """Wake the shards of deliveries that have been ``sending`` for long.

    Their rows are not due, so the metronome alone would never look at them.
    """
    with context.database.tx() as tx:
        stuck = deliveries.list_stuck_deliveries(tx, context.clock.now() - GRACE)
        found = {_shard(tx, delivery) for delivery in stuck}
    for stage, shard in sorted(found):
        context.wake(stage, shard)


def _shard(tx: Tx, delivery: Delivery) -> tuple[str, int]:
    nudge = nudges.get_nudge(tx, delivery.nudge_id) if delivery.nudge_id else None
    if nudge is not None:
        return "deliver", nudge.shard
    return "listen", shard_of(delivery.channel, delivery.address)


def settle_answers(
    context: StageContext, shard: int, epoch: int, now: datetime
) -> None:
    """Ask the channel about answers to replies that a dead worker left ``sending``.

    What the channel does not have is marked unknown, and a person is asked.
    """
    with context.database.tx() as tx:
        stuck = [
            delivery
            for delivery in deliveries.list_stuck_deliveries(tx, now)
            if _shard(tx, delivery) == ("listen", shard)
        ]
    for delivery in stuck:
        receipt = ask_channel(context, delivery)
        with context.database.tx() as tx:
            check_epoch(tx, "listen", shard, epoch)
            if receipt is None:
                _unknown(context, tx, delivery, now)
            else:
                deliveries.set_delivery(
                    tx,
                    delivery.id,
                    receipt.state,
                    provider_id=receipt.provider_id,
                    sent_at=now,
                )


def _unknown(context: StageContext, tx: Tx, delivery: Delivery, now: datetime) -> None:
    deliveries.set_delivery(
        tx, delivery.id, DeliveryState.UNKNOWN, reason="delivery-unknown"
    )
    endpoint = endpoints.get_endpoint(tx, delivery.endpoint_id)
    if endpoint is None or not delivery.patient:
        return
    ask_person(
        context,
        tx,
        endpoint,
        delivery.patient,
        shard=shard_of(endpoint.id, delivery.patient),
        priority="urgent",
        reason="delivery-unknown",
        text=UNKNOWN_TEXT,
        now=now,
        key=f"unknown|{delivery.id}",
    )
