"""FHIR dates and instants: read into aware UTC datetimes, and written back.

FHIR allows partial dates; what is coarser than an instant is a period, and the caller
says which end of it counts. Nothing here asks for the present time.
"""

from __future__ import annotations

import calendar
import functools
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DATE = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$")
_ZONED = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$", re.IGNORECASE)


def read_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """Read a FHIR instant, dateTime or date as its first moment, in UTC.

    A value without an offset is read in ``zone``. Raises ValueError.
    """
    return read_bounds(text, zone)[0]


# The same few days and instants are read again and again.
@functools.lru_cache(maxsize=4096)
def read_bounds(text: str, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
    """Read a FHIR date or dateTime as (first moment, moment after it ends), in UTC.

    An instant has both equal. Raises ValueError when it is no FHIR date.
    """
    partial = _DATE.match(text)
    if partial is None:
        moment = datetime.fromisoformat(text)
        if not _ZONED.search(text):
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC), moment.astimezone(UTC)
    year, month, day = (int(part) if part else 0 for part in partial.groups())
    first = date(year, month or 1, day or 1)
    if day:
        last = first
    elif month:
        last = date(year, month, calendar.monthrange(year, month)[1])
    else:
        last = date(year, 12, 31)
    start = datetime.combine(first, time.min, zone)
    end = datetime.combine(last + timedelta(days=1), time.min, zone)
    return start.astimezone(UTC), end.astimezone(UTC)


def find_instant(text: object, zone: tzinfo = UTC) -> datetime | None:
    """Read an instant like :func:`read_instant`; None when it is none.

    Some systems write the year 1 where they know nothing: that is none either.
    """
    if not isinstance(text, str):
        return None
    try:
        found = read_instant(text, zone)
    except (ValueError, OverflowError):
        return None
    return found if found.year > 1 else None


def is_date_only(text: object) -> bool:
    """Tell whether the value is a date without a time of day."""
    return isinstance(text, str) and _DATE.match(text) is not None


def write_instant(moment: datetime) -> str:
    """Write an instant in UTC with milliseconds and ``Z`` (FHIR R4 ``instant``)."""
    return (
        moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def age_on(birth_date: object, today: date) -> int | None:
    """Return whole years of age; None when the birth date is missing or partial.

    A year alone, or year and month, gives the age reached for certain.
    """
    if not isinstance(birth_date, str) or not is_date_only(birth_date):
        return None
    try:
        born = read_bounds(birth_date)[1].date() - timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    passed = (today.month, today.day) >= (born.month, born.day)
    return today.year - born.year - (0 if passed else 1)


def adult_from(birth_date: object) -> date | None:
    """Return the 18th birthday; None when the birth date is missing or partial.

    A year alone, or year and month, gives the last day that it may be.
    """
    if not isinstance(birth_date, str) or not is_date_only(birth_date):
        return None
    try:
        born = read_bounds(birth_date)[1].date() - timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    if (born.month, born.day) == (2, 29):
        return date(born.year + 18, 3, 1)
    return born.replace(year=born.year + 18)
