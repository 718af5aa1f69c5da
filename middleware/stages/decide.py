"""DECIDE: which messages this event asks for, and which planned ones it changes.

The deciding itself is pure; this stage only reads what it needs, stores every verdict
with its facts, and plans, moves or cancels nudges in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from mappings.event import Event
from mappings.nudge import Nudge, NudgeState, Outcome
from mappings.resource import human_name
from middleware.decisions.deciding import (
    Candidate,
    StaffTask,
    decide_event,
    decide_nudge,
)
from middleware.decisions.retries import next_attempt
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.merging import read_again
from middleware.stages.people import own_record
from middleware.stages.staff import ask_person
from middleware.stages.undoing import ask_about_told, let_go_on
from middleware.storage import (
    decision_log,
    endpoints,
    events,
    nudges,
    people,
    settling,
)
from middleware.storage.connecting import Tx
from middleware.storage.gate import lock_patient
from middleware.storage.shards import check_epoch

BATCH = 20
UNDECIDED = (
    "What follows from a change in this patient's record could not be decided. No "
    "message was planned for it. Look at the record and reach the patient if needed."
)


def step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    """Decide what is due in this shard; return how many events were handled."""
    with context.database.tx() as tx:
        waiting = events.list_events(tx, shard, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    woken: set[str] = set()
    for event, chart in waiting:
        endpoint = known[event.endpoint_id]
        run = partial(_decide, context, endpoint, event, chart, epoch, now)
        postpone = partial(_postpone, context, endpoint, event, epoch, now)
        woken |= attempt("decide", run, postpone) or {"record"}
    for stage in sorted(woken):
        context.wake(stage, shard)
    return len(waiting)


def _decide(
    context: StageContext,
    endpoint: Endpoint,
    event: Event,
    chart: Chart,
    epoch: int,
    now: datetime,
) -> set[str]:
    library = context.library(endpoint)
    with context.database.tx() as tx:
        check_epoch(tx, "decide", event.shard, epoch)
        # The gate takes it too: what it marked sending is not open any more.
        if lock_patient(tx, endpoint.id, event.patient) is not None:
            read_again(tx, endpoint, event, now)
            return set()
        own = own_record(tx, endpoint.id, event.patient, chart, now)
        candidates = [
            candidate
            for item in (event, *let_go_on(tx, endpoint, event, chart, now))
            for candidate in decide_event(item, chart, own, library, endpoint, now)
        ]
        open_nudges = nudges.list_open_nudges(tx, endpoint.id, event.patient)
        again = [
            (nudge, decide_nudge(nudge, chart, own, library, endpoint, now))
            for nudge in open_nudges
        ]
        _apply_open(context, tx, endpoint, event, again, now)
        for candidate in candidates:
            _apply_new(context, tx, endpoint, event, candidate, now)
        people.remember_patient(
            tx, endpoint.id, event.patient, human_name(chart.patient)[0], now
        )
        events.finish_event(tx, [event.id], now)
        told = ask_about_told(context, tx, endpoint, event, now)
    woken = _wakes(candidates, [candidate for _, candidate in again])
    return woken | ({"record"} if told else set())


def _apply_open(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    event: Event,
    again: Sequence[tuple[Nudge, Candidate]],
    now: datetime,
) -> None:
    """Change what was planned before, and ask for what only a person can do."""
    patient, shard = event.patient, event.shard
    for nudge, candidate in again:
        apply_again(context, tx, event.id, nudge, candidate, now)
        if candidate.task is not None:
            ask_task(context, tx, endpoint, patient, shard, candidate.task, now)


def _postpone(
    context: StageContext,
    endpoint: Endpoint,
    event: Event,
    epoch: int,
    now: datetime,
    error: CareCueError,
) -> None:
    """Try an event again later; at the end a person is asked."""
    due = None if error.permanent else next_attempt(event.attempts, now)
    with context.database.tx() as tx:
        check_epoch(tx, "decide", event.shard, epoch)
        if due is not None:
            events.retry_event(tx, event.id, due, error.message)
            return
        events.kill_event(tx, event.id, error.message, now)
        ask_person(
            context,
            tx,
            endpoint,
            event.patient,
            shard=event.shard,
            priority="urgent",
            reason="plan-unknown",
            text=UNDECIDED,
            now=now,
            key=f"undecided|{event.focus}",
        )


def _wakes(*groups: Sequence[Candidate]) -> set[str]:
    found = {"deliver"} if any(groups) else set()
    tasks = any(item.task for group in groups for item in group)
    return found | ({"record"} if tasks else set())


def ask_task(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    patient: str,
    shard: int,
    task: StaffTask,
    now: datetime,
) -> None:
    """Ask a person what a verdict asks for, once per cause."""
    ask_person(
        context,
        tx,
        endpoint,
        patient,
        shard=shard,
        priority=task.priority,
        reason=task.reason,
        text=task.text,
        now=now,
        due_at=task.due_at,
        key=f"{endpoint.id}|{task.key}",
    )


def _apply_new(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    event: Event,
    candidate: Candidate,
    now: datetime,
) -> None:
    """Store the verdict on a new candidate and, where it is due, its nudge."""
    nudge_id = None
    lasting = candidate.verdict.outcome in (Outcome.SEND, Outcome.HOLD)
    if lasting and candidate.kind == "message":
        nudge = nudge_of(context.ids.new(), event, candidate, now)
        nudges.upsert_nudge(tx, nudge, now)
        nudge_id = settling.get_nudge_id(tx, nudge.key)
    if candidate.task is not None:
        ask_task(context, tx, endpoint, event.patient, event.shard, candidate.task, now)
    decision_log.insert_decision(
        tx,
        id=context.ids.new(),
        endpoint_id=endpoint.id,
        patient=event.patient,
        event_id=event.id,
        nudge_id=nudge_id,
        stage="decide",
        plan=candidate.plan.url,
        plan_version=candidate.plan.version,
        action=candidate.action.id,
        verdict=candidate.verdict,
        decided_at=now,
    )


def nudge_of(
    identifier: str, event: Event, candidate: Candidate, now: datetime
) -> Nudge:
    """Make the nudge that a candidate asks for."""
    held = candidate.verdict.outcome is Outcome.HOLD
    return Nudge(
        id=identifier,
        key=f"{event.endpoint_id}|{candidate.key}",
        endpoint_id=event.endpoint_id,
        event_id=event.id,
        patient=event.patient,
        shard=event.shard,
        plan=candidate.plan.url,
        plan_version=candidate.plan.version,
        action=candidate.action.id,
        topic=candidate.plan.topic,
        focus=candidate.focus,
        occasion=candidate.occasion,
        recipient=candidate.recipient,
        state=NudgeState.HELD if held else NudgeState.PLANNED,
        reason=candidate.verdict.reason,
        due_at=candidate.due_at,
        expires_at=candidate.expires_at,
        created_at=now,
        channel=candidate.channel,
        address=candidate.address,
        language=candidate.language,
        title=candidate.title,
        why=candidate.why,
        stops=candidate.stops,
        priority=candidate.plan.priority,
    )


def apply_again(
    context: StageContext,
    tx: Tx,
    event_id: str | None,
    nudge: Nudge,
    candidate: Candidate,
    now: datetime,
) -> None:
    """Move, hold or cancel an open nudge after its plan was looked at again."""
    verdict = candidate.verdict
    ended = verdict.outcome in (Outcome.CANCEL, Outcome.NOT_DUE, Outcome.FAIL)
    if ended:
        state, due = NudgeState.CANCELLED, nudge.due_at
    elif verdict.outcome is Outcome.HOLD:
        state, due = NudgeState.HELD, candidate.due_at
    else:
        state, due = NudgeState.PLANNED, candidate.due_at
    changed = (state, verdict.reason, due) != (nudge.state, nudge.reason, nudge.due_at)
    if not changed:
        return
    nudges.set_nudge(tx, nudge.id, state, verdict.reason, now, due_at=due)
    decision_log.insert_decision(
        tx,
        id=context.ids.new(),
        endpoint_id=nudge.endpoint_id,
        patient=nudge.patient,
        event_id=event_id,
        nudge_id=nudge.id,
        stage="decide",
        plan=nudge.plan,
        plan_version=nudge.plan_version,
        action=nudge.action,
        verdict=verdict,
        decided_at=now,
    )
