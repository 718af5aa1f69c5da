"""The one fixed answer to a reply: given, also when a worker dies in between.

The reply's row stays waiting until its answer has come to an end. Unlike a message, an
answer whose fate nobody knows is sent once more after the provider was asked: two
emergency texts harm nobody, none may. Each hand-over is a delivery of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mappings.delivery import Delivery, DeliveryState, Receipt
from mappings.errors import ChannelError
from middleware.decisions.retries import MOST, next_attempt
from middleware.stages.context import StageContext
from middleware.stages.handover import ask_channel, message_of, send
from middleware.stages.staff import ask_person
from middleware.storage import deliveries, endpoints, inbound, restoring
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch

# After this an answer would puzzle more than help; the person was told long before.
WITHIN = timedelta(hours=4)
# Hand-overs whose fate nobody knows.
UNKNOWNS = 2
NOT_ANSWERED = (
    "The fixed answer with the emergency numbers may not have reached somebody who "
    "wrote to us. Call, if the reply was not dealt with."
)


@dataclass(frozen=True)
class Answer:
    """A reply's row with the answer that it gets; ``epoch`` fences its shard."""

    row: inbound.InboundItem
    draft: Delivery
    epoch: int

    def attempt(self, number: int) -> Delivery:
        """Return the hand-over with this number (from 1): its id is always the same.

        The id is made of the provider's own for the reply, because a restored database
        counts its rows anew.
        """
        digest = hashlib.blake2b(self.row.key.encode(), digest_size=12).hexdigest()
        return replace(self.draft, id=f"reply-{digest}-{number}")


def give_answer(context: StageContext, answer: Answer, now: datetime) -> None:
    """Hand the answer over unless it was; leave the row due where it may go later."""
    names = [answer.attempt(number).id for number in range(1, MOST + UNKNOWNS + 1)]
    with context.database.tx() as tx:
        past = deliveries.list_deliveries(tx, names)
        mark = restoring.read_restore_mark(tx)
    if past and past[-1].state in (DeliveryState.SENDING, DeliveryState.UNKNOWN):
        receipt = ask_channel(context, past[-1])
        if receipt is not None:
            _finish(context, answer, now, _sent(past[-1], receipt, now))
            return
        past[-1] = _change(context, answer, past[-1], DeliveryState.UNKNOWN)
    unknown = sum(item.state is DeliveryState.UNKNOWN for item in past)
    late = now - answer.row.received_at > WITHIN
    if late or unknown >= UNKNOWNS or len(past) == len(names):
        _finish(context, answer, now, lambda tx: _tell(context, tx, answer, now))
        return
    following = replace(answer.attempt(len(past) + 1), sending_at=now)
    # A restored database has forgotten answers that it gave before.
    if mark is not None and not past and answer.row.received_at < mark.marked_at:
        since = replace(following, sending_at=answer.row.received_at)
        receipt = ask_channel(context, since)
        if receipt is not None:
            _finish(context, answer, now, _insert_sent(following, receipt, now))
            return
    _hand_over(context, answer, following, now)


def _hand_over(
    context: StageContext, answer: Answer, delivery: Delivery, now: datetime
) -> None:
    with context.database.tx() as tx:
        check_epoch(tx, "listen", answer.row.shard, answer.epoch)
        deliveries.insert_delivery(tx, delivery, "reply")
    try:
        receipt = send(context, message_of(context, delivery))
    except ChannelError as error:
        _refused(context, answer, delivery, error, now)
        return
    _finish(context, answer, now, _sent(delivery, receipt, now))


def _refused(
    context: StageContext,
    answer: Answer,
    delivery: Delivery,
    error: ChannelError,
    now: datetime,
) -> None:
    """Try again where that may help; a refusal for good ends it."""
    state = DeliveryState.UNKNOWN if error.maybe_sent else DeliveryState.FAILED
    _change(context, answer, delivery, state, error)
    again = None if error.permanent else next_attempt(answer.row.attempts, now)
    if again is None and not error.maybe_sent:
        _finish(context, answer, now, _nothing)
        return
    due = again or now + timedelta(seconds=30)
    with context.database.tx() as tx:
        check_epoch(tx, "listen", answer.row.shard, answer.epoch)
        inbound.retry_inbound(tx, answer.row.id, due, error.message)


def _change(
    context: StageContext,
    answer: Answer,
    delivery: Delivery,
    state: DeliveryState,
    error: ChannelError | None = None,
) -> Delivery:
    reason = error.reason if error else "delivery-unknown"
    told = error.message if error else None
    with context.database.tx() as tx:
        check_epoch(tx, "listen", answer.row.shard, answer.epoch)
        deliveries.set_delivery(tx, delivery.id, state, reason=reason, error=told)
    return replace(delivery, state=state)


def _sent(
    delivery: Delivery, receipt: Receipt, now: datetime
) -> Callable[[Tx], object]:
    def write(tx: Tx) -> object:
        return deliveries.set_delivery(
            tx,
            delivery.id,
            receipt.state,
            provider_id=receipt.provider_id,
            sent_at=now,
        )

    return write


def _insert_sent(
    delivery: Delivery, receipt: Receipt, now: datetime
) -> Callable[[Tx], object]:
    known = replace(
        delivery, state=receipt.state, provider_id=receipt.provider_id, sent_at=now
    )
    return lambda tx: deliveries.insert_delivery(tx, known, "reply")


def _finish(
    context: StageContext,
    answer: Answer,
    now: datetime,
    write: Callable[[Tx], object],
) -> None:
    """End the reply's row with whatever goes with it, in one transaction.

    Whoever holds the shard by now: that an answer went out must never be forgotten.
    """
    with context.database.tx() as tx:
        write(tx)
        inbound.finish_inbound(tx, answer.row.id, answer.row.intent, now)


def _nothing(tx: Tx) -> None:
    """Nothing goes with the end of a row whose answer was refused for good."""
    del tx


def _tell(context: StageContext, tx: Tx, answer: Answer, now: datetime) -> None:
    """Ask a person, where it is known whom it concerns."""
    draft = answer.draft
    endpoint = endpoints.get_endpoint(tx, draft.endpoint_id)
    if endpoint is None or not draft.patient:
        return
    ask_person(
        context,
        tx,
        endpoint,
        draft.patient,
        shard=shard_of(endpoint.id, draft.patient),
        priority="urgent",
        reason="delivery-unknown",
        text=NOT_ANSWERED,
        now=now,
        key=f"unknown|{answer.attempt(1).id}",
    )
