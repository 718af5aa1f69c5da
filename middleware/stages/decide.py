"""DECIDE: which messages this event asks for, and which planned ones it changes.

The deciding itself is pure; this stage only reads what it needs, stores every verdict
with its facts, and plans, moves or cancels nudges in one transaction.
"""

from __future__ import annotations

from collections import Counter
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
from middleware.decisions.joining import join_candidates
from middleware.decisions.retries import next_attempt
from middleware.stages.attempting import attempt_together
from middleware.stages.context import StageContext
from middleware.stages.merging import read_again
from middleware.stages.people import note_bearers, own_records
from middleware.stages.planning import Decided, keep_times, store_candidates
from middleware.stages.staff import ask_person
from middleware.stages.undoing import ask_about_told, let_go_on
from middleware.stages.withdrawing import list_step_tasks, withdraw_tasks
from middleware.storage import decision_log, endpoints, events, nudges, people
from middleware.storage.connecting import Tx
from middleware.storage.shards import Held, check_epochs

Read = tuple[Event, Chart]

BATCH = 40
UNDECIDED = (
    "What follows from a change in this patient's record could not be decided. No "
    "message was planned for it. Look at the record and reach the patient if needed."
)


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Decide what is due in the shards; return how many events were handled."""
    with context.database.tx() as tx:
        waiting = events.list_events(tx, held, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)} if waiting else {}
    woken: set[tuple[str, int]] = set()
    for group in _groups(waiting):
        endpoint = known[group[0][0].endpoint_id]
        run = partial(_decide, context, endpoint, held, now)
        postpone = partial(_postpone, context, endpoint, held, now)
        unknown = {("record", event.shard) for event, _ in group}
        for wakes in attempt_together("decide", group, run, postpone):
            woken |= unknown if wakes is None else wakes
    for stage, shard in sorted(woken):
        context.wake(stage, shard)
    return len(waiting)


def _groups(waiting: Sequence[Read]) -> list[list[Read]]:
    """Split into groups of one endpoint in which each patient stands once.

    What follows on a patient sees what came of the patient's event before.
    """
    groups: dict[tuple[str, int], list[Read]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for event, chart in waiting:
        person = (event.endpoint_id, event.patient)
        groups.setdefault((event.endpoint_id, seen[person]), []).append((event, chart))
        seen[person] += 1
    return list(groups.values())


def _decide(
    context: StageContext,
    endpoint: Endpoint,
    held: Held,
    now: datetime,
    group: Sequence[Read],
) -> set[tuple[str, int]]:
    names = {event.patient: human_name(chart.patient)[0] for event, chart in group}
    with context.database.tx() as tx:
        check_epochs(tx, "decide", held)
        # The gate takes it too: what it marked sending is not open any more.
        living = people.lock_people(tx, endpoint.id, names, now)
        note_bearers(tx, endpoint.id, {event.patient: chart for event, chart in group})
        for event, _ in group:
            if event.patient not in living:
                read_again(tx, endpoint, event, now)
        reads = [read for read in group if read[0].patient in living]
        decided = _weigh(context, tx, endpoint, reads, now)
        for item in decided:
            for nudge, candidate in item.again:
                apply_again(context, tx, item.event.id, nudge, candidate, now)
        store_candidates(context, tx, decided, now)
        events.finish_event(tx, [item.event.id for item in decided], now)
        asked = [item for item in decided if _ask(context, tx, endpoint, item, now)]
    # What is due later is woken by the tick.
    planned = [
        item
        for item in decided
        for candidate in (*item.candidates, *(again for _, again in item.again))
        if candidate.due_at <= now
    ]
    woken = {"deliver": planned, "record": asked}
    return {(name, item.event.shard) for name, rows in woken.items() for item in rows}


def _weigh(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    reads: Sequence[Read],
    now: datetime,
) -> list[Decided]:
    """Decide each event, and look again at what was planned for its patient."""
    if not reads:
        return []
    library = context.library(endpoint)
    charts = {event.patient: chart for event, chart in reads}
    own = own_records(tx, endpoint.id, charts, now)
    opened: dict[str, list[Nudge]] = {}
    for nudge in nudges.list_open_nudges(tx, endpoint.id, *charts):
        opened.setdefault(nudge.patient, []).append(nudge)
    waiting = list_step_tasks(tx, endpoint, charts)
    found: list[Decided] = []
    for event, chart in reads:
        parts = (chart, own[event.patient], library, endpoint, now)
        candidates = [
            candidate
            for item in (event, *let_go_on(tx, endpoint, event, chart, now))
            for candidate in decide_event(item, *parts, only_on=True)
        ]
        again = [
            (nudge, decide_nudge(nudge, *parts))
            for nudge in opened.get(event.patient, ())
        ]
        candidates = keep_times(event, candidates, opened.get(event.patient, ()))
        joined = join_candidates([*candidates, *(one for _, one in again)])
        fresh, planned = joined[: len(candidates)], joined[len(candidates) :]
        pairs = [(nudge, one) for (nudge, _), one in zip(again, planned, strict=True)]
        asked = [
            (task, decide_nudge(step, *parts))
            for task, step in waiting.get(event.patient, ())
        ]
        found.append(Decided(event, fresh, pairs, asked))
    return found


def _ask(
    context: StageContext, tx: Tx, endpoint: Endpoint, item: Decided, now: datetime
) -> bool:
    """Ask for what only a person can do; tell whether anything was asked."""
    event = item.event
    asked = withdraw_tasks(context, tx, endpoint, item.tasks, now)
    for candidate in (*(one for _, one in item.again), *item.candidates):
        if candidate.task is not None:
            task, asked = candidate.task, True
            ask_task(context, tx, endpoint, event.patient, event.shard, task, now)
    return ask_about_told(context, tx, endpoint, event, now) or asked


def _postpone(
    context: StageContext,
    endpoint: Endpoint,
    held: Held,
    now: datetime,
    read: Read,
    error: CareCueError,
) -> None:
    """Try an event again later; at the end a person is asked."""
    event, _ = read
    due = None if error.permanent else next_attempt(event.attempts, now)
    with context.database.tx() as tx:
        check_epochs(tx, "decide", held)
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
        owner=task.owner,
    )


def apply_again(
    context: StageContext,
    tx: Tx,
    event_id: str | None,
    nudge: Nudge,
    candidate: Candidate,
    now: datetime,
    *,
    stage: str = "decide",
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
    decision_log.insert_nudge_decision(
        tx,
        nudge,
        verdict,
        id=context.ids.new(),
        stage=stage,
        decided_at=now,
        event_id=event_id,
    )
