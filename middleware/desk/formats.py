"""Days, times, languages, numbers and ages as people read them, in American English.

Pure. Times are given in the patient's own zone where it is known.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import get_timezone_name

from middleware.desk.values import Instant

NORTH_AMERICAN = re.compile(r"\+1(\d{3})(\d{3})(\d{4})\Z")
CHANNELS = {"sms": "Text", "email": "Email", "screen": "On screen"}
NOUNS = {
    "sms": ("text", "texts"),
    "email": ("email", "emails"),
    "screen": ("message on screen", "messages on screen"),
}
TOPICS = {
    "appointments": "Appointments",
    "appointment": "Appointments",
    "post-discharge": "After a hospital stay",
    "discharge": "After a hospital stay",
    "ed-followup": "After an emergency visit",
    "emergency": "After an emergency visit",
    "care-plan": "Care plan",
    "prevention": "Screening and prevention",
    "preventive": "Screening and prevention",
    "screening": "Screening and prevention",
}


def write_when(day: date, now: date) -> str:
    """Write when something was said: ``Oct 14``, with the year when it is another."""
    text = f"{day:%b} {day.day}"
    return text if day.year == now.year else f"{text}, {day.year}"


def write_day(day: date, now: date | None = None) -> str:
    """Write ``Mon, Nov 23``; with the year when it is not ``now``'s."""
    text = f"{day:%a, %b} {day.day}"
    return text if now is None or day.year == now.year else f"{text}, {day.year}"


def write_date(day: date) -> str:
    """Write ``Feb 3, 1968``."""
    return f"{day:%b} {day.day}, {day.year}"


def write_time(instant: datetime) -> str:
    """Write ``10:00 AM``."""
    return f"{instant.hour % 12 or 12}:{instant:%M} {instant:%p}"


def write_hour(hour: float) -> str:
    """Write an hour of the day, 0 to 24: ``9 AM``, ``8:30 AM``, ``noon``, ``midnight``."""
    if hour in (0, 24):
        return "midnight"
    if hour == 12:
        return "noon"
    whole, minutes = divmod(round(hour * 60), 60)
    past = f":{minutes:02}" if minutes else ""
    return f"{whole % 12 or 12}{past} {'AM' if whole < 12 else 'PM'}"


def write_instant(instant: datetime, zone: tzinfo) -> Instant:
    """Write an instant as a day and a time in a zone."""
    local = instant.astimezone(zone)
    return Instant(
        local.isoformat(timespec="minutes"), write_day(local), write_time(local)
    )


def language_name(tag: str) -> str:
    """Write a BCP-47 tag as its English name: ``es`` is Spanish."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    try:
        name = Locale("en").languages.get(primary)
    except UnknownLocaleError:
        name = None
    return name or tag


def zone_name(zone: str, now: datetime) -> str:
    """Write a zone as people call it: America/Los_Angeles is Pacific."""
    local = now.astimezone(ZoneInfo(zone))
    name = str(get_timezone_name(local, width="long", locale="en_US"))
    return re.sub(r" (Standard |Daylight )?Time$", "", name)


def write_address(value: str) -> str:
    """Write +14155550142 as (415) 555-0142, anything else as it is."""
    found = NORTH_AMERICAN.match(value)
    return f"({found[1]}) {found[2]}-{found[3]}" if found else value


def write_age(birth_date: str | None, today: date) -> str:
    """Write the age in full years, in months under two years; empty when unknown."""
    try:
        born = date.fromisoformat(birth_date or "")
    except ValueError:
        return ""
    months = (today.year - born.year) * 12 + today.month - born.month
    months -= today.day < born.day
    if months < 0:
        return ""
    return f"{months} months" if months < 24 else f"{months // 12} years"


def write_born(birth_date: str | None) -> str:
    """Write the birth date as precisely as the chart knows it."""
    if not birth_date:
        return "Birth date not recorded"
    try:
        return f"Born {write_date(date.fromisoformat(birth_date))}"
    except ValueError:
        return f"Born {birth_date}"


def write_span(span: timedelta) -> str:
    """Write how long an answer took: ``9 minutes``, ``1 h 12 min``, ``2 days``."""
    minutes = max(1, round(span.total_seconds() / 60))
    if minutes < 60:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days = round(hours / 24)
    return f"{days} day{'s' if days > 1 else ''}"


def topic_name(topic: str) -> str:
    """Write a plan's topic as people call it."""
    return TOPICS.get(topic) or topic.replace("-", " ").capitalize()
