"""Hours that a chart states: our contact-window extension and UK Core's preference."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from mappings.instants import write_instant
from mappings.plan import NS
from mappings.resource import (
    Resource,
    extension_value,
    extensions_of,
    in_period,
    list_of,
    values_at,
)

CONTACT_WINDOW = f"{NS}/StructureDefinition/contact-window"
UK_PREFERENCE = (
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ContactPreference"
)
DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
UNITS = {"h": 60.0, "min": 1.0}
DAY = 24 * 60


def _repeats(patient: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for url, part in (
        (CONTACT_WINDOW, "allowed"),
        (UK_PREFERENCE, "PreferredContactTimes"),
    ):
        for extension in extensions_of(patient, url):
            timing = extension_value(extension, part)
            found.extend(
                item for item in values_at(timing, "repeat") if isinstance(item, dict)
            )
    return found


def chart_window(patient: Resource) -> tuple[float, float] | None:
    """Return (first, last) hours from Timing.repeat timeOfDay and duration.

    Whole minutes count (8.5 is 08:30); what is less than a minute makes it narrower.
    """
    for repeat in _repeats(patient):
        times = list_of(repeat.get("timeOfDay"))
        length, unit = repeat.get("duration"), repeat.get("durationUnit")
        if not times or not isinstance(length, int | float) or unit not in UNITS:
            continue
        start = _minutes(str(times[0]))
        first, last = math.ceil(start), math.floor(start + length * UNITS[str(unit)])
        if 0 <= first < last:
            return _hours(first), _hours(min(last, DAY))
    return None


def _hours(minutes: int) -> float:
    return minutes / 60 if minutes % 60 else minutes // 60


def _minutes(text: str) -> float:
    """Read ``hh:mm:ss`` as minutes of the day; -1 when it is no time."""
    parts = text.split(":")
    if not all(part.isdecimal() for part in parts[:2]) or len(parts) > 3:
        return -1
    hour, minute = int(parts[0]), int(parts[1]) if len(parts) > 1 else 0
    seconds = parts[2].strip("0.") if len(parts) > 2 else ""
    return hour * 60 + minute + (0.5 if seconds else 0)


def chart_days(patient: Resource, now: datetime) -> tuple[int, ...]:
    """Return the weekdays (Monday 0) that the chart allows; empty when not stated."""
    for repeat in _repeats(patient):
        if not in_period(repeat.get("boundsPeriod"), write_instant(now)):
            continue
        named = [DAYS[day] for day in list_of(repeat.get("dayOfWeek")) if day in DAYS]
        if named:
            return tuple(sorted(named))
    return ()
