"""The focus as it stands: is it still there, still true, still the same occasion.

Care plan steps are found again by what they are, not by where they stand in the list.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.instants import find_instant, is_date_only, read_bounds
from mappings.nudge import Outcome, Verdict
from mappings.plan import Plan
from mappings.reference import concerns, may_be_of, read_reference
from mappings.resource import (
    Resource,
    codings_of,
    dict_of,
    first_at,
    list_of,
    values_at,
)
from middleware.decisions.evidence import fact

_DAY = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
# The rest is planned when the first of these is due.
MOST_DAYS = 12
CANCELLED_BY_DEATH = "pat-dec"


@dataclass(frozen=True)
class Activity:
    """Something that has a day, such as a care plan step; ``occasion`` names it for good.

    ``status`` and ``source`` are what it stands and falls with. ``reference`` is the
    resource that a message about it is about, where that is not the event's own.
    """

    occasion: str
    day: date
    status: str
    source: Resource
    path: str
    reference: str | None = None


def list_activities(
    plan: Resource, chart: Chart, zone: str, now: datetime
) -> list[Activity]:
    """Return the steps that have a day: detail.scheduled[x] or a referenced Task."""
    found: list[Activity] = []
    seen: dict[str, int] = {}
    for index, activity in enumerate(list_of(plan.get("activity"))):
        if not isinstance(activity, dict):
            continue
        for read in _steps(chart, zone, now, plan=plan, index=index):
            count = seen[read.occasion] = seen.get(read.occasion, 0) + 1
            name = read.occasion if count == 1 else f"{read.occasion}.{count}"
            found.append(replace(read, occasion=name))
    return found


def _steps(
    chart: Chart, zone: str, now: datetime, *, plan: Resource, index: int
) -> Iterator[Activity]:
    """Yield one activity once for each day on which it is due."""
    activity = list_of(plan.get("activity"))[index]
    target = read_reference(activity.get("reference")) or read_reference(
        activity.get("plannedActivityReference")
    )
    linked = chart.find(target) if target else None
    if linked is not None:
        day = _linked_day(linked, zone)
        days, source, path = [day] if day else [], linked, "status"
        status = str(linked.get("status") or "unknown")
    else:
        detail = dict_of(activity.get("detail"))
        days, source = _detail_days(detail, zone, now), plan
        status = str(detail.get("status") or "unknown")
        path = f"CarePlan.activity[{index}].detail"
    name = _identity(activity, target)
    for day in days:
        yield Activity(f"{name}@{day.isoformat()}", day, status, source, path)


def _identity(activity: Resource, target: str | None) -> str:
    if target:
        return target
    if activity.get("id"):
        return str(activity["id"])
    detail = dict_of(activity.get("detail"))
    words = [*("|".join(pair) for pair in codings_of(detail.get("code")))]
    words += [str(first_at(detail, "code.text")), str(detail.get("description"))]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def local_day(text: object, zone: str, *, end: bool = False) -> date | None:
    """Return the local day of a FHIR date or instant; None when it is none."""
    moment = find_instant(text)
    if moment is None or not isinstance(text, str):
        return None
    if is_date_only(text):
        first, after = read_bounds(text)
        return (after - (after - first) / 2).date() if end else first.date()
    return moment.astimezone(ZoneInfo(zone)).date()


def _linked_day(linked: Resource, zone: str) -> date | None:
    for path in (
        "restriction.period.end",
        "executionPeriod.end",
        "occurrenceDateTime",
        "occurrencePeriod.end",
        "occurrencePeriod.start",
    ):
        day = local_day(first_at(linked, path), zone)
        if day is not None:
            return day
    return None


def _detail_days(detail: Resource, zone: str, now: datetime) -> list[date]:
    """Return the day of a step, or every day to come of one that is repeated."""
    for path in ("scheduledPeriod.end", "scheduledPeriod.start"):
        day = local_day(first_at(detail, path), zone)
        if day is not None:
            return [day]
    today = now.astimezone(ZoneInfo(zone)).date()
    days = {
        local_day(item, zone) for item in values_at(detail, "scheduledTiming.event")
    }
    ahead = sorted(day for day in days if day is not None and day >= today)
    if ahead:
        return ahead[:MOST_DAYS]
    for path in (
        "scheduledTiming.repeat.boundsPeriod.end",
        "scheduledTiming.repeat.boundsPeriod.start",
    ):
        day = local_day(first_at(detail, path), zone)
        if day is not None:
            return [day]
    stated = _DAY.search(str(detail.get("scheduledString") or ""))
    day = local_day(stated[1], zone) if stated else None
    return [day] if day else []


def event_instant(focus: Resource, fallback: datetime) -> datetime:
    """Return when the thing happened, by its own dates where it has them."""
    paths = {
        "Encounter": ("period.end", "actualPeriod.end"),
        "Appointment": ("start",),
    }.get(str(focus.get("resourceType")), ())
    for path in paths:
        text = first_at(focus, path)
        moment = find_instant(text)
        if moment is not None:
            return moment.replace(hour=12) if is_date_only(text) else moment
    return fallback


def occasions(plan: Plan, focus: Resource, due: datetime) -> Iterator[str]:
    """Yield what tells two messages of a plan about one focus apart."""
    if plan.occasion == "start":
        moment = find_instant(focus.get("start"))
        yield moment.isoformat() if moment else "no start"
    elif plan.occasion == "year":
        yield str(due.year)
    elif plan.occasion == "month":
        yield f"{due:%Y-%m}"
    else:
        yield "once"


def check_focus(
    reference: str,
    focus: Resource | None,
    occasion: str,
    plan: Plan,
    *,
    patients: Collection[str],
    missing: bool,
) -> Verdict | None:
    """Return the verdict that ends or holds everything about this focus, or None.

    ``missing`` says that the focus could not be read, as opposed to being gone. A
    focus that was moved to another patient's chart is gone for this one; ``patients``
    are its record and those that were merged into it.
    """
    if focus is None and missing:
        return Verdict(Outcome.HOLD, "ehr-unreachable", detail=reference)
    if focus is None or focus.get("_deleted"):
        gone = {
            "resourceType": reference.split("/", maxsplit=1)[0],
            "id": reference.rsplit("/", maxsplit=1)[-1],
        }
        return Verdict(Outcome.CANCEL, "event-undone", (fact(gone, "id", "gone"),))
    if focus.get("status") == "entered-in-error":
        return Verdict(Outcome.CANCEL, "event-undone", (fact(focus, "status"),))
    if not any(concerns(focus, patient) for patient in patients):
        if any(may_be_of(focus, patient) for patient in patients):
            far = fact(focus, "subject", "under a base that is not written down")
            return Verdict(Outcome.HOLD, "data-missing", (far,))
        moved = fact(focus, "subject", "not this patient")
        return Verdict(Outcome.CANCEL, "event-undone", (moved,))
    if plan.occasion == "start" and focus.get("status") == "booked":
        moment = find_instant(focus.get("start"))
        if moment is not None and moment.isoformat() != occasion:
            facts = (fact(focus, "start"),)
            return Verdict(Outcome.CANCEL, "appointment-moved", facts)
    return None


def same_day_visits(chart: Chart, visit: Resource, zone: str) -> Iterator[Resource]:
    """Yield the other booked visits on the local day of this one."""
    day = _visit_day(visit, zone)
    for other in chart.of("Appointment"):
        if (
            day is not None
            and other.get("id") != visit.get("id")
            and other.get("status") == "booked"
            and _visit_day(other, zone) == day
        ):
            yield other


def _visit_day(visit: Resource, zone: str) -> date | None:
    if visit.get("resourceType") != "Appointment":
        return None
    return local_day(visit.get("start"), zone)


def died_of_appointment(focus: Resource) -> bool:
    """Tell whether a visit was cancelled because the patient died."""
    reasons = codings_of(focus.get("cancelationReason")) + codings_of(
        focus.get("cancellationReason")
    )
    return CANCELLED_BY_DEATH in {code for _, code in reasons}
