"""DELIVER: at its time, read the truth again, pass the gate, hand over once.

The order is the safety: the chart is read outside any transaction; one transaction
locks the contact point and the patient, checks everything again and marks the delivery
``sending``; only after that commit is the channel called. A denial committed before
that commit always wins, and a delivery found ``sending`` is never sent again blindly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from mappings.chart import Chart
from mappings.delivery import Delivery, DeliveryState, Message
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.nudge import Nudge, NudgeState, Outcome, Verdict
from middleware.decisions.deciding import Candidate, decide_nudge
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.decide import ask_task
from middleware.stages.handover import hand_over, message_of, settle_orphans
from middleware.stages.merging import Reading, fetch_surviving, store_merges
from middleware.stages.people import own_record
from middleware.stages.steps_due import announce_step
from middleware.storage import decision_log, deliveries, endpoints, nudges, settling
from middleware.storage import gate as locks
from middleware.storage.connecting import Tx
from middleware.storage.shards import check_epoch

BATCH = 20
FRESH = timedelta(seconds=60)
EHR_RETRY = timedelta(minutes=5)
FAULT_RETRY = timedelta(hours=1)
LOOK_AGAIN = timedelta(hours=4)


@dataclass(frozen=True)
class Gate:
    """One nudge on its way through the gate."""

    context: StageContext
    endpoint: Endpoint
    nudge: Nudge
    epoch: int


def step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    """Handle what is due in this shard; return how many nudges were looked at."""
    settle_orphans(context, shard, epoch, now)
    with context.database.tx() as tx:
        due = nudges.list_due_nudges(tx, shard, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    for nudge in due:
        gate = Gate(context, known[nudge.endpoint_id], nudge, epoch)
        run, postpone = partial(_look, gate, now), partial(_postpone, gate, now)
        message = attempt("deliver", run, postpone)
        if message is not None:
            hand_over(context, gate.endpoint, nudge, message)
    return len(due)


def _look(gate: Gate, now: datetime) -> Message | None:
    """Return the message when it may go out now and is marked ``sending``."""
    chart = _read(gate, now)
    if chart is None:
        return None
    library = gate.context.library(gate.endpoint)
    nudge = gate.nudge
    announce_step(gate.context, library, nudge, chart, gate.epoch, now)
    with gate.context.database.tx() as tx:
        own = own_record(tx, nudge.endpoint_id, nudge.patient, chart, now)
    first = decide_nudge(nudge, chart, own, library, gate.endpoint, now, at_send=True)
    if first.verdict.outcome is not Outcome.SEND:
        _settle(gate, first, now)
        return None
    return _pass_gate(gate, chart, first)


def _postpone(gate: Gate, now: datetime, error: CareCueError) -> None:
    """Hold what cannot be looked at; past its time it is cancelled."""
    verdict = Verdict(Outcome.HOLD, "plan-unknown", until=now + FAULT_RETRY)
    with gate.context.database.tx() as tx:
        if _lock_unchanged(gate, tx):
            _hold(gate, tx, verdict, now, error=error.message)


def _read(gate: Gate, now: datetime) -> Chart | None:
    """Read the chart again; where that fails, hold the nudge and say so."""
    nudge = gate.nudge
    library = gate.context.library(gate.endpoint)
    try:
        api = gate.context.fhir(gate.endpoint)
        found = fetch_surviving(api, library, nudge.patient, now, focus=nudge.focus)
        return found.chart if not _went_over(gate, found, now) else None
    except CareCueError as error:
        gone = isinstance(error, FhirError) and error.status in (404, 410)
        reason = "patient-unknown" if gone else "ehr-unreachable"
        verdict = Verdict(Outcome.HOLD, reason, until=now + EHR_RETRY)
        with gate.context.database.tx() as tx:
            if _lock_unchanged(gate, tx):
                _hold(gate, tx, verdict, now, error=error.message)
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


def _lock_unchanged(gate: Gate, tx: Tx) -> bool:
    """Lock the patient; False when the nudge was changed since it was listed.

    DECIDE and staff change open nudges while the chart is read; what they did stands.
    """
    nudge = gate.nudge
    check_epoch(tx, "deliver", nudge.shard, gate.epoch)
    locks.lock_patient(tx, nudge.endpoint_id, nudge.patient)
    return _unchanged(nudge, tx)


def _unchanged(nudge: Nudge, tx: Tx) -> bool:
    present = nudges.get_nudge(tx, nudge.id)
    return present is not None and (
        present.state,
        present.due_at,
        present.patient,
    ) == (nudge.state, nudge.due_at, nudge.patient)


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
        if not _unchanged(nudge, tx):
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
            _conclude(gate, tx, last, present)
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
        channel=candidate.channel,
        address=candidate.address,
        language=candidate.language,
    )
    _record(gate, tx, candidate.verdict, now)
    return message_of(context, delivery)


def _settle(gate: Gate, candidate: Candidate, now: datetime) -> None:
    with gate.context.database.tx() as tx:
        if _lock_unchanged(gate, tx):
            _conclude(gate, tx, candidate, now)


def _conclude(gate: Gate, tx: Tx, candidate: Candidate, now: datetime) -> None:
    """Hold or end a nudge that may not go out now."""
    verdict, nudge = candidate.verdict, gate.nudge
    if verdict.outcome is Outcome.HOLD:
        _hold(gate, tx, verdict, now)
        return
    state = (
        NudgeState.FAILED if verdict.outcome is Outcome.FAIL else NudgeState.CANCELLED
    )
    nudges.set_nudge(tx, nudge.id, state, verdict.reason, now)
    _record(gate, tx, verdict, now)
    if verdict.reason == "record-inactive" and candidate.task is not None:
        ask_task(
            gate.context,
            tx,
            gate.endpoint,
            nudge.patient,
            nudge.shard,
            candidate.task,
            now,
        )


def _hold(
    gate: Gate, tx: Tx, verdict: Verdict, now: datetime, *, error: str | None = None
) -> None:
    """Keep it until there is reason to look again; past its time it is cancelled."""
    nudge = gate.nudge
    again = verdict.until or now + LOOK_AGAIN
    if now >= nudge.expires_at:
        held_for = nudge.reason if nudge.state is NudgeState.HELD else verdict.reason
        settling.end_held(tx, nudge.id, "window-passed", held_for, now)
        _record(gate, tx, Verdict(Outcome.CANCEL, "window-passed", verdict.facts), now)
        return
    due = min(max(again, now + timedelta(seconds=1)), nudge.expires_at)
    if verdict.reason == "not-yet":
        nudges.set_nudge(tx, nudge.id, NudgeState.PLANNED, "due", now, due_at=due)
        return
    nudges.set_nudge(
        tx, nudge.id, NudgeState.HELD, verdict.reason, now, due_at=due, error=error
    )
    if nudge.reason != verdict.reason:
        _record(gate, tx, verdict, now)


def _record(gate: Gate, tx: Tx, verdict: Verdict, now: datetime) -> None:
    nudge = gate.nudge
    decision_log.insert_decision(
        tx,
        id=gate.context.ids.new(),
        endpoint_id=nudge.endpoint_id,
        patient=nudge.patient,
        event_id=nudge.event_id,
        nudge_id=nudge.id,
        stage="deliver",
        plan=nudge.plan,
        plan_version=nudge.plan_version,
        action=nudge.action,
        verdict=verdict,
        decided_at=now,
    )
