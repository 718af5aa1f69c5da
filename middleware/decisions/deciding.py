"""Decide: which messages an event asks for, and whether a planned one may go.

Pure: the same chart, own record, library, endpoint and instant give the same answer.
The order of the checks is fixed (hard stops, then what is already met, consent,
confidentiality, language, wording, hours, limits) and the first that fails is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.event import DECIDED_AS, Event, EventKind
from mappings.instants import find_instant
from mappings.nudge import Fact, Nudge, Outcome, Verdict
from mappings.plan import Library, Plan, PlanAction
from mappings.preference import OwnRecord
from middleware.decisions.candidate import (
    Candidate,
    StaffTask,
    describe,
    stand_in,
)
from middleware.decisions.circumstance import Case, Step, open_case
from middleware.decisions.dated import GONE, OF_THE_PATIENT, find_dated, list_dated
from middleware.decisions.evidence import key_facts
from middleware.decisions.focus import event_instant, occasions
from middleware.decisions.gate import judge
from middleware.decisions.joining import join_candidates
from middleware.decisions.matching import find_action, match_plans
from middleware.decisions.rollout import is_switched_off
from middleware.decisions.series import series_event, series_occasion
from middleware.decisions.timing import due_instant

__all__ = ["Candidate", "StaffTask", "decide_event", "decide_nudge"]


def decide_event(
    event: Event,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
    *,
    only_on: bool = False,
) -> tuple[Candidate, ...]:
    """Return every matching plan's steps, also those that do not apply, with why.

    With ``only_on`` those of plans that are switched off here for everybody are left out.

    Steps of one bundle that fall together are one message; the most urgent leads.

    A focus that is not in the chart gives CANCEL (gone) or HOLD (unread).
    """
    plans = [
        plan
        for plan in match_plans(library, event.kind)
        if not (only_on and is_switched_off(plan, endpoint, now))
    ]
    if not plans:
        return ()
    case = open_case(chart, own, library, endpoint, now)
    review = event.kind is EventKind.PATIENT_REVIEW
    found: list[Candidate] = []
    for plan in plans:
        for action in plan.actions:
            steps = _steps(_blank(case, plan, action, event), review=review)
            found.extend(_candidate(event, step) for step in steps)
    return join_candidates(found)


def _blank(case: Case, plan: Plan, action: PlanAction, event: Event) -> Step:
    """Return a step of a plan that an event starts, of no occasion yet."""
    trigger = case.chart.find(event.focus)
    reference = event.patient if plan.occasion in OF_THE_PATIENT else event.focus
    instant = event_instant(trigger or {}, event.occurred_at)
    return Step(
        case=case,
        plan=plan,
        action=action,
        reference=reference,
        focus=case.chart.find(reference),
        occasion="",
        recipient=event.patient,
        # A welcome counts from when the patient came to us, not from a visit.
        event=event.occurred_at if plan.occasion == "patient" else instant,
        trigger=trigger,
        kind=event.kind.value,
        changed=_happened(event),
    )


def _happened(event: Event) -> datetime:
    """Return when it happened; the EHR's clock may be ahead of ours."""
    return min(event.occurred_at, event.received_at)


def _steps(blank: Step, *, review: bool) -> Iterator[Step]:
    """Yield the step once for each of its occasions."""
    case, focus, plan = blank.case, blank.focus, blank.plan
    if plan.occasion in GONE:
        parts = (plan.occasion, focus or {}, case.chart, case.zone, case.now)
        key = ("dated", plan.occasion, blank.reference)
        listed = case.once(key, lambda: list_dated(*parts))
        for item in listed:
            about = item.reference or blank.reference
            yield replace(
                blank,
                reference=about,
                focus=case.chart.find(about),
                occasion=item.occasion,
                activity=item,
            )
        return
    if plan.occasion == "interval":
        known = (plan, case.own.sent, case.library, case.now)
        start = series_event(*known, event=blank.event, review=review)
        yield replace(blank, occasion=series_occasion(*known), event=start)
        return
    due = blank.event + timedelta(hours=blank.action.timing.offset_hours)
    for occasion in occasions(blank.plan, focus or {}, due):
        yield replace(blank, occasion=occasion)


def _candidate(event: Event, step: Step) -> Candidate:
    timing = step.action.timing
    due = _due(step)
    if due is None:
        verdict = Verdict(Outcome.HOLD, "data-missing", _known(step))
        return describe(step, verdict, step.case.now, step.case.now)
    expires = due + timedelta(hours=timing.window_hours)
    if timing.anchor == "focus-start" and _happened(event) > due:
        detail = "the visit was booked after the time of this reminder"
        verdict = Verdict(Outcome.CANCEL, "window-passed", _known(step), detail=detail)
        return describe(step, verdict, due, expires)
    kind = DECIDED_AS.get(event.kind, event.kind)
    early = step.plan.trigger_conditions.get(kind.value)
    found = judge(step, due, expires, early=early, at_send=False)
    return _not_too_late(found, step.case.now)


def _not_too_late(found: Candidate, now: datetime) -> Candidate:
    """Cancel what was over before it was first decided on; nobody is asked either.

    An EHR that is connected today tells of years of stays and visits.
    """
    if now < found.expires_at:
        return found
    verdict = found.verdict
    if verdict.outcome in (Outcome.SEND, Outcome.HOLD):
        verdict = Verdict(Outcome.CANCEL, "window-passed", verdict.facts)
    return replace(found, verdict=verdict, task=None)


def _known(step: Step) -> tuple[Fact, ...]:
    return key_facts(step.focus) if step.focus else ()


def _due(step: Step) -> datetime | None:
    return due_instant(
        step.action.timing,
        event=step.event,
        changed=step.changed,
        start=find_instant((step.focus or {}).get("start")),
        activity_day=step.activity.day if step.activity else None,
        zones=step.case.zones,
        holidays=step.case.endpoint.site.holidays,
    )


def decide_nudge(
    nudge: Nudge,
    chart: Chart,
    own: OwnRecord,
    library: Library,
    endpoint: Endpoint,
    now: datetime,
    *,
    at_send: bool = False,
) -> Candidate:
    """Look at a planned message again: may it still go, and at send time may it now.

    At send time the permitted hours and the limits are checked for ``now`` and the
    text is written; a HOLD names when to look again where waiting helps.
    """
    case = open_case(chart, own, library, endpoint, now)
    found = find_action(library, nudge.plan, nudge.action)
    step = step_of(nudge, case, found or stand_in(nudge))
    if found is None:
        verdict = Verdict(Outcome.CANCEL, "plan-off")
        return describe(step, verdict, nudge.due_at, nudge.expires_at)
    if nudge.patient not in (case.profile.patient, *own.replaced):
        other = Fact(
            case.profile.patient, None, "Patient.id", "not the one planned for"
        )
        verdict = Verdict(Outcome.HOLD, "wrong-patient", (other,))
        return describe(step, verdict, nudge.due_at, nudge.expires_at)
    return judge(step, nudge.due_at, nudge.expires_at, early=None, at_send=at_send)


def step_of(nudge: Nudge, case: Case, found: tuple[Plan, PlanAction]) -> Step:
    """Return the step that a message was planned by, as its focus stands now."""
    plan, action = found
    focus = case.chart.find(nudge.focus)
    activity = None
    if plan.occasion in GONE:
        activity = find_dated(
            plan.occasion,
            nudge.occasion,
            nudge.focus,
            chart=case.chart,
            zone=case.zone,
            now=case.now,
        )
    return Step(
        case=case,
        plan=plan,
        action=action,
        reference=nudge.focus,
        focus=focus,
        occasion=nudge.occasion,
        recipient=nudge.recipient,
        event=event_instant(focus or {}, nudge.created_at),
        activity=activity,
        moved=nudge.moved_to,
    )
