"""What a practitioner changes at once: the pause, the order of channels, a skip."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from mappings.nudge import OPEN_STATES, NudgeState, Outcome, Verdict
from mappings.preference import Who
from middleware.desk.editing.saving import Said, save_said, write_audit
from middleware.desk.values import Actor
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.storage import gate, nudges
from middleware.storage.decision_log import insert_nudge_decision


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
    said = Said("pause", value, Who.STAFF)
    save_said(context, view, actor, [said], version=version)


def save_resume(context: StageContext, view: View, actor: Actor, version: str) -> None:
    """End the pause now. Raises ChangedElsewhereError."""
    said = Said("pause", None, Who.STAFF)
    save_said(context, view, actor, [said], version=version)


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
    said = Said("channels", list(order), Who(who))
    save_said(context, view, actor, [said], version=version)


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
        write_audit(tx, view, actor, "nudge-skipped", about=about, now=now)
    return True


def _day_after(last: date, view: View) -> datetime:
    return datetime.combine(last + timedelta(days=1), time(), tzinfo=view.zone)
