"""What a practitioner changes for a patient: each save checked, recorded, audited.

A save names the version of what it was made from: when somebody else changed it in
between, nothing is written. Open messages are looked at again in the same transaction.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from mappings.errors import CareCueError
from mappings.nudge import OPEN_STATES, NudgeState, Outcome, Verdict
from mappings.preference import PreferenceRecord, Who
from middleware.decisions.deciding import decide_nudge
from middleware.desk.values import Actor
from middleware.desk.views import View, preference_version
from middleware.stages.context import StageContext
from middleware.stages.decide import apply_again
from middleware.stages.people import own_record
from middleware.stages.writing_back import save_preference
from middleware.storage import audit, gate, nudges
from middleware.storage.connecting import Tx
from middleware.storage.decision_log import insert_nudge_decision
from middleware.storage.ids import shard_of


class ChangedElsewhereError(CareCueError):
    """Somebody changed the same thing meanwhile; nothing of this save was kept."""

    def __init__(self) -> None:
        super().__init__(
            "somebody else changed this preference while the form was open; nothing "
            "was saved; look at it again and save again",
            permanent=True,
        )


def save_pause(
    context: StageContext,
    view: View,
    actor: Actor,
    *,
    last: date | None,
    why: str,
    version: str,
) -> None:
    """Pause all messages to the end of the patient's day ``last``; None is open-ended.

    Raises ChangedElsewhereError.
    """
    until = None if last is None else _day_after(last, view)
    value = {"until": until.isoformat() if until else None, "why": why}
    _save(
        context,
        view,
        actor,
        name="pause",
        value=value,
        who=Who.STAFF,
        version=version,
    )


def save_resume(context: StageContext, view: View, actor: Actor, version: str) -> None:
    """End the pause now. Raises ChangedElsewhereError."""
    _save(
        context,
        view,
        actor,
        name="pause",
        value=None,
        who=Who.STAFF,
        version=version,
    )


def save_channels(
    context: StageContext,
    view: View,
    actor: Actor,
    *,
    order: tuple[str, ...],
    who: str,
    version: str,
) -> None:
    """Record the order of channels, as said by ``who``. Raises ChangedElsewhereError."""
    _save(
        context,
        view,
        actor,
        name="channels",
        value=list(order),
        who=Who(who),
        version=version,
    )


def save_skip(
    context: StageContext, view: View, actor: Actor, nudge_id: str, why: str
) -> bool:
    """Skip one open message of this patient; False when it is not open any more."""
    now = context.clock.now()
    with context.database.tx() as tx:
        gate.lock_patient(tx, view.endpoint.id, view.patient)
        nudge = nudges.get_nudge(tx, nudge_id)
        mine = nudge is not None and (nudge.endpoint_id, nudge.patient) == (
            view.endpoint.id,
            view.patient,
        )
        if nudge is None or not mine or nudge.state not in OPEN_STATES:
            return False
        nudges.set_nudge(tx, nudge.id, NudgeState.SKIPPED, "skipped-by-staff", now)
        insert_nudge_decision(
            tx,
            nudge,
            Verdict(Outcome.SKIP, "skipped-by-staff", detail=why),
            id=context.ids.new(),
            stage="desk",
            decided_at=now,
        )
        about = (nudge.id, {"why": why})
        _audit(tx, view, actor, "nudge-skipped", about=about, now=now)
    return True


def _save(
    context: StageContext,
    view: View,
    actor: Actor,
    *,
    name: str,
    value: Any,
    who: Who,
    version: str,
) -> None:
    now = context.clock.now()
    with context.database.tx() as tx:
        gate.lock_patient(tx, view.endpoint.id, view.patient)
        own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
        if preference_version(own, name) != version:
            raise ChangedElsewhereError
        said = PreferenceRecord(name, value, who, "in the chart", now, actor.name)
        save_preference(context, tx, view.endpoint, view.patient, said)
        detail = {"name": name, "value": value, "who": who.value}
        _audit(tx, view, actor, "preference-saved", about=(name, detail), now=now)
        shards = _look_again(context, tx, view, now)
    for shard in sorted(shards):
        context.wake("deliver", shard)
    context.wake("record", shard_of(view.endpoint.id, view.patient))


def _look_again(context: StageContext, tx: Tx, view: View, now: datetime) -> set[int]:
    """Hold or plan the open messages anew; return their shards.

    Ending them is left to the pipeline, which reads the chart with fuller access.
    """
    shards: set[int] = set()
    own = own_record(tx, view.endpoint.id, view.patient, view.chart, now)
    for nudge in nudges.list_open_nudges(tx, view.endpoint.id, view.patient):
        candidate = decide_nudge(
            nudge, view.chart, own, view.library, view.endpoint, now
        )
        if candidate.verdict.outcome in (Outcome.SEND, Outcome.HOLD):
            apply_again(context, tx, nudge.event_id, nudge, candidate, now)
            shards.add(nudge.shard)
    return shards


def _audit(
    tx: Tx,
    view: View,
    actor: Actor,
    action: str,
    *,
    about: tuple[str, dict[str, Any]],
    now: datetime,
) -> None:
    subject, detail = about
    audit.insert_audit(
        tx,
        actor.reference,
        action,
        now,
        endpoint_id=view.endpoint.id,
        patient=view.patient,
        subject=subject,
        detail=detail,
    )


def _day_after(last: date, view: View) -> datetime:
    return datetime.combine(last + timedelta(days=1), time(), tzinfo=view.zone)
