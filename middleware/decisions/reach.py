"""How far back news may lie and still lead to a message. Pure.

An EHR that is connected, restored or filled from another tells of years of stays,
visits and care plans. What lies further back than any plan reaches is no news, and is
known to be none before a chart is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from mappings.codes import encounter_period
from mappings.event import DECIDED_AS, EventKind, Transition
from mappings.instants import find_instant, read_bounds
from mappings.plan import Library, Timing
from mappings.resource import Resource, dict_of, list_of
from middleware.decisions.versions import EPOCH

# A window opens at most that much later than counted: permitted hours, time zones.
SLACK = timedelta(days=1)
# Business days are counted over weekends and holidays.
HOLIDAYS = timedelta(days=10)
_DAY = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


def told_instant(version: Resource, stored: datetime, *, seen: bool) -> datetime | None:
    """Return the last instant that a version is about, by its own dates.

    ``stored`` is when the EHR stored it, which for old things brought in from elsewhere
    says nothing: for the end of a stay it counts only where it was ``seen`` going on.
    """
    if version.get("_deleted"):
        return None
    known = stored if stored != EPOCH else None
    match version.get("resourceType"):
        case "Encounter":
            period = encounter_period(version)
            end = _latest([period.get("end")])
            if end is not None or seen:
                return end or known
            return _latest([period.get("start")])
        case "Appointment":
            return _latest([version.get("start")]) or known
        case "CarePlan":
            return _care_plan(version) or known
    return known


def is_past(transition: Transition, library: Library, now: datetime) -> bool:
    """Tell whether nothing may be sent any more because of this.

    What does not say when it was is past too: nobody is written to on a guess.
    """
    told = transition.tells_of
    return told is None or told + reach(library, transition.kind) < now


def reach(library: Library, kind: EventKind) -> timedelta:
    """Return how long after a thing its last message may go, over every plan.

    What starts no plan itself reaches as far as any plan: it may end what is planned.
    """
    kind = DECIDED_AS.get(kind, kind)
    timings = library.timings.get(kind.value) or library.timings[""]
    return max(map(_span, timings), default=timedelta(0)) + SLACK


def _span(timing: Timing) -> timedelta:
    whole = timedelta(hours=timing.offset_hours + timing.window_hours)
    return whole + (HOLIDAYS if timing.anchor == "business-day" else timedelta(0))


def _care_plan(version: Resource) -> datetime | None:
    """Return the last day that a care plan's steps name; None where another tells it.

    The day of a step that is a resource of its own stands there.
    """
    activities = [dict_of(item) for item in list_of(version.get("activity"))]
    period = dict_of(version.get("period"))
    linked = any(
        "reference" in item or "plannedActivityReference" in item for item in activities
    )
    if linked:
        return _latest([period.get("end")])
    texts = [json.dumps(item.get("detail")) for item in activities]
    days = [day for text in texts for day in _DAY.findall(text)]
    return _latest(days or [period.get("end") or period.get("start")])


def _latest(texts: Iterable[object]) -> datetime | None:
    """Return the latest of some dates; a whole day counts to its end."""
    readable = (
        text
        for text in texts
        if isinstance(text, str) and find_instant(text) is not None
    )
    return max((read_bounds(text)[1] for text in readable), default=None)
