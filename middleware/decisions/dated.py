"""What has a day of its own in the chart: goals, supplies of medicine, the birthday.

Each is found again by what it is, so that a message about it is weighed anew on the
chart of the day on which it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.instants import find_instant
from mappings.reference import read_reference, reference_of
from mappings.resource import Resource, list_of
from middleware.decisions.focus import Activity, list_activities, local_day
from middleware.decisions.supply import days_supplied

# About the patient as a whole, whatever the event was about.
OF_THE_PATIENT = frozenset({"year", "interval", "birthday", "patient"})
# What it means that such a thing is not there any more.
GONE = {
    "activity": "care-plan-ended",
    "goal": "care-plan-ended",
    "supply": "already-done",
    "birthday": "superseded",
}
# What ended longer ago is no news.
SUPPLY_BACK = timedelta(days=14)


def list_dated(
    occasion: str, focus: Resource, chart: Chart, zone: str, now: datetime
) -> list[Activity]:
    """Return what has a day, for one of the occasions in ``GONE``."""
    if occasion == "activity" and focus.get("resourceType") == "Patient":
        return [
            replace(item, reference=reference_of(plan))
            for plan in chart.of("CarePlan")
            for item in list_activities(plan, chart, zone, now)
        ]
    if occasion == "activity":
        return list_activities(focus, chart, zone, now)
    return list(_LISTED[occasion](chart, zone, now))


def find_dated(
    occasion: str,
    name: str,
    reference: str,
    *,
    chart: Chart,
    zone: str,
    now: datetime,
) -> Activity | None:
    """Return the one that a message was planned for; None when it is gone or moved."""
    focus = chart.find(reference)
    if focus is None:
        return None
    for item in list_dated(occasion, focus, chart, zone, now):
        if item.occasion == name and item.reference in (None, reference):
            return item
    return None


def _goals(chart: Chart, zone: str, now: datetime) -> Iterator[Activity]:
    """Yield each goal's target days to come (R4 Goal.target.dueDate)."""
    today = now.astimezone(ZoneInfo(zone)).date()
    for goal in chart.of("Goal"):
        status = str(goal.get("lifecycleStatus") or "unknown")
        days: set[date] = set()
        for index, target in enumerate(list_of(goal.get("target"))):
            due = target.get("dueDate") if isinstance(target, dict) else None
            day = local_day(due, zone)
            if day is None or day < today or day in days:
                continue
            days.add(day)
            path = f"Goal.target[{index}].dueDate"
            reference = reference_of(goal)
            yield Activity(day.isoformat(), day, status, goal, path, reference)


def _supplies(chart: Chart, zone: str, now: datetime) -> Iterator[Activity]:
    """Yield for each prescription the day on which what was handed out last ends."""
    earliest = (now - SUPPLY_BACK).astimezone(ZoneInfo(zone)).date()
    for request in chart.of("MedicationRequest"):
        reference = reference_of(request)
        ends = [
            (end, index, dispense)
            for index, dispense in enumerate(chart.of("MedicationDispense"))
            if reference in _authorizing(dispense)
            and (end := supply_end(dispense, zone)) is not None
        ]
        if not ends:
            continue
        day, _, dispense = max(ends, key=lambda item: item[:2])
        if day >= earliest:
            status = str(request.get("status") or "unknown")
            path = "MedicationDispense.daysSupply"
            yield Activity(day.isoformat(), day, status, dispense, path, reference)


def supply_end(dispense: Resource, zone: str) -> date | None:
    """Return the day on which a dispensed supply ends: handed over plus days' supply."""
    if dispense.get("status") != "completed":
        return None
    first = local_day(dispense.get("whenHandedOver"), zone)
    days = days_supplied(dispense)
    return first + timedelta(days=days) if first is not None and days else None


def _authorizing(dispense: Resource) -> set[str | None]:
    listed = list_of(dispense.get("authorizingPrescription"))
    return {read_reference(item) for item in listed}


def _birthdays(chart: Chart, zone: str, now: datetime) -> Iterator[Activity]:
    """Yield the next birthday; who was born on a 29 February has it on the 28th."""
    text = chart.patient.get("birthDate")
    if not isinstance(text, str) or len(text) != len("2000-01-01"):
        return
    born = find_instant(text)
    if born is None:
        return
    today = now.astimezone(ZoneInfo(zone)).date()
    for year in (today.year, today.year + 1):
        day = _same_day(born.date(), year)
        if day >= today:
            yield Activity(str(year), day, "", chart.patient, "Patient.birthDate")
            return


def _same_day(born: date, year: int) -> date:
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


_LISTED: dict[str, Callable[[Chart, str, datetime], Iterator[Activity]]] = {
    "goal": _goals,
    "supply": _supplies,
    "birthday": _birthdays,
}
