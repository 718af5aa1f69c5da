"""When one step may go: zone, permitted hours, limits and the end of its window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mappings.nudge import Fact, Outcome, Verdict
from mappings.preference import SentMessage
from middleware.decisions.circumstance import Step
from middleware.decisions.evidence import fact
from middleware.decisions.fatigue import next_allowed
from middleware.decisions.timing import is_open, next_open

READY = Verdict(Outcome.SEND, "due")
# Tomorrow is too late for what so urgent a plan tells: a visit was moved or called off,
# or begins. It is counted, and never held by the limits.
TIMELY = 5


def planned_time(step: Step, due: datetime) -> datetime:
    """Return the due instant moved into permitted hours, where they are known."""
    return next_open(due, step.case.hours) or due


def choose_time(
    step: Step, due: datetime, expires: datetime, *, at_send: bool
) -> tuple[datetime, Verdict]:
    """Return when it may go and the verdict of zone, hours and limits.

    While planning the limits are left to send time: what is sent until then is not
    known. A wait beyond ``expires`` cancels. However early it is looked at again, at
    send time nothing goes before the instant that it was planned for.
    """
    case = step.case
    if case.profile.zones is None:
        known = fact(case.chart.patient, "address", "no time zone")
        return due, Verdict(Outcome.HOLD, "zone-missing", (known,))
    wanted = case.now if at_send else max(due, case.now)
    opening = next_open(wanted, case.hours)
    if opening is None:
        return due, Verdict(Outcome.HOLD, "outside-hours")
    if opening >= expires:
        return due, Verdict(
            Outcome.CANCEL, "window-passed", detail="no permitted hour before its end"
        )
    if not at_send:
        return opening, READY
    planned = expires - timedelta(hours=step.action.timing.window_hours)
    if case.now < planned:
        opening = next_open(planned, case.hours) or planned
        return opening, Verdict(Outcome.HOLD, "not-yet", until=opening)
    if not is_open(case.now, case.hours):
        return opening, Verdict(Outcome.HOLD, "outside-hours", until=opening)
    return _limited(step, due, expires)


def _limited(step: Step, due: datetime, expires: datetime) -> tuple[datetime, Verdict]:
    case = step.case
    if step.plan.priority <= TIMELY:
        return due, READY
    until = next_allowed(
        case.own.sent,
        topic=step.plan.topic,
        counts=step.plan.counts,
        zone=case.zone,
        max_per_day=case.endpoint.site.max_per_day,
        max_per_week=case.profile.max_per_week.value,
        now=case.now,
    )
    if until is None:
        return due, READY
    opening = next_open(until, case.hours)
    facts = (_sent_fact(case.own.sent),) if case.own.sent else ()
    if opening is None or opening >= expires:
        detail = "the limit leaves no time before its end"
        return due, Verdict(Outcome.CANCEL, "window-passed", facts, detail=detail)
    return opening, Verdict(Outcome.HOLD, "limit-reached", facts, until=opening)


def _sent_fact(sent: Sequence[SentMessage]) -> Fact:
    latest = max(item.sent_at for item in sent)
    shown = latest.isoformat(timespec="minutes")
    return Fact("Delivery/latest", None, "sentAt", shown)
