"""The hand-over to a channel, and what becomes of it.

The message leaves at most once. What the channel said is written down whoever holds
the shard by then: a message that went out must never be forgotten.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from mappings.communication import write_communication, write_communication_request
from mappings.delivery import Delivery, DeliveryState, Message, Receipt
from mappings.endpoint import Endpoint
from mappings.errors import ChannelError
from mappings.nudge import Nudge, NudgeState
from middleware.decisions.retries import next_attempt
from middleware.stages.consenting import record_answer
from middleware.stages.context import StageContext
from middleware.stages.unknown import leave_to_person
from middleware.storage import deliveries, nudges, orphans, outbox, preferences
from middleware.storage.connecting import Tx
from middleware.storage.shards import check_epoch

BAD_ADDRESS = ("address-invalid", "address-unreachable")

_log = structlog.get_logger(__name__)


def hand_over(
    context: StageContext, endpoint: Endpoint, nudge: Nudge, message: Message
) -> None:
    """Give the message to its channel once and write down what came of it.

    From the gate's commit, which has just returned, to the channel's answer a denial
    comes too late: both instants are kept.
    """
    handed_at = context.clock.now()
    try:
        receipt = send(context, message)
    except ChannelError as error:
        _refused(context, endpoint, nudge, message, error)
        return
    took = (handed_at, context.clock.now())
    with context.database.tx() as tx:
        _sent(context, tx, endpoint, nudge, message.delivery_id, receipt, took)
    context.wake("record", nudge.shard)


def send(context: StageContext, message: Message) -> Receipt:
    """Call the channel once; raises ChannelError, whatever went wrong in it."""
    lanes, name = context.lanes, message.channel
    try:
        receipt = _call(context, message)
    except ChannelError as error:
        if error.reason != "not-allow-listed":
            fault = error.maybe_sent or error.reason == "channel-down"
            lanes.note(
                name,
                context.clock.now(),
                about=message.address,
                fault=fault,
                retry_after=error.retry_after,
            )
        raise
    lanes.note(name, context.clock.now(), about=message.address, fault=False)
    return receipt


def _call(context: StageContext, message: Message) -> Receipt:
    channel = context.channels.get(message.channel)
    if channel is None:
        raise ChannelError(
            f"The channel {message.channel} is not set up in this process; nothing was "
            "sent; see its settings",
            reason="channel-down",
        )
    try:
        return channel.send(message)
    except ChannelError:
        raise
    except Exception as error:
        _log.exception("channel failed", channel=message.channel)
        raise ChannelError(
            f"The channel {message.channel} failed ({type(error).__name__}); it may "
            "have taken the message; ask it before sending again",
            reason="delivery-unknown",
            maybe_sent=True,
        ) from error


def message_of(context: StageContext, delivery: Delivery) -> Message:
    """Make what the channel is asked to send, with its receipt URL."""
    return Message(
        delivery_id=delivery.id,
        channel=delivery.channel,
        address=delivery.address,
        text=delivery.text,
        subject=delivery.subject,
        language=delivery.language,
        status_url=(
            f"{context.status_base}/channels/{delivery.channel}/status"
            f"?delivery={delivery.id}"
        ),
        endpoint_id=delivery.endpoint_id,
    )


def settle_orphans(
    context: StageContext, shard: int, epoch: int, now: datetime
) -> None:
    """Ask the channel about deliveries that a dead worker left ``sending``.

    The caller holds the shard, so nobody else is sending them. What the channel has
    is marked sent; anything else is marked unknown and a person is asked.
    """
    with context.database.tx() as tx:
        found = orphans.list_orphans(tx, shard)
    for endpoint, nudge, delivery in found:
        receipt = ask_channel(context, delivery)
        with context.database.tx() as tx:
            check_epoch(tx, "deliver", shard, epoch)
            if receipt is not None:
                _sent(context, tx, endpoint, nudge, delivery.id, receipt)
            else:
                _unknown(context, tx, endpoint, nudge, delivery.id, now)
    if found:
        context.wake("record", shard)


def ask_channel(context: StageContext, delivery: Delivery) -> Receipt | None:
    """Return the channel's receipt; None when it has none or cannot be asked."""
    channel = context.channels.get(delivery.channel)
    if channel is None:
        return None
    try:
        return channel.find(message_of(context, delivery), delivery.sending_at)
    except ChannelError:
        return None
    except Exception:  # noqa: BLE001 -- an answer that cannot be read is none
        _log.exception("channel failed", channel=delivery.channel)
        return None


def _sent(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    nudge: Nudge,
    delivery_id: str,
    receipt: Receipt,
    took: tuple[datetime, datetime] | None = None,
) -> None:
    """Write down that it went; ``took`` is from when to when the channel had it."""
    handed_at, now = took or (None, context.clock.now())
    deliveries.set_delivery(
        tx,
        delivery_id,
        receipt.state,
        provider_id=receipt.provider_id,
        handed_at=handed_at,
        sent_at=now,
    )
    delivery = deliveries.get_delivery(tx, delivery_id)
    assert delivery is not None
    # Whom it went to was settled at the gate.
    nudge = nudges.get_nudge(tx, nudge.id) or nudge
    nudges.set_nudge(tx, nudge.id, NudgeState.SENT, "due", now)
    request = write_communication_request(nudge, delivery, endpoint)
    message = write_communication(nudge, delivery, endpoint, now)
    for resource in (request, message):
        outbox.insert_outbox(
            tx,
            id=context.ids.new(),
            key=f"{endpoint.id}|{resource['resourceType']}|{delivery_id}",
            endpoint_id=endpoint.id,
            patient=nudge.patient,
            shard=nudge.shard,
            resource=resource,
            due_at=now,
        )


def _unknown(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    nudge: Nudge,
    delivery_id: str,
    now: datetime,
) -> None:
    deliveries.set_delivery(
        tx, delivery_id, DeliveryState.UNKNOWN, reason="delivery-unknown"
    )
    leave_to_person(context, tx, endpoint, nudge, now)


def _refused(
    context: StageContext,
    endpoint: Endpoint,
    nudge: Nudge,
    message: Message,
    error: ChannelError,
) -> None:
    receipt = None
    if error.maybe_sent:
        receipt = _find(context, message)
    with context.database.tx() as tx:
        now = context.clock.now()
        if receipt is not None:
            _sent(context, tx, endpoint, nudge, message.delivery_id, receipt)
        elif error.maybe_sent:
            _unknown(context, tx, endpoint, nudge, message.delivery_id, now)
        else:
            _failed(context, tx, endpoint, nudge, message, error, now)
    context.wake("record", nudge.shard)


def _find(context: StageContext, message: Message) -> Receipt | None:
    with context.database.tx() as tx:
        delivery = deliveries.get_delivery(tx, message.delivery_id)
    return ask_channel(context, delivery) if delivery else None


def _failed(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    nudge: Nudge,
    message: Message,
    error: ChannelError,
    now: datetime,
) -> None:
    """Nothing went out: try another way, try later, or end it."""
    deliveries.set_delivery(
        tx,
        message.delivery_id,
        DeliveryState.FAILED,
        reason=error.reason,
        error=error.message,
    )
    rerouted = _learn(context, tx, endpoint, message, error, now)
    due = now if rerouted else next_attempt(nudge.attempts, now)
    if error.permanent and not rerouted:
        due = None
    if due is None or due >= nudge.expires_at:
        reason = error.reason if error.permanent else "retries-exhausted"
        nudges.set_nudge(
            tx, nudge.id, NudgeState.FAILED, reason, now, error=error.message
        )
        return
    nudges.set_nudge(
        tx,
        nudge.id,
        NudgeState.PLANNED,
        error.reason,
        now,
        due_at=due,
        attempts=nudge.attempts + 1,
        error=error.message,
    )


def _learn(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    message: Message,
    error: ChannelError,
    now: datetime,
) -> bool:
    """Remember what the refusal says of the address; True when another may do."""
    if error.reason in BAD_ADDRESS:
        preferences.mark_bad_address(
            tx, message.channel, message.address, error.reason, now
        )
        return True
    if error.reason == "opted-out":
        record_answer(
            context,
            tx,
            endpoint.id,
            (message.channel, message.address),
            permit=False,
            how="provider",
            recorded_at=now,
        )
        return True
    return False
