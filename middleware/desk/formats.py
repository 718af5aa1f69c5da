"""Days, times, languages, numbers and ages as the viewer's language writes them.

Pure, over CLDR's data. Times are given in the patient's own zone where it is known.
"""

from __future__ import annotations

import contextlib
import re
from datetime import date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import (
    format_date,
    format_skeleton,
    format_time,
    get_time_format,
    get_timezone_gmt,
    get_timezone_name,
)

from middleware.decisions.languages import language_tags
from middleware.desk.values import Instant
from middleware.desk.viewer import Viewer, mark

NORTH_AMERICAN = re.compile(r"\+1(\d{3})(\d{3})(\d{4})\Z")
CHANNELS = {"sms": mark("Text"), "email": mark("Email"), "screen": mark("On screen")}
TOPICS = {
    "appointments": mark("Appointments"),
    "appointment": mark("Appointments"),
    "post-discharge": mark("After a hospital stay"),
    "discharge": mark("After a hospital stay"),
    "ed-followup": mark("After an emergency visit"),
    "emergency": mark("After an emergency visit"),
    "care-plan": mark("Care plan"),
    "prevention": mark("Screening and prevention"),
    "preventive": mark("Screening and prevention"),
    "screening": mark("Screening and prevention"),
    "medication": mark("Medicines and refills"),
    "chronic-care": mark("Long-term conditions"),
    "immunization": mark("Vaccines"),
    "survey": mark("How a visit was"),
    "welcome": mark("Welcome"),
    "social": mark("Greetings"),
}
NARROW = "\u202f"  # CLDR's space before AM; not every host's font has it


def write_when(viewer: Viewer, day: date, now: date) -> str:
    """Write when something was said: ``Oct 14``, with the year when it is another."""
    return _skeleton(viewer, "MMMd" if day.year == now.year else "yMMMd", day)


def write_day(viewer: Viewer, day: date, now: date | None = None) -> str:
    """Write ``Mon, Nov 23``; with the year when it is not ``now``'s."""
    same = now is None or day.year == now.year
    return _skeleton(viewer, "MMMEd" if same else "yMMMEd", day)


def write_date(viewer: Viewer, day: date) -> str:
    """Write ``Feb 3, 1968``."""
    return str(format_date(day, "medium", viewer.locale))


def write_long_date(viewer: Viewer, day: date) -> str:
    """Write ``November 23, 2026``, with the month as a word in every language."""
    return str(format_date(day, "long", viewer.locale))


def write_whole_day(viewer: Viewer, day: date) -> str:
    """Write a day in full, for paper: ``Monday, November 23, 2026``."""
    return str(format_date(day, "full", viewer.locale))


def write_month(viewer: Viewer, day: date) -> str:
    """Write a month as short as the language has it: ``Nov``."""
    return str(format_date(day, "LLL", viewer.locale))


def write_weekday(viewer: Viewer, day: int, width: str = "wide") -> str:
    """Write a day of the week, 0 for Monday, ``wide`` or ``abbreviated``."""
    return str(viewer.locale.days["stand-alone"][width][day])


def write_time(viewer: Viewer, instant: datetime) -> str:
    """Write ``10:00 AM``, or as the viewer's region counts hours."""
    text = format_time(instant.timetz(), "short", tzinfo=None, locale=viewer.locale)
    return str(text).replace(NARROW, " ")


def write_hour(viewer: Viewer, hour: float) -> str:
    """Write an hour of the day, 0 to 24: ``9 AM``, ``8:30 AM``, ``noon``, ``midnight``."""
    if hour in (0, 24):
        return viewer.say("midnight")
    if hour == 12:
        return viewer.say("noon")
    whole, minutes = divmod(round(hour * 60), 60)
    moment = datetime.combine(date(2001, 1, 1), time(whole, minutes))
    if "H" in str(get_time_format("short", viewer.locale)):
        return write_time(viewer, moment)
    return _skeleton(viewer, "hm" if minutes else "h", moment)


def write_instant(viewer: Viewer, instant: datetime, zone: tzinfo) -> Instant:
    """Write an instant as a day and a time in a zone.

    In the hour that comes twice the time says which one it is: ``1:30 AM PDT``.
    """
    local = instant.astimezone(zone)
    time = write_time(viewer, local)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        name = str(get_timezone_name(local, "short", locale=viewer.locale))
        if name[0] in "+-":  # the language has no name for it
            name = str(get_timezone_gmt(local, locale=viewer.locale))
        time = f"{time} {name}"
    return Instant(local.isoformat(timespec="minutes"), write_day(viewer, local), time)


def language_name(viewer: Viewer, tag: str) -> str:
    """Write a BCP-47 tag as the viewer calls the language: ``es`` is Spanish."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return str(viewer.locale.languages.get(primary) or tag)


def written_language_name(viewer: Viewer, tag: str) -> str:
    """Write a BCP-47 tag with its script: ``zh-TW`` is Traditional Chinese."""
    known = viewer.locale.languages.get(language_tags(tag)[0].replace("-", "_"))
    return str(known or language_name(viewer, tag))


def own_language_name(tag: str) -> str:
    """Write a BCP-47 tag as its own speakers do: ``es`` is español."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    written = language_tags(tag)[0].replace("-", "_")
    for name in (written, primary):
        with contextlib.suppress(ValueError, UnknownLocaleError):
            found = Locale.parse(name).languages
            return str(found.get(name) or found.get(primary) or tag)
    return tag


def zone_name(viewer: Viewer, zone: str, now: datetime) -> str:
    """Write a zone as people call it: America/Los_Angeles is Pacific."""
    return re.sub(r" Time$", "", whole_zone_name(viewer, ZoneInfo(zone), now))


def whole_zone_name(viewer: Viewer, zone: tzinfo, now: datetime) -> str:
    """Write a zone in full: America/Los_Angeles is Pacific Time."""
    local = now.astimezone(zone)
    name = get_timezone_name(
        local, width="long", zone_variant="generic", locale=viewer.locale
    )
    return str(name)


def write_address(value: str) -> str:
    """Write +14155550142 as (415) 555-0142, anything else as it is."""
    found = NORTH_AMERICAN.match(value)
    return f"({found[1]}) {found[2]}-{found[3]}" if found else value


def write_age(viewer: Viewer, birth_date: str | None, today: date) -> str:
    """Write the age in full years, in months under two years; empty when unknown."""
    try:
        born = date.fromisoformat(birth_date or "")
    except ValueError:
        return ""
    months = (today.year - born.year) * 12 + today.month - born.month
    months -= today.day < born.day
    if months < 0:
        return ""
    if months < 24:
        return viewer.say_many("%(number)s month", "%(number)s months", months)
    return viewer.say_many("%(number)s year", "%(number)s years", months // 12)


def write_born(viewer: Viewer, birth_date: str | None) -> str:
    """Write the birth date as precisely as the chart knows it."""
    if not birth_date:
        return viewer.say("Birth date not recorded")
    try:
        day = write_date(viewer, date.fromisoformat(birth_date))
    except ValueError:
        day = birth_date
    return viewer.say("Born %(day)s", day=day)


def write_span(viewer: Viewer, span: timedelta) -> str:
    """Write how long an answer took: ``9 minutes``, ``1 h 12 min``, ``2 days``."""
    minutes = max(1, round(span.total_seconds() / 60))
    if minutes < 60:
        return viewer.say_many("%(number)s minute", "%(number)s minutes", minutes)
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        if not rest:
            return viewer.say("%(hours)s h", hours=hours)
        return viewer.say("%(hours)s h %(minutes)s min", hours=hours, minutes=rest)
    return viewer.say_many("%(number)s day", "%(number)s days", round(hours / 24))


def topic_name(viewer: Viewer, topic: str) -> str:
    """Write a plan's topic as people call it."""
    known = TOPICS.get(topic)
    return viewer.say(known) if known else topic.replace("-", " ").capitalize()


def _skeleton(viewer: Viewer, skeleton: str, value: date | datetime) -> str:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    text = format_skeleton(skeleton, moment, tzinfo=moment.tzinfo, locale=viewer.locale)
    return str(text).replace(NARROW, " ")
