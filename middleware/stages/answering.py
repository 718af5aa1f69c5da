"""Answering a reply: change consent, ask staff, then send the one fixed answer.

Each step is committed before the next; no reply is ever left without a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mappings.delivery import Delivery, DeliveryState, Message
from mappings.endpoint import Endpoint
from mappings.errors import ChannelError
from mappings.preference import ConsentRecord, Who
from middleware.decisions.replies import (
    HOLDING,
    Intent,
    Reply,
    classify_reply,
    reply_text,
)
from middleware.stages.context import StageContext
from middleware.stages.handover import message_of, send
from middleware.stages.staff import ask_person
from middleware.storage import (
    deliveries,
    endpoints,
    inbound,
    preferences,
)
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch


@dataclass(frozen=True)
class _Reply:
    """A stored reply with what it was understood to mean."""

    row: inbound.InboundItem
    reply: Reply
    people: tuple[tuple[str, str], ...]
    latest: Delivery | None


def answer(
    context: StageContext, row: inbound.InboundItem, epoch: int, now: datetime
) -> None:
    """Change consent, ask staff, then answer once; each step is its own commit."""
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        people = tuple(preferences.list_patients_at(tx, row.channel, row.address))
        latest = deliveries.latest_delivery_to(tx, row.channel, row.address)
        found = _Reply(row, classify_reply(row.body), people, latest)
        _change(context, tx, known, found, now)
        message = _prepare(context, tx, known, found, now)
        inbound.finish_inbound(tx, row.id, ",".join(sorted(found.reply.intents)), now)
    if message is not None:
        _send(context, message)
    asked = people or tuple((name, "") for name in known)
    for shard in {shard_of(*person) for person in asked}:
        context.wake("record", shard)


def _change(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    found: _Reply,
    now: datetime,
) -> None:
    row, reply = found.row, found.reply
    if found.latest is not None:
        deliveries.mark_answered(tx, found.latest.id, now)
    if Intent.START in reply.intents and Intent.STOP not in reply.intents:
        for endpoint_id in endpoints_of(tx, row.channel, row.address):
            _permit(context, tx, endpoint_id, row)
    if Intent.WRONG_NUMBER in reply.intents:
        preferences.mark_bad_address(tx, row.channel, row.address, "wrong-number", now)
    if reply.needs_person:
        _ask(context, tx, known, found, now)


def _ask(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    found: _Reply,
    now: datetime,
) -> None:
    """Ask staff of everybody at this number; of a stranger's words as well."""
    row, reply = found.row, found.reply
    if not found.people and known:
        first = next(iter(known.values()))
        ask_person(
            context,
            tx,
            first,
            None,
            shard=shard_of(first.id, ""),
            priority="stat",
            reason="reply",
            text=(
                f"From {row.address} ({row.channel}), to which no message went: "
                f"{row.body}"
            ),
            now=now,
            key=f"reply|{row.id}",
        )
    for endpoint_id, patient in found.people:
        ask_person(
            context,
            tx,
            known[endpoint_id],
            patient,
            shard=shard_of(endpoint_id, patient),
            priority="stat",
            reason="reply-needs-person" if reply.intents & HOLDING else "reply",
            text=f"The patient's {row.channel} reply needs a person: {row.body}",
            now=now,
            key=f"reply|{row.id}|{endpoint_id}|{patient}",
        )


def _permit(
    context: StageContext, tx: Tx, endpoint_id: str, row: inbound.InboundItem
) -> None:
    preferences.insert_consent(
        tx,
        ConsentRecord(
            id=context.ids.new(),
            endpoint_id=endpoint_id,
            patient=None,
            system=row.channel,
            value=row.address,
            topic="*",
            permit=True,
            who=Who.PATIENT,
            how="reply START",
            recorded_at=row.received_at,
        ),
    )


def endpoints_of(tx: Tx, channel: str, address: str) -> list[str]:
    """Every endpoint whose charts bear this number; all of them when none does."""
    people = preferences.list_patients_at(tx, channel, address)
    named = {endpoint_id for endpoint_id, _ in people}
    return sorted(named) or [item.id for item in endpoints.list_endpoints(tx)]


def _prepare(
    context: StageContext,
    tx: Tx,
    known: Mapping[str, Endpoint],
    found: _Reply,
    now: datetime,
) -> Message | None:
    """Mark the one answer ``sending``; the row's own id makes it once."""
    row, latest = found.row, found.latest
    if not known:
        return None
    endpoint_id = latest.endpoint_id if latest else next(iter(known))
    language = latest.language if latest else "en"
    text = reply_text(found.reply, known[endpoint_id].site, language)
    if text is None:
        return None
    delivery = Delivery(
        id=f"reply-{row.id}",
        nudge_id=None,
        endpoint_id=endpoint_id,
        patient=latest.patient if latest else "",
        channel=row.channel,
        address=row.address,
        language=language,
        subject="",
        text=text,
        state=DeliveryState.SENDING,
        provider_id=None,
        sending_at=now,
    )
    deliveries.insert_delivery(tx, delivery, "reply")
    return message_of(context, delivery)


def _send(context: StageContext, message: Message) -> None:
    try:
        receipt = send(context, message)
    except ChannelError as error:
        state = DeliveryState.UNKNOWN if error.maybe_sent else DeliveryState.FAILED
        with context.database.tx() as tx:
            deliveries.set_delivery(
                tx,
                message.delivery_id,
                state,
                reason=error.reason,
                error=error.message,
            )
        return
    with context.database.tx() as tx:
        deliveries.set_delivery(
            tx,
            message.delivery_id,
            receipt.state,
            provider_id=receipt.provider_id,
            sent_at=context.clock.now(),
        )
