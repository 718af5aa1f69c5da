"""When: permitted hours in every candidate zone, business days, due instants.

Instants are aware and in UTC; hours are local hours of the day (8.5 is 08:30), the last
exclusive.
"""

from __future__ import annotations

import functools
import heapq
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays as public_holidays

from mappings.endpoint import Site
from mappings.errors import ConfigurationError
from mappings.plan import Timing

Window = tuple[float, float]

# Three weeks: the two free days of one week's end may be holidays twice in a row.
SEARCH_DAYS = 22
SUNDAY = 6
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
CLOSE_OF_BUSINESS = time(17)
ACTIVITY_TIME = time(10)
LEGAL_HOURS = (8, 21)
SHUT: Window = (0, 0)


@dataclass(frozen=True)
class Hours:
    """When a patient may be written to: in all of ``zones`` at once.

    ``window`` is (first, last); ``narrower`` holds what the site allows on a weekday
    (Monday 0) where that is less; ``days`` are the weekdays that the patient allows. On
    the public holidays of ``holidays`` (a place, "" none) there are no hours.
    """

    zones: tuple[str, ...]
    window: Window
    narrower: Mapping[int, Window] = field(default_factory=dict)
    days: frozenset[int] = EVERY_DAY
    holidays: str = ""

    def on(self, day: date) -> Window:
        """Return the hours of a local day; first = last means none."""
        weekday = day.weekday()
        if weekday not in self.days:
            return SHUT
        if self.holidays and day in holiday_dates(self.holidays, day.year):
            return SHUT
        first, last = self.window
        if weekday in self.narrower:
            low, high = self.narrower[weekday]
            first, last = max(first, low), min(last, high)
        return first, max(first, last)


def is_open(moment: datetime, hours: Hours) -> bool:
    """Tell whether an instant lies in the permitted hours of every zone."""
    return all(_open_in(moment, hours, zone) for zone in hours.zones)


def _open_in(moment: datetime, hours: Hours, zone: str) -> bool:
    local = moment.astimezone(ZoneInfo(zone))
    first, last = hours.on(local.date())
    return round(first * 60) <= local.hour * 60 + local.minute < round(last * 60)


def next_open(moment: datetime, hours: Hours) -> datetime | None:
    """Return the first permitted instant at or after ``moment``; None if in 3 weeks none.

    An opening of all zones together is always the opening of one of them.
    """
    if is_open(moment, hours):
        return moment
    openings = heapq.merge(*(_openings(moment, hours, zone) for zone in hours.zones))
    return next((item for item in openings if is_open(item, hours)), None)


def _openings(moment: datetime, hours: Hours, zone: str) -> Iterator[datetime]:
    """Yield the openings of one zone from a moment on, the earliest first."""
    info = ZoneInfo(zone)
    start = moment.astimezone(info).date()
    for ahead in range(SEARCH_DAYS):
        day = start + timedelta(days=ahead)
        first, last = hours.on(day)
        if first < last:
            found = sorted(_local_instants(day, first, info))
            yield from (item for item in found if item >= moment)


def _local_instants(day: date, hour: float, info: ZoneInfo) -> Iterator[datetime]:
    """Yield when the clock shows an hour: once, twice, or where it jumps past it."""
    whole, minutes = divmod(round(hour * 60), 60)
    shown = time(whole, minutes)
    one, other = (
        datetime.combine(day, shown.replace(fold=fold), info).astimezone(UTC)
        for fold in (0, 1)
    )
    yield from (one, other)
    if other < one:
        yield _jump(other, one, info)


def _jump(before: datetime, after: datetime, info: ZoneInfo) -> datetime:
    """Return the instant between two at which the clock goes forward."""
    offset = after.astimezone(info).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(info).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def never_meet(hours: Hours) -> bool:
    """Tell whether no hour of an ordinary week is allowed in every zone at once."""
    # A week without a change of clocks; what daylight saving adds is no hour to rely on.
    monday = datetime(2026, 1, 12, tzinfo=UTC)
    whole = Hours(hours.zones, hours.window, hours.narrower, hours.days)
    return next_open(monday, whole) is None


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


def within_legal(window: Window) -> Window:
    """Return the part of a window that lies between 8 and 21 o'clock."""
    first, last = max(window[0], LEGAL_HOURS[0]), min(window[1], LEGAL_HOURS[1])
    return first, max(first, last)


def site_windows(site: Site) -> dict[int, Window]:
    """Return the hours of the weekdays (Monday 0) on which a site allows less."""
    found: dict[int, Window] = {SUNDAY: site.sunday_window}
    for name, window in site.windows.items():
        if name in WEEKDAYS:
            found[WEEKDAYS.index(name)] = (window[0], window[1])
    return found


def shared_days(days: Collection[int] | None) -> frozenset[int]:
    """Return weekdays as a set; every day when nobody said any."""
    return EVERY_DAY if days is None else frozenset(days)
