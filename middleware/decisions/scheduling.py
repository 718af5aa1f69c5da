"""When one step may go: zone, permitted hours, limits and the end of its window."""

from __future__ import annotations

from datetime import datetime, timedelta

from mappings.nudge import Fact, Outcome, Verdict
from middleware.decisions.circumstance import Case, Step
from middleware.decisions.evidence import fact
from middleware.decisions.fatigue import Budget, Wait, is_discretionary, next_allowed
from middleware.decisions.timing import (
    Hours,
    is_open,
    never_meet,
    next_open,
    shared_days,
    site_windows,
    within_legal,
)

READY = Verdict(Outcome.SEND, "due")
# Tomorrow is too late for what so urgent a plan tells: a visit was moved or called off,
# or begins. It is counted, and never held by the limits.
TIMELY = 5


def permitted_hours(step: Step) -> Hours:
    """Return when this step's patient may be written to about it."""
    case, site = step.case, step.case.endpoint.site
    keeps = _may_wait(step) and not site.holiday_messages
    return case.once(("hours", case.zones, keeps), lambda: _hours(case, keeps=keeps))


def _hours(case: Case, *, keeps: bool) -> Hours:
    site = case.endpoint.site
    return Hours(
        zones=case.zones,
        window=within_legal(case.profile.window.value),
        narrower=site_windows(site),
        days=shared_days(case.profile.days.value if case.profile.days else None),
        holidays=site.holidays if keeps else "",
    )


def _may_wait(step: Step) -> bool:
    """Tell whether it is discretionary: no visit or safety message that never waits."""
    return step.plan.counts or is_discretionary(step.plan.topic)


def planned_time(step: Step, due: datetime) -> datetime:
    """Return the due instant moved into permitted hours, where they are known."""
    return _opening(step, due) or due


def _opening(step: Step, moment: datetime) -> datetime | None:
    """Return the first permitted instant at or after one; None where there is none."""
    hours = permitted_hours(step)
    key = ("opening", moment, hours.zones, hours.holidays)
    return step.case.once(key, lambda: next_open(moment, hours))


def choose_time(
    step: Step,
    due: datetime,
    expires: datetime,
    *,
    at_send: bool,
    channel: str = "",
) -> tuple[datetime, Verdict]:
    """Return when it may go (by ``channel``) and the verdict of zone, hours and limits.

    While planning the limits are left to send time: what is sent until then is not
    known. A wait beyond ``expires`` cancels. However early it is looked at again, at
    send time nothing goes before the instant that it was planned for.
    """
    case, hours = step.case, permitted_hours(step)
    if case.profile.zones is None:
        known = fact(case.chart.patient, "address", "no time zone")
        return due, Verdict(Outcome.HOLD, "zone-missing", (known,))
    wanted = case.now if at_send else max(due, case.now)
    opening = _opening(step, wanted)
    if opening is None:
        reason = "hours-never-meet" if never_meet(hours) else "outside-hours"
        return due, Verdict(Outcome.HOLD, reason, (_zones_fact(step),))
    if opening >= expires:
        return due, Verdict(
            Outcome.CANCEL, "window-passed", detail="no permitted hour before its end"
        )
    if not at_send:
        return opening, READY
    planned = earliest(step, expires)
    if case.now < planned:
        opening = _opening(step, planned) or planned
        return opening, Verdict(Outcome.HOLD, "not-yet", until=opening)
    if not is_open(case.now, hours):
        return opening, Verdict(Outcome.HOLD, "outside-hours", until=opening)
    return _limited(step, due, expires, channel)


def earliest(step: Step, expires: datetime) -> datetime:
    """Return when it may go at the earliest: as planned, or as a person moved it."""
    planned = expires - timedelta(hours=step.action.timing.window_hours)
    return max(planned, step.moved) if step.moved is not None else planned


def _zones_fact(step: Step) -> Fact:
    zones = ", ".join(step.case.zones)
    return fact(step.case.chart.patient, "address", zones)


def budget_of(step: Step) -> Budget:
    """Return what limits this step: the site's numbers and the patient's own."""
    case, site = step.case, step.case.endpoint.site
    return Budget(
        zone=case.zone,
        per_day=site.max_per_day,
        per_week=case.profile.max_per_week.value,
        per_year=site.max_per_year,
        calls_per_year=site.max_calls_per_year,
    )


def _limited(
    step: Step, due: datetime, expires: datetime, channel: str
) -> tuple[datetime, Verdict]:
    case, plan = step.case, step.plan
    if plan.priority <= TIMELY:
        return due, READY
    key = f"{case.endpoint.id}|{step.key}"
    wait = next_allowed(
        (*case.own.sent, *case.profile.others),
        [item for item in case.own.coming if item.key != key],
        topic=plan.topic,
        priority=plan.priority,
        journey=(plan.url, step.reference),
        budget=budget_of(step),
        now=case.now,
        channel=channel,
        counts=plan.counts,
        beside=[item.id for item in case.library.bundles.get(plan.bundle, ())],
    )
    if wait is None:
        return due, READY
    opening = _opening(step, wait.until)
    facts = (_wait_fact(wait),)
    if opening is None or opening >= expires:
        detail = f"{wait.detail}; that leaves no time before its end"
        return due, Verdict(Outcome.CANCEL, "window-passed", facts, detail=detail)
    verdict = Verdict(
        Outcome.HOLD, wait.reason, facts, until=opening, detail=wait.detail
    )
    return opening, verdict


def _wait_fact(wait: Wait) -> Fact:
    """Name what stands in the way: the message sent, or the one to come."""
    shown = wait.because.isoformat(timespec="minutes")
    if wait.coming:
        return Fact("Nudge/next", None, "dueAt", shown)
    return Fact("Delivery/latest", None, "sentAt", shown)
