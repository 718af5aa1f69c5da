"""What a verdict at the gate does to its nudge: hold it, plan it anew or end it.

Nothing is read or sent here; whoever calls has the chart and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict

from mappings.endpoint import Endpoint
from mappings.nudge import Nudge, NudgeState, Outcome, Verdict
from middleware.decisions.deciding import Candidate
from middleware.decisions.retries import LOOK_AGAIN
from middleware.stages.context import StageContext
from middleware.stages.decide import ask_task
from middleware.storage import decision_log, nudges, settling
from middleware.storage import gate as locks
from middleware.storage.connecting import Tx
from middleware.storage.shards import check_epoch


@dataclass(frozen=True)
class Gate:
    """One nudge on its way through the gate."""

    context: StageContext
    endpoint: Endpoint
    nudge: Nudge
    epoch: int


class Way(TypedDict, total=False):
    """How a message would go, as ``set_nudge`` takes it; None leaves what is stored."""

    channel: str | None
    address: str | None
    language: str | None
    recipient: str | None


def lock_unchanged(gate: Gate, tx: Tx) -> bool:
    """Lock the patient; False when the nudge was changed since it was listed.

    DECIDE and staff change open nudges while the chart is read; what they did stands.
    """
    nudge = gate.nudge
    check_epoch(tx, "deliver", nudge.shard, gate.epoch)
    locks.lock_patient(tx, nudge.endpoint_id, nudge.patient)
    return unchanged(nudge, tx)


def unchanged(nudge: Nudge, tx: Tx) -> bool:
    """Tell whether it stands as it was listed."""
    present = nudges.get_nudge(tx, nudge.id)
    return present is not None and (
        present.state,
        present.due_at,
        present.patient,
    ) == (nudge.state, nudge.due_at, nudge.patient)


def settle(
    gate: Gate,
    verdict: Verdict,
    now: datetime,
    *,
    route: Candidate | None = None,
    error: str | None = None,
) -> None:
    """Carry a verdict out in a transaction of its own, unless the nudge has changed."""
    with gate.context.database.tx() as tx:
        if lock_unchanged(gate, tx):
            conclude(gate, tx, verdict, now, route=route, error=error)


def conclude(
    gate: Gate,
    tx: Tx,
    verdict: Verdict,
    now: datetime,
    *,
    route: Candidate | None = None,
    error: str | None = None,
) -> None:
    """Hold or end a nudge that may not go out now; ``route`` is the way it would go."""
    nudge = gate.nudge
    if verdict.outcome is Outcome.HOLD:
        _hold(gate, tx, verdict, now, route=route, error=error)
        return
    state = (
        NudgeState.FAILED if verdict.outcome is Outcome.FAIL else NudgeState.CANCELLED
    )
    nudges.set_nudge(tx, nudge.id, state, verdict.reason, now)
    record(gate, tx, verdict, now)
    _ask(gate, tx, route, now)


def _ask(gate: Gate, tx: Tx, route: Candidate | None, now: datetime) -> None:
    """Ask for what only a person can do about a verdict, once per cause."""
    nudge = gate.nudge
    task = route.task if route is not None else None
    if task is not None:
        ask_task(gate.context, tx, gate.endpoint, nudge.patient, nudge.shard, task, now)


def _hold(
    gate: Gate,
    tx: Tx,
    verdict: Verdict,
    now: datetime,
    *,
    route: Candidate | None,
    error: str | None,
) -> None:
    """Keep it until there is reason to look again; past its time it is cancelled."""
    nudge = gate.nudge
    again = verdict.until or now + LOOK_AGAIN
    if now >= nudge.expires_at:
        held_for = nudge.reason if nudge.state is NudgeState.HELD else verdict.reason
        settling.end_held(tx, nudge.id, "window-passed", held_for, now)
        record(gate, tx, Verdict(Outcome.CANCEL, "window-passed", verdict.facts), now)
        return
    due = min(max(again, now + timedelta(seconds=1)), nudge.expires_at)
    state, reason = NudgeState.HELD, verdict.reason
    if reason == "not-yet":
        state, reason = NudgeState.PLANNED, "due"
    nudges.set_nudge(
        tx, nudge.id, state, reason, now, due_at=due, error=error, **route_of(route)
    )
    if state is NudgeState.HELD and nudge.reason != reason:
        record(gate, tx, verdict, now)
        _ask(gate, tx, route, now)


def ask_staff(gate: Gate, candidate: Candidate, now: datetime) -> None:
    """Ask staff what a step asks of them now; that ends its nudge."""
    nudge, context, task = gate.nudge, gate.context, candidate.task
    assert task is not None
    with context.database.tx() as tx:
        if not lock_unchanged(gate, tx):
            return
        ask_task(context, tx, gate.endpoint, nudge.patient, nudge.shard, task, now)
        nudges.set_nudge(tx, nudge.id, NudgeState.SENT, "asked", now)
        record(gate, tx, replace(candidate.verdict, reason="asked"), now)
    context.wake("record", nudge.shard)


def route_of(candidate: Candidate | None) -> Way:
    """Return the way that a candidate would go; empty without one."""
    if candidate is None:
        return {}
    return {
        "channel": candidate.channel,
        "address": candidate.address,
        "language": candidate.language,
        "recipient": candidate.recipient,
    }


def record(gate: Gate, tx: Tx, verdict: Verdict, now: datetime) -> None:
    """Keep the verdict with its facts."""
    decision_log.insert_nudge_decision(
        tx,
        gate.nudge,
        verdict,
        id=gate.context.ids.new(),
        stage="deliver",
        decided_at=now,
    )
