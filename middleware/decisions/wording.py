"""The words: choose an approved wording in the patient's language and fill it in.

No English in place of another language, no wording that nobody approved, and only a
fixed handful of variables: nothing from the chart's free text ever gets in.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mappings.endpoint import Site
from mappings.instants import find_instant
from mappings.plan import NS, Library, Wording
from mappings.resource import Resource
from mappings.visit import join_link
from middleware.decisions.languages import (
    MARK,
    is_right_to_left,
    keep_left_to_right,
    language_tags,
    locale_of,
)
from middleware.decisions.linting import find_faults, fold_to_gsm, is_gsm

_MARKS = str.maketrans("{}<>%$[]", " " * 8)
# What is said where the matter itself, or the patient's name, may not be.
GENERIC = f"{NS}/ActivityDefinition/generic-message"
VARIABLES = (
    "given",
    "clinic",
    "phone",
    "link",
    "day",
    "time",
    "times",
    "join",
    "count",
    "goal",
)


@dataclass(frozen=True)
class Words:
    """A finished message, or why there is none.

    ``reason`` is empty, wording-missing, wording-not-reviewed or wording-refused;
    ``faults`` say what the last look found.
    """

    subject: str = ""
    text: str = ""
    language: str = ""
    reviewer: str = ""
    reviewed: str = ""
    reason: str = ""
    faults: tuple[str, ...] = ()


def choose_wording(
    library: Library, definition: str, channel: str, language: str
) -> Wording | None:
    """Return the wording in exactly this language, else in its base; never another."""
    for wanted in language_tags(language):
        found = library.worded.get((definition, channel, wanted.lower()))
        if found is not None:
            return found
    return None


def names_patient(
    library: Library, definition: str, channel: str, language: str
) -> bool:
    """Tell whether the wording that would be used says the patient's name."""
    wording = choose_wording(library, definition, channel, language)
    if wording is None:
        return False
    source = f"{wording.subject}\n{wording.text}"
    return "given" in asked_for(source)


def write_words(
    library: Library,
    definition: str,
    channel: str,
    language: str,
    values: Mapping[str, str],
) -> Words:
    """Choose, fill in and check a message; ``values`` as from :func:`variables`."""
    wording = choose_wording(library, definition, channel, language)
    if wording is None:
        return Words(language=language, reason="wording-missing")
    if not wording.reviewer:
        return Words(language=wording.language, reason="wording-not-reviewed")
    words = _fill(wording, values, channel)
    if words.faults and channel == "sms" and not is_gsm(words.text):
        plain = {name: fold_to_gsm(value) for name, value in values.items()}
        words = _fill(wording, plain, channel)
    return words


def check_wording(wording: Wording, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is wrong with a wording filled in with sample values.

    A variable that it would ask for in another case counts too.
    """
    faults = _fill(wording, values, wording.channel).faults
    if faults:
        return faults
    asked = asked_for(wording.subject) | asked_for(wording.text)
    unknown = sorted(asked - set(VARIABLES))
    return tuple(f"there is no variable {name!r}" for name in unknown)


@functools.lru_cache(maxsize=1024)
def asked_for(template: str) -> frozenset[str]:
    """Return the variables that a template may ask for, whatever their values."""
    return frozenset(find_undeclared_variables(_environment().parse(template)))


def _fill(wording: Wording, values: Mapping[str, str], channel: str) -> Words:
    try:
        subject = fill(wording.subject, values)
        text = fill(wording.text, values)
    except TemplateError as error:
        return Words(
            language=wording.language,
            reason="wording-refused",
            faults=(f"it could not be filled in ({type(error).__name__})",),
        )
    if is_right_to_left(wording.language):
        text = MARK + text
    faults = find_faults(
        text,
        channel=channel,
        clinic=values.get("clinic", ""),
        subject=subject,
        links=frozenset(values.values()),
    )
    return Words(
        subject=" ".join(subject.split()),
        text=text,
        language=wording.language,
        reviewer=wording.reviewer or "",
        reviewed=wording.reviewed,
        reason="wording-refused" if faults else "",
        faults=faults,
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; an unknown or empty variable raises TemplateError."""
    known = {name: value for name, value in values.items() if value}
    return _template(template).render(known)


@functools.lru_cache(maxsize=1024)
def _template(source: str) -> Template:
    return _environment().from_string(source)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    found = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    for known in (found.globals, found.filters, found.tests):
        known.clear()
    return found


def variables(
    site: Site,
    given: str,
    language: str,
    moment: datetime | date | None,
    zone: str,
    *,
    count: int = 1,
) -> dict[str, str]:
    """Return the values of the fixed variables in the patient's language and zone.

    ``moment`` is a visit's start (day and time) or a step's day (day alone); ``count``
    how many things are due that one message tells of.
    """
    values = {
        "given": plain_name(given),
        "clinic": site.name,
        "phone": keep_left_to_right(site.phone, language),
        "link": site.booking_url,
        "day": "",
        "time": "",
        "join": "",
        "count": str(count),
    }
    if isinstance(moment, datetime):
        local = moment.astimezone(ZoneInfo(zone))
        values["day"] = day_words(local.date(), language)
        values["time"] = time_words(local, language)
    elif moment is not None:
        values["day"] = day_words(moment, language)
    return values | {"times": values["time"]}


def visit_words(
    visit: Resource, same_day: Iterable[Resource], language: str, zone: str
) -> dict[str, str]:
    """Return what is said of a visit: the times of its day, and its video link."""
    starts = (find_instant(item.get("start")) for item in (visit, *same_day))
    local = sorted(item.astimezone(ZoneInfo(zone)) for item in starts if item)
    times = [time_words(item, language) for item in local]
    listed = str(format_list(times, locale=locale_of(language))) if times else ""
    return {"times": listed, "join": join_link(visit)}


def plain_name(given: str) -> str:
    """Return a given name that cannot carry anything but a name (40 characters)."""
    kept = "".join(item for item in given if item.isalpha() or item in " '-.’")
    return " ".join(kept.split())[:40]


def plain_words(text: object) -> str:
    """Return a patient's own words as one line of at most 120 characters.

    They stand on the patient's own page alone, never in a text or an e-mail.
    """
    kept = (item if item.isprintable() else " " for item in str(text or ""))
    return " ".join("".join(kept).translate(_MARKS).split())[:120]


@functools.lru_cache(maxsize=1024)
def day_words(day: date, language: str) -> str:
    """Return a day with its weekday, e.g. ``Tue, Nov 24`` or ``mar, 24 nov``."""
    return str(format_skeleton("MMMEd", _midday(day), locale=locale_of(language)))


@functools.lru_cache(maxsize=1024)
def short_day(day: date) -> str:
    """Return a day for staff, e.g. ``Nov 24``."""
    return str(format_date(day, "MMM d", locale="en_US"))


def time_words(local: datetime, language: str) -> str:
    """Return a time of day with an ordinary space, e.g. ``9:30 AM``."""
    shown = str(format_time(local.time(), "short", locale=locale_of(language)))
    return " ".join(shown.replace("\u202f", " ").replace("\xa0", " ").split())


def _midday(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("UTC"))
