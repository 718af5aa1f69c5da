"""What one step needs of its way, and the step as it is for whoever gets it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.instants import find_instant
from middleware.decisions.circumstance import Step
from middleware.decisions.routing import Route, Wanted
from middleware.decisions.series import used_channels
from middleware.decisions.stopping import is_sensitive

VISITS = "appointment"
URGENT = frozenset({"urgent", "asap", "stat"})
SAME_DAY = timedelta(hours=24)


def wanted_way(step: Step) -> Wanted:
    """Return what this step needs of its way."""
    case, plan = step.case, step.plan
    about = (plan.url, step.reference, step.occasion)
    used = {item.channel for item in case.own.sent if item.about == about}
    if plan.occasion == "interval":
        used |= used_channels(plan, case.own.sent, case.library, case.now)
    # A plan that leaves a sensitive matter to staff was held before it came here.
    generic = plan.sensitive == "generic"
    return Wanted(
        topic=plan.topic,
        urgent=_is_urgent(step),
        sensitive=generic and is_sensitive(step) is not None,
        avoid=frozenset(used) if step.action.other_channel else frozenset(),
    )


def addressed(step: Step, route: Route) -> Step:
    """Return the step as it is for the person who gets it, in their zones too."""
    zones = tuple(dict.fromkeys((*step.case.zones, *route.zones)))
    case = replace(step.case, zones=zones)
    return replace(step, case=case, recipient=route.recipient or step.recipient)


def _is_urgent(step: Step) -> bool:
    """Tell whether it cannot wait: it says so, or tells of a change to a near visit."""
    start = find_instant((step.focus or {}).get("start"))
    change = step.plan.topic == VISITS and step.action.timing.anchor == "event"
    near = start is not None and start - step.event <= SAME_DAY
    return step.action.priority in URGENT or (change and near)
