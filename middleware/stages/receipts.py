"""A provider's report on one message: arrived, or not, and what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from mappings.communication import write_communication
from mappings.delivery import Delivery, DeliveryState
from mappings.nudge import NudgeState
from middleware.stages.context import StageContext
from middleware.stages.record import amendment_key
from middleware.storage import (
    deliveries,
    endpoints,
    inbound,
    nudges,
    outbox,
    preferences,
    settling,
)
from middleware.storage.connecting import Tx

OVERTAKEN = timedelta(seconds=1)
STATES = {
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
}
BAD_ADDRESS = ("address-invalid", "address-unreachable")


def apply_receipt(
    context: StageContext, tx: Tx, row: inbound.InboundItem, now: datetime
) -> int | None:
    """Apply one report; return the shard whose Communication is to be amended.

    A report that overtook our own commit waits a moment; one that comes after the end
    changes nothing.
    """
    state = STATES.get(row.body)
    delivery = deliveries.get_delivery(tx, row.address)
    if delivery is not None and delivery.state is DeliveryState.SENDING and state:
        again = now + OVERTAKEN
        inbound.retry_inbound(tx, row.id, again, "the message is still being sent")
        return None
    inbound.finish_inbound(tx, row.id, row.body, now)
    if state is None or delivery is None:
        return None
    reason = str(row.detail.get("reason") or "not-delivered")
    changed = deliveries.set_delivery(
        tx,
        delivery.id,
        state,
        delivered_at=now if state is DeliveryState.DELIVERED else None,
        reason=reason if state is DeliveryState.FAILED else None,
    )
    if not changed:
        return None
    if state is DeliveryState.FAILED:
        settling.fail_delivered(tx, delivery.nudge_id, reason, now)
        if reason in BAD_ADDRESS:
            preferences.mark_bad_address(
                tx, delivery.channel, delivery.address, reason, now
            )
    elif delivery.state is DeliveryState.UNKNOWN and delivery.nudge_id:
        nudges.set_nudge(tx, delivery.nudge_id, NudgeState.SENT, "due", now)
    return _amend(context, tx, delivery, state, now)


def _amend(
    context: StageContext,
    tx: Tx,
    delivery: Delivery,
    state: DeliveryState,
    now: datetime,
) -> int | None:
    """Queue the change of the Communication that told of this message."""
    after = deliveries.get_delivery(tx, delivery.id)
    nudge = nudges.get_nudge(tx, delivery.nudge_id) if delivery.nudge_id else None
    endpoint = endpoints.get_endpoint(tx, delivery.endpoint_id)
    if nudge is None or endpoint is None or after is None:
        return None
    base = f"{endpoint.id}|Communication|{delivery.id}"
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=amendment_key(base, state.value),
        endpoint_id=endpoint.id,
        patient=nudge.patient,
        shard=nudge.shard,
        resource=write_communication(nudge, after, endpoint, now),
        due_at=now,
    )
    return nudge.shard
