"""Which plans an event starts, and which are in force at a site."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.endpoint import Site
from mappings.event import DECIDED_AS, EventKind
from mappings.instants import read_bounds
from mappings.plan import Library, Plan, PlanAction

# So long before its end a plan's content is to be looked at again.
WARNED = timedelta(days=60)


def match_plans(library: Library, kind: EventKind) -> tuple[Plan, ...]:
    """Return the plans that this kind of event triggers, most urgent first."""
    trigger = DECIDED_AS.get(kind, kind).value
    return library.triggered.get(trigger, ())


def find_action(
    library: Library, plan: str, action: str
) -> tuple[Plan, PlanAction] | None:
    """Return a plan (by url or id) with one of its actions; None when it is gone."""
    return library.steps.get((plan, action))


def is_off(plan: Plan, site: Site, now: datetime) -> bool:
    """Tell whether a plan sends nothing at a site: by its wish or by its dates.

    A plan is in force from the first to the last day of its period in the site's zone.
    """
    names = {plan.id, plan.url}
    if names & set(site.plans_off):
        return True
    zone = ZoneInfo(site.zone)
    start, end = plan.effective_start, plan.effective_end
    early = start is not None and now < read_bounds(start, zone)[0]
    return early or (end is not None and now >= end_of(end, site.zone))


def end_of(end: str, zone: str) -> datetime:
    """Return the moment after a period's end (date or dateTime) in a zone."""
    return read_bounds(end, ZoneInfo(zone))[1]


def days_left(plan: Plan, zone: str, now: datetime) -> int | None:
    """Return the days until a plan retires, 0 or less when it has; None for no end."""
    if plan.effective_end is None:
        return None
    return -((now - end_of(plan.effective_end, zone)) // timedelta(days=1))


def is_ending(plan: Plan, zone: str, now: datetime) -> bool:
    """Tell whether a plan has retired, or will within 60 days."""
    if plan.effective_end is None:
        return False
    return end_of(plan.effective_end, zone) - now <= WARNED
