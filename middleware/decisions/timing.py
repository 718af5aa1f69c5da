"""When: permitted hours in every candidate zone, business days, due instants.

Instants are aware and in UTC; hours are local hours of the day, the last exclusive.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays as public_holidays

from mappings.errors import ConfigurationError
from mappings.plan import Timing

SUNDAY = 6
SEARCH_DAYS = 9
EVERY_DAY = frozenset(range(7))
CLOSE_OF_BUSINESS = time(17)
ACTIVITY_TIME = time(10)
LEGAL_HOURS = (8, 21)


@dataclass(frozen=True)
class Hours:
    """When a patient may be written to: in all of ``zones`` at once.

    ``window`` and ``sunday`` are (first, last) hours; ``days`` weekdays, Monday 0.
    """

    zones: tuple[str, ...]
    window: tuple[int, int]
    sunday: tuple[int, int]
    days: frozenset[int] = EVERY_DAY

    def on(self, weekday: int) -> tuple[int, int]:
        """Return the hours of a weekday; first = last means none."""
        if weekday not in self.days:
            return 0, 0
        first, last = self.window
        if weekday == SUNDAY:
            first, last = max(first, self.sunday[0]), min(last, self.sunday[1])
        return first, max(first, last)


def is_open(moment: datetime, hours: Hours) -> bool:
    """Tell whether an instant lies in the permitted hours of every zone."""
    return all(_open_in(moment, hours, zone) for zone in hours.zones)


def _open_in(moment: datetime, hours: Hours, zone: str) -> bool:
    local = moment.astimezone(ZoneInfo(zone))
    first, last = hours.on(local.weekday())
    return first <= local.hour < last


def next_open(moment: datetime, hours: Hours) -> datetime | None:
    """Return the first permitted instant at or after ``moment``; None if none in 8 days.

    An opening of all zones together is always the opening of one of them.
    """
    if is_open(moment, hours):
        return moment
    openings = sorted(set(_openings(moment, hours)))
    return next((item for item in openings if is_open(item, hours)), None)


def _openings(moment: datetime, hours: Hours) -> Iterator[datetime]:
    for zone in hours.zones:
        info = ZoneInfo(zone)
        start = moment.astimezone(info).date()
        for ahead in range(SEARCH_DAYS):
            day = start + timedelta(days=ahead)
            first, last = hours.on(day.weekday())
            if first >= last:
                continue
            for fold in (0, 1):
                local = datetime.combine(day, time(first, fold=fold), info)
                opening = local.astimezone(UTC)
                if opening >= moment:
                    yield opening


def start_of_next_day(moment: datetime, zone: str) -> datetime:
    """Return the next local midnight, in UTC."""
    info = ZoneInfo(zone)
    day = moment.astimezone(info).date() + timedelta(days=1)
    return datetime.combine(day, time.min, info).astimezone(UTC)


@functools.lru_cache(maxsize=64)
def holiday_dates(place: str, year: int) -> frozenset[date]:
    """Return the public holidays of an ISO country or ``US-CA``-like subdivision."""
    country, _, part = place.partition("-")
    try:
        found = public_holidays.country_holidays(
            country, subdiv=part or None, years=year
        )
    except NotImplementedError as error:
        raise ConfigurationError(
            f"no holidays are known for {place!r}; give an ISO country code"
        ) from error
    return frozenset(found)


def is_business_day(day: date, place: str) -> bool:
    """Tell whether a day is Monday to Friday and no public holiday."""
    return day.weekday() < 5 and day not in holiday_dates(place, day.year)


def business_day_end(event: datetime, count: int, zone: str, place: str) -> datetime:
    """Return the close (17:00 local) of the ``count``-th business day after an event.

    The event's own day never counts (CMS TCM: two business days after discharge).
    """
    info = ZoneInfo(zone)
    day = event.astimezone(info).date()
    while count > 0:
        day += timedelta(days=1)
        if is_business_day(day, place):
            count -= 1
    return datetime.combine(day, CLOSE_OF_BUSINESS, info).astimezone(UTC)


def next_close(moment: datetime, zone: str, place: str) -> datetime:
    """Return the first close of business at or after an instant."""
    info = ZoneInfo(zone)
    day = moment.astimezone(info).date()
    while True:
        close = datetime.combine(day, CLOSE_OF_BUSINESS, info)
        if is_business_day(day, place) and close >= moment:
            return close.astimezone(UTC)
        day += timedelta(days=1)


def due_instant(
    timing: Timing,
    *,
    event: datetime,
    changed: datetime | None = None,
    start: datetime | None,
    activity_day: date | None,
    zones: Sequence[str],
    holidays: str,
) -> datetime | None:
    """Return when an action is due, before permitted hours are applied.

    None when its anchor is missing. Whole days are counted on the local calendar.
    """
    zone = zones[0]
    if timing.anchor == "business-day":
        days = math.ceil(timing.offset_hours / 24)
        end = business_day_end(event, days, zone, holidays)
        return end + timedelta(hours=timing.offset_hours - 24 * days)
    if timing.anchor == "activity-due":
        if activity_day is None:
            return None
        anchor = datetime.combine(activity_day, ACTIVITY_TIME, ZoneInfo(zone))
    elif timing.anchor == "focus-start":
        if start is None:
            return None
        anchor = start.astimezone(ZoneInfo(zone))
    else:
        moment = changed or event if timing.anchor == "change" else event
        anchor = moment.astimezone(ZoneInfo(zone))
    days = int(timing.offset_hours / 24)
    local = anchor + timedelta(days=days)
    rest = timedelta(hours=timing.offset_hours - 24 * days)
    return local.astimezone(UTC) + rest


def within_legal(window: tuple[int, int]) -> tuple[int, int]:
    """Return the part of a window that lies between 8 and 21 o'clock."""
    first, last = max(window[0], LEGAL_HOURS[0]), min(window[1], LEGAL_HOURS[1])
    return first, max(first, last)


def shared_days(days: Collection[int] | None) -> frozenset[int]:
    """Return weekdays as a set; every day when nobody said any."""
    return EVERY_DAY if days is None else frozenset(days)
