"""FHIR dates as ranges of instants, and how search prefixes compare them.

Pure. A range is half open: [low, high). `ge` and `le` also take what overlaps the
search value, as the servers in use do: a stay that began today and is not over
began on or before today. Source: https://hl7.org/fhir/R4/search.html#prefix.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Range = tuple[datetime, datetime]

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_SHAPE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?"
)


@lru_cache(maxsize=65536)
def read_range(text: str, zone: ZoneInfo) -> Range | None:
    """Answer the range that a FHIR date, dateTime or instant covers; None if none.

    What has no offset is local time in `zone`.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        low = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_offset(offset) if offset else zone,
        )
        high = _high(low, match)
        return low.astimezone(UTC), high.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(text: str) -> Any:
    return datetime.fromisoformat(f"2000-01-01T00:00:00{text}").tzinfo


def _high(low: datetime, match: re.Match[str]) -> datetime:
    _, month, day, hour, _, second, fraction, _ = match.groups()
    if month is None:
        return low.replace(year=low.year + 1)
    if day is None:
        following = low.replace(day=28) + timedelta(days=4)
        return following.replace(day=1)
    if hour is None:
        return low + timedelta(days=1)
    if second is None:
        return low + timedelta(minutes=1)
    if fraction is None:
        return low + timedelta(seconds=1)
    return low + timedelta(milliseconds=1)


def range_of(value: Any, zone: ZoneInfo) -> Range | None:
    """Answer the range of an element: a date of any kind, a Period or a Timing."""
    if isinstance(value, str):
        return read_range(value, zone)
    if not isinstance(value, dict):
        return None
    if "event" in value or "repeat" in value:
        ranges = [read_range(event, zone) for event in value.get("event", [])]
        known = [found for found in ranges if found]
        if known:
            return min(low for low, _ in known), max(high for _, high in known)
        value = value.get("repeat", {}).get("boundsPeriod", {})
    start = read_range(value.get("start", ""), zone)
    end = read_range(value.get("end", ""), zone)
    if start is None and end is None:
        return None
    return start[0] if start else EARLIEST, end[1] if end else LATEST


def _equal(search: Range, target: Range) -> bool:
    return search[0] <= target[0] and target[1] <= search[1]


COMPARISONS: dict[str, Callable[[Range, Range], bool]] = {
    "eq": _equal,
    "ne": lambda search, target: not _equal(search, target),
    "gt": lambda search, target: target[1] > search[1],
    "lt": lambda search, target: target[0] < search[0],
    "ge": lambda search, target: target[1] > search[0],
    "le": lambda search, target: target[0] < search[1],
    "sa": lambda search, target: target[0] >= search[1],
    "eb": lambda search, target: target[1] <= search[0],
}
PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d+-])")
