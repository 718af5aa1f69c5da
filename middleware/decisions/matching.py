"""Which plans an event starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from mappings.endpoint import Site
from mappings.event import DECIDED_AS, EventKind
from mappings.plan import Library, Plan, PlanAction


def match_plans(library: Library, kind: EventKind) -> Iterator[Plan]:
    """Yield the plans that this kind of event triggers, most urgent first."""
    trigger = DECIDED_AS.get(kind, kind).value
    return (plan for plan in library.plans if trigger in plan.triggers)


def find_action(
    library: Library, plan: str, action: str
) -> tuple[Plan, PlanAction] | None:
    """Return a plan (by url or id) with one of its actions; None when it is gone."""
    for candidate in library.plans:
        if plan in (candidate.url, candidate.id):
            for step in candidate.actions:
                if step.id == action:
                    return candidate, step
    return None


def is_off(plan: Plan, site: Site, today: date) -> bool:
    """Tell whether the site switched the plan off or its content has lapsed."""
    named = {plan.id, plan.url} & set(site.plans_off)
    lapsed = plan.effective_end is not None and today.isoformat() > plan.effective_end
    return bool(named) or lapsed
