"""How well a patient's days are covered by what was dispensed. Pure.

The proportion of days covered, as Medicare's adherence measures count it (CMS, Medicare
Part C & D Star Ratings Technical Notes, measures D08 to D10; PQA's PDC): from the first
fill of the period to its end, a fill that comes early starts when the one before is used
up, and fewer than two fills, or a first fill in the last 91 days, tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from mappings.instants import find_instant
from mappings.resource import Resource, dict_of

LEAST_FILLS = 2
LEAST_DAYS = 91
_PER_UNIT = {"d": 1, "day": 1, "days": 1, "": 1, "wk": 7, "mo": 30}


def days_supplied(dispense: Resource) -> int:
    """Return the days that a dispensed supply lasts; 0 when nobody knows."""
    quantity = dict_of(dispense.get("daysSupply"))
    value = quantity.get("value")
    unit = str(quantity.get("code") or quantity.get("unit") or "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, round(float(value) * _PER_UNIT.get(unit, 0)))


def proportion_covered(
    dispenses: Iterable[Resource], days: int, now: datetime
) -> float | None:
    """Return the share of days (0 to 1) covered in the last ``days``; None if unknown.

    The dispenses are those of one medicine.
    """
    last = now.date()
    first = last - timedelta(days=days)
    fills = sorted(
        (handed, days_supplied(item))
        for item in dispenses
        if item.get("status") == "completed"
        and (handed := _handed_over(item)) is not None
        and first <= handed <= last
        and days_supplied(item)
    )
    if len({handed for handed, _ in fills}) < LEAST_FILLS:
        return None
    start = fills[0][0]
    period = (last - start).days
    if period < LEAST_DAYS:
        return None
    return _covered(fills, start, last) / period


def _covered(fills: Iterable[tuple[date, int]], start: date, last: date) -> int:
    """Count the covered days from ``start`` up to the day before ``last``."""
    covered, free = 0, start
    for handed, supply in fills:
        begin = max(handed, free)
        free = begin + timedelta(days=supply)
        covered += max(0, (min(free, last) - min(begin, last)).days)
    return covered


def _handed_over(dispense: Resource) -> date | None:
    moment = find_instant(dispense.get("whenHandedOver"))
    return moment.date() if moment is not None else None
