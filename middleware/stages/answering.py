"""Answering a reply: change consent, ask staff, then send the one fixed answer.

Each step is committed before the next; no reply is ever left without a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import Endpoint, EndpointKind
from mappings.preference import Who
from middleware.decisions.loss import TOLD
from middleware.decisions.replies import (
    HOLDING,
    Intent,
    Reply,
    classify_reply,
    reply_text,
)
from middleware.decisions.timing import business_day_end
from middleware.stages.consenting import record_answer
from middleware.stages.context import StageContext
from middleware.stages.fixed_answers import Answer, give_answer
from middleware.stages.staff import ask_person
from middleware.storage import (
    deliveries,
    endpoints,
    inbound,
    nudges,
    preferences,
)
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.shards import check_epoch

MEDICINES = "medication"
PHARMACIST = (
    "Pharmacist: the patient answered a message about medicines and needs help with "
    "them. Call, find out what could not be got and why, and see to it."
)
NOBODY = (
    "Somebody wrote to us and no EHR is connected, so nobody was asked and nothing was "
    "answered; connect it and let this run again"
)


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
    """Change consent and ask staff, once; then give the answer, or go on giving it."""
    with context.database.tx() as tx:
        check_epoch(tx, "listen", row.shard, epoch)
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        people = tuple(preferences.list_patients_at(tx, row.channel, row.address))
        latest = deliveries.latest_delivery_to(tx, row.channel, row.address)
        found = _Reply(row, classify_reply(row.body), people, latest)
        asked = whom_to_ask(known, people)
        if row.intent is None:
            row = inbound.note_intent(tx, row, ",".join(sorted(found.reply.intents)))
            _change(context, tx, found, asked, now)
        draft = _draft(found, asked, now)
        if draft is None and not asked:
            inbound.kill_inbound(tx, row.id, NOBODY, now)
        elif draft is None:
            inbound.finish_inbound(tx, row.id, row.intent, now)
    # Staff hear of it before the provider is waited for.
    for shard in {shard_of(item.id, patient or "") for item, patient in asked}:
        context.wake("record", shard)
    if draft is not None:
        give_answer(context, Answer(row, draft, epoch), now)


def whom_to_ask(
    known: Mapping[str, Endpoint], people: Sequence[tuple[str, str]]
) -> list[tuple[Endpoint, str | None]]:
    """Return the staff to ask: of everybody at the number, or else of every EHR.

    Somebody whom no chart knows may be anybody's patient. Where EHRs in production are
    connected, nobody looks for a patient in a test or sandbox.
    """
    theirs = [(known[name], patient) for name, patient in people if name in known]
    if theirs:
        return [*theirs]
    real = [item for item in known.values() if item.kind is EndpointKind.PRODUCTION]
    return [(item, None) for item in real or known.values()]


def _change(
    context: StageContext,
    tx: Tx,
    found: _Reply,
    asked: Sequence[tuple[Endpoint, str | None]],
    now: datetime,
) -> None:
    row, reply = found.row, found.reply
    if found.latest is not None:
        deliveries.mark_answered(tx, found.latest.id, now)
    if Intent.START in reply.intents and Intent.STOP not in reply.intents:
        for endpoint_id in endpoints_of(tx, row.channel, row.address):
            record_answer(
                context,
                tx,
                endpoint_id,
                (row.channel, row.address),
                permit=True,
                how="reply START",
                recorded_at=row.received_at,
            )
    if Intent.WRONG_NUMBER in reply.intents:
        preferences.mark_bad_address(tx, row.channel, row.address, "wrong-number", now)
    if not reply.needs_person:
        return
    if Intent.LOSS in reply.intents:
        _remember_loss(context, tx, row, asked)
    for endpoint, patient in asked:
        _ask(context, tx, found, endpoint, patient, now)
        _ask_pharmacist(context, tx, found, endpoint, patient, now)


def _remember_loss(
    context: StageContext,
    tx: Tx,
    row: inbound.InboundItem,
    asked: Sequence[tuple[Endpoint, str | None]],
) -> None:
    """Keep cheerful messages from everybody at the number for a year."""
    for endpoint, patient in asked:
        if patient is not None:
            preferences.insert_preference(
                tx,
                id=context.ids.new(),
                endpoint_id=endpoint.id,
                patient=patient,
                name=TOLD,
                value=True,
                who=Who.LEARNED,
                how=f"reply by {row.channel}",
                recorded_by=None,
                recorded_at=row.received_at,
            )


def _ask(
    context: StageContext,
    tx: Tx,
    found: _Reply,
    endpoint: Endpoint,
    patient: str | None,
    now: datetime,
) -> None:
    """Ask staff about somebody at this number; of a stranger's words as well."""
    row, holds = found.row, found.reply.intents & HOLDING
    text = f"The patient's {row.channel} reply needs a person: {row.body}"
    if patient is None:
        holds = frozenset()
        text = (
            f"From {row.address} ({row.channel}), to which no message went: {row.body}"
        )
    ask_person(
        context,
        tx,
        endpoint,
        patient,
        shard=shard_of(endpoint.id, patient or ""),
        priority="stat",
        reason="reply-needs-person" if holds else "reply",
        text=text,
        now=now,
        key=f"reply|{row.id}|{endpoint.id}|{patient or ''}",
    )


def _ask_pharmacist(
    context: StageContext,
    tx: Tx,
    found: _Reply,
    endpoint: Endpoint,
    patient: str | None,
    now: datetime,
) -> None:
    """Ask a pharmacist too where the answer is to a message about medicines."""
    latest = found.latest
    if latest is None or Intent.CHANGE not in found.reply.intents:
        return
    nudge = nudges.get_nudge(tx, latest.nudge_id) if latest.nudge_id else None
    if nudge is None or (nudge.topic, nudge.patient) != (MEDICINES, patient):
        return
    site = endpoint.site
    ask_person(
        context,
        tx,
        endpoint,
        patient,
        shard=shard_of(endpoint.id, nudge.patient),
        priority="urgent",
        reason="medicines-answer",
        text=PHARMACIST,
        now=now,
        due_at=business_day_end(now, 1, site.zone, site.holidays),
        key=f"medicines|{found.row.id}|{endpoint.id}|{patient}",
    )


def endpoints_of(tx: Tx, channel: str, address: str) -> list[str]:
    """Every endpoint whose charts bear this number; all of them when none does."""
    people = preferences.list_patients_at(tx, channel, address, on_charts=True)
    named = {endpoint_id for endpoint_id, _ in people}
    return sorted(named) or [item.id for item in endpoints.list_endpoints(tx)]


def _draft(
    found: _Reply, asked: Sequence[tuple[Endpoint, str | None]], now: datetime
) -> Delivery | None:
    """Write the one answer, in the name of whoever wrote last; None where none fits."""
    row, latest = found.row, found.latest
    if not asked:
        return None
    known = {endpoint.id: endpoint for endpoint, _ in asked}
    ours = latest if latest is not None and latest.endpoint_id in known else None
    endpoint = known[ours.endpoint_id] if ours else asked[0][0]
    language = latest.language if latest else "en"
    text = reply_text(found.reply, endpoint.site, language)
    if text is None:
        return None
    return Delivery(
        id="",
        nudge_id=None,
        endpoint_id=endpoint.id,
        patient=ours.patient if ours else "",
        channel=row.channel,
        address=row.address,
        language=language,
        subject="",
        text=text,
        state=DeliveryState.SENDING,
        provider_id=None,
        sending_at=now,
    )
