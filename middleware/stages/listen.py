"""LISTEN: what patients answer and what providers report.

A STOP is honoured in the very transaction that stores the reply; everything else is
worked off from the row. No reply is ever left without a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from mappings.delivery import Delivery, DeliveryState, Message
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, ChannelError
from mappings.preference import ConsentRecord, Who
from middleware.decisions.replies import Intent, Reply, classify_reply, reply_text
from middleware.decisions.retries import next_attempt
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.handover import deny, message_of, send
from middleware.stages.orphans import settle_answers
from middleware.stages.receipts import apply_receipt
from middleware.stages.staff import ask_person
from middleware.storage import (
    deliveries,
    endpoints,
    inbound,
    preferences,
    tasks,
)
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch

BATCH = 40
HOLDING = frozenset({Intent.SYMPTOM, Intent.DEATH, Intent.WRONG_NUMBER})


def keep_reply(
    context: StageContext,
    channel: str,
    address: str,
    provider_id: str,
    text: str,
    now: datetime,
) -> bool:
    """Store a reply, and a STOP in it at once; False when it was known already."""
    shard = shard_of(channel, address)
    reply = classify_reply(text)
    with context.database.tx() as tx:
        fresh = inbound.insert_inbound(
            tx,
            key=f"{channel}:{provider_id}:reply",
            channel=channel,
            source="reply",
            address=address,
            body=text,
            detail={},
            received_at=now,
            shard=shard,
        )
        if fresh and Intent.STOP in reply.intents:
            for endpoint_id in _endpoints_of(tx, channel, address):
                deny(context, tx, endpoint_id, channel, address, "reply STOP")
    if fresh:
        context.wake("listen", shard)
    return fresh


def keep_receipt(
    context: StageContext,
    channel: str,
    delivery_id: str,
    status: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Store a provider's report on one message; False when it was known already."""
    shard = shard_of(channel, delivery_id)
    with context.database.tx() as tx:
        fresh = inbound.insert_inbound(
            tx,
            key=f"{channel}:{delivery_id}:{status}",
            channel=channel,
            source="receipt",
            address=delivery_id,
            body=status,
            detail=dict(detail),
            received_at=now,
            shard=shard,
        )
    if fresh:
        context.wake("listen", shard)
    return fresh


def step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    """Work off replies and receipts; return how many rows were handled."""
    settle_answers(context, shard, epoch, now)
    with context.database.tx() as tx:
        rows = inbound.list_inbound(tx, shard, now, BATCH)
    for row in rows:
        work = _receive_report if row.source == "receipt" else _answer
        run = partial(work, context, row, epoch, now)
        attempt("listen", run, partial(_postpone, context, row, epoch, now))
    return len(rows)


def _receive_report(
    context: StageContext, row: inbound.InboundItem, epoch: int, now: datetime
) -> None:
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        woken = apply_receipt(context, tx, row, now)
    if woken is not None:
        context.wake("record", woken)


def _postpone(
    context: StageContext,
    row: inbound.InboundItem,
    epoch: int,
    now: datetime,
    error: CareCueError,
) -> None:
    due = None if error.permanent else next_attempt(row.attempts, now)
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        if due is None:
            inbound.kill_inbound(tx, row.id, error.message, now)
        else:
            inbound.retry_inbound(tx, row.id, due, error.message)


@dataclass(frozen=True)
class _Reply:
    """A stored reply with what it was understood to mean."""

    row: inbound.InboundItem
    reply: Reply
    people: tuple[tuple[str, str], ...]
    latest: Delivery | None


def _answer(
    context: StageContext, row: inbound.InboundItem, epoch: int, now: datetime
) -> None:
    """Change consent, ask staff, then answer once; each step is its own commit."""
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        people = tuple(
            item
            for item in preferences.list_patients_at(tx, row.channel, row.address)
            if item[1]  # an answer to a stranger bears no patient
        )
        latest = deliveries.latest_delivery_to(tx, row.channel, row.address)
        found = _Reply(row, classify_reply(row.body), people, latest)
        _change(context, tx, known, found, now)
        message = _prepare(context, tx, known, found, now)
        inbound.finish_inbound(tx, row.id, ",".join(sorted(found.reply.intents)), now)
    if message is not None:
        _send(context, message)
    for shard in {shard_of(*person) for person in people}:
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
        for endpoint_id in _endpoints_of(tx, row.channel, row.address):
            _permit(context, tx, endpoint_id, row)
    if Intent.WRONG_NUMBER in reply.intents:
        preferences.mark_bad_address(tx, row.channel, row.address, "wrong-number", now)
    if not reply.needs_person:
        return
    if not found.people and known:
        tasks.insert_task(
            tx,
            id=f"task-reply|{row.id}",
            endpoint_id=next(iter(known)),
            patient=None,
            nudge_id=None,
            priority="stat",
            reason="reply",
            text=f"A {row.channel} reply from an unknown sender: {row.body}",
            now=now,
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


def _endpoints_of(tx: Tx, channel: str, address: str) -> list[str]:
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
