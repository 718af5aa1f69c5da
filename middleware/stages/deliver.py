"""DELIVER: at its time, read the truth again, pass the gate, hand over once.

The order is the safety: the chart is read outside any transaction; one transaction
locks the contact point and the patient, checks everything again and marks the delivery
``sending``; only after that commit is the channel called. A denial committed before
that commit always wins, and a delivery found ``sending`` is never sent again blindly.

Patients go side by side, each one's messages in their order; a channel that is full or
shut leaves its rows for later and holds up no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from mappings.chart import Chart
from mappings.delivery import Delivery, DeliveryState, Message
from mappings.errors import CareCueError, FhirError
from mappings.nudge import NudgeState, Outcome, Verdict
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.handover import hand_over, message_of, settle_orphans
from middleware.stages.lanes import Place
from middleware.stages.merging import Reading, store_merges
from middleware.stages.people import own_record
from middleware.stages.rereading import read_again
from middleware.stages.side_by_side import work_side_by_side
from middleware.stages.steps_due import announce_step
from middleware.stages.verdicts import (
    Gate,
    ask_staff,
    conclude,
    lock_unchanged,
    record,
    route_of,
    settle,
    unchanged,
)
from middleware.storage import deliveries, endpoints, nudges
from middleware.storage import gate as locks
from middleware.storage.connecting import Tx
from middleware.storage.shards import Held, check_epoch

# Enough for several channels: what waits for a full one stands first in the list.
BATCH = 200
FRESH = timedelta(seconds=60)
EHR_RETRY = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
FAULT_RETRY = timedelta(hours=1)


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Handle what is due in the shards; return how many nudges were looked at."""
    return sum(_step(context, shard, epoch, now) for shard, epoch in held.items())


def _step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    settle_orphans(context, shard, epoch, now)
    with context.database.tx() as tx:
        due = nudges.list_due_nudges(tx, shard, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    patients: dict[tuple[str, str], list[Gate]] = {}
    for nudge in due:
        gate = Gate(context, known[nudge.endpoint_id], nudge, epoch)
        patients.setdefault((nudge.endpoint_id, nudge.patient), []).append(gate)
    work = partial(_deliver, now)
    return work_side_by_side(context.lanes, patients.values(), _lane, work)


def _lane(gate: Gate) -> str:
    """Return the channel that it was planned for; "" where none is known."""
    return gate.nudge.channel or ""


def _deliver(now: datetime, gate: Gate, place: Place) -> bool:
    """Look at one nudge, send it if it may go; False where its lane is full."""
    run, postpone = partial(_look, gate, place, now), partial(_postpone, gate, now)
    message = attempt("deliver", run, postpone)
    if message is not None:
        hand_over(gate.context, gate.endpoint, gate.nudge, message)
    return not place.refused


def _look(gate: Gate, place: Place, now: datetime) -> Message | None:
    """Return the message when it may go out now and is marked ``sending``."""
    context, nudge = gate.context, gate.nudge
    if nudge.state is NudgeState.HELD and nudge.reason == "channel-down":
        until = context.lanes.is_shut(_lane(gate), now)
        if until is not None:
            # It was read when it came to be held: the EHR is spared.
            settle(gate, Verdict(Outcome.HOLD, "channel-down", until=until), now)
            return None
    chart = _read(gate, now)
    if chart is None:
        return None
    library = context.library(gate.endpoint)
    announce_step(context, library, nudge, chart, gate.epoch, now)
    with context.database.tx() as tx:
        own = own_record(tx, nudge.endpoint_id, nudge.patient, chart, now)
    first = decide_nudge(nudge, chart, own, library, gate.endpoint, now, at_send=True)
    if first.verdict.outcome is not Outcome.SEND:
        settle(gate, first.verdict, now, route=first)
        return None
    if first.kind == "task":
        ask_staff(gate, first, now)
        return None
    assert first.channel is not None
    if not place.move(first.channel):
        _plan_for(gate, first, now)
        return None
    until = context.lanes.admit(first.channel, now)
    if until is not None:
        shut = Verdict(Outcome.HOLD, "channel-down", first.verdict.facts, until=until)
        settle(gate, shut, now, route=first)
        return None
    return _pass_gate(gate, chart, first)


def _postpone(gate: Gate, now: datetime, error: CareCueError) -> None:
    """Hold what cannot be looked at; past its time it is cancelled."""
    verdict = Verdict(Outcome.HOLD, "plan-unknown", until=now + FAULT_RETRY)
    settle(gate, verdict, now, error=error.message)


def _read(gate: Gate, now: datetime) -> Chart | None:
    """Read the chart again; where that fails, hold the nudge and say so."""
    try:
        found = read_again(gate.context, gate.endpoint, gate.nudge, now)
        return found.chart if not _went_over(gate, found, now) else None
    except CareCueError as error:
        gone = isinstance(error, FhirError) and error.status in (404, 410)
        reason = "patient-unknown" if gone else "ehr-unreachable"
        asked = error.retry_after if isinstance(error, FhirError) else None
        wait = timedelta(seconds=asked) if asked else EHR_RETRY
        verdict = Verdict(Outcome.HOLD, reason, until=now + min(wait, LONGEST_WAIT))
        settle(gate, verdict, now, error=error.message)
        return None


def _went_over(gate: Gate, found: Reading, now: datetime) -> bool:
    """Tell whether the record was merged; its messages are another's from now on."""
    if not (found.merges or found.told):
        return False
    with gate.context.database.tx() as tx:
        check_epoch(tx, "deliver", gate.nudge.shard, gate.epoch)
        woken = store_merges(tx, gate.endpoint, [found], now)
    for stage, shard in sorted(woken):
        gate.context.wake(stage, shard)
    return found.patient != gate.nudge.patient


def _plan_for(gate: Gate, candidate: Candidate, now: datetime) -> None:
    """Leave it due, in the lane of the channel that it now goes by."""
    nudge = gate.nudge
    with gate.context.database.tx() as tx:
        if lock_unchanged(gate, tx):
            nudges.set_nudge(
                tx, nudge.id, nudge.state, nudge.reason, now, **route_of(candidate)
            )


def _pass_gate(gate: Gate, chart: Chart, first: Candidate) -> Message | None:
    """Decide again under lock and mark the delivery ``sending``."""
    nudge, context = gate.nudge, gate.context
    assert first.channel is not None
    assert first.address is not None
    with context.database.tx() as tx:
        check_epoch(tx, "deliver", nudge.shard, gate.epoch)
        locks.lock_gate(
            tx,
            endpoint_id=nudge.endpoint_id,
            patient=nudge.patient,
            system=first.channel,
            value=first.address,
        )
        if not unchanged(nudge, tx):
            return None
        present = context.clock.now()
        own = own_record(tx, nudge.endpoint_id, nudge.patient, chart, present)
        library = context.library(gate.endpoint)
        last = decide_nudge(
            nudge, chart, own, library, gate.endpoint, present, at_send=True
        )
        same = (last.channel, last.address) == (first.channel, first.address)
        if last.verdict.outcome is Outcome.SEND and not same:
            nudges.set_nudge(
                tx, nudge.id, NudgeState.PLANNED, "due", present, due_at=present
            )
            return None
        if last.verdict.outcome is Outcome.SEND and present - chart.read_at > FRESH:
            last = _stale(last, present)
        if last.verdict.outcome is not Outcome.SEND:
            conclude(gate, tx, last.verdict, present, route=last)
            return None
        return _mark_sending(gate, tx, last, present)


def _stale(candidate: Candidate, now: datetime) -> Candidate:
    verdict = Verdict(Outcome.HOLD, "facts-stale", candidate.verdict.facts, until=now)
    return candidate.with_verdict(verdict)


def _mark_sending(gate: Gate, tx: Tx, candidate: Candidate, now: datetime) -> Message:
    nudge, context = gate.nudge, gate.context
    assert candidate.channel is not None
    assert candidate.address is not None
    delivery = Delivery(
        id=context.ids.new(),
        nudge_id=nudge.id,
        endpoint_id=nudge.endpoint_id,
        patient=nudge.patient,
        channel=candidate.channel,
        address=candidate.address,
        language=candidate.language or "",
        subject=candidate.subject,
        text=candidate.text,
        state=DeliveryState.SENDING,
        provider_id=None,
        sending_at=now,
    )
    deliveries.insert_delivery(tx, delivery, nudge.topic)
    nudges.set_nudge(
        tx,
        nudge.id,
        NudgeState.SENDING,
        "due",
        now,
        attempts=nudge.attempts + 1,
        **route_of(candidate),
    )
    record(gate, tx, candidate.verdict, now)
    return message_of(context, delivery)
