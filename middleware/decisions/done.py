"""What was done, and when: the dates of every kind of resource, read alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mappings.instants import find_instant, read_bounds
from mappings.resource import first_at

NOT_DONE = frozenset(
    {"not-done", "cancelled", "stopped", "entered-in-error", "registered", "unknown"}
)
DONE_PATHS = (
    "performedDateTime",
    "performedPeriod.end",
    "performedPeriod.start",
    "occurrenceDateTime",
    "occurrencePeriod.end",
    "effectiveDateTime",
    "effectivePeriod.end",
    "effectivePeriod.start",
    "effectiveInstant",
    "issued",
    "period.end",
    "actualPeriod.end",
    "recordedDate",
)


def is_done(resource: Any) -> bool:
    """Tell whether a resource says that something was done at all."""
    return isinstance(resource, dict) and str(resource.get("status")) not in NOT_DONE


def done_within(inputs: Iterable[Any], days: float, now: datetime) -> list[Any]:
    """Keep what was done in the last ``days``; what has no date is kept."""
    return [item for item in inputs if is_done(item) and _is_late(item, days, now)]


def done_before(inputs: Iterable[Any], days: float, now: datetime) -> list[Any]:
    """Keep what was done longer than ``days`` ago; what has no date is not."""
    return [
        item
        for item in inputs
        if is_done(item)
        and any(isinstance(first_at(item, path), str) for path in DONE_PATHS)
        and not _is_late(item, days, now)
    ]


def done_since(inputs: Iterable[Any], day: str, now: datetime) -> list[Any]:
    """Keep what was done since the last such day of a year, given as ``MM-DD``."""
    month, number = (int(part) for part in day.split("-"))
    first = now.replace(month=month, day=number, hour=0, minute=0, second=0)
    first = first if first <= now else first.replace(year=now.year - 1)
    # The day before ends in the very moment in which this one begins.
    days = ((now - first).total_seconds() - 1) / 86400
    return done_within(inputs, days, now)


def latest(inputs: Iterable[Any]) -> list[Any]:
    """Return the one that was done last; one without a date is none."""
    dated = [(_done_at(item), item) for item in inputs if is_done(item)]
    known = [(moment, item) for moment, item in dated if moment is not None]
    return [max(known, key=lambda pair: pair[0])[1]] if known else []


def _is_late(resource: Any, days: float, now: datetime) -> bool:
    for path in DONE_PATHS:
        text = first_at(resource, path)
        if isinstance(text, str):
            end = read_bounds(text)[1]
            return (now - end).total_seconds() <= days * 86400
    return True


def _done_at(resource: Any) -> datetime | None:
    for path in DONE_PATHS:
        moment = find_instant(first_at(resource, path))
        if moment is not None:
            return moment
    return None
