"""The sentences that people read of a step: why it is there, and what stops it.

A candidate keeps what their variables stand for, so that they can be said in another
language too. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from jinja2 import TemplateError

from mappings.instants import find_instant
from middleware.decisions.circumstance import Step
from middleware.decisions.wording import fill, plain_name, short_day, time_words


@dataclass(frozen=True, slots=True)
class Places:
    """What the variables stand for, not yet in words; ``start`` as the focus has it."""

    given: str
    zone: str
    event: datetime
    start: object
    activity: date | None


@dataclass(frozen=True)
class Spelling:
    """How a language writes a day and a time, and calls somebody without a name."""

    day: Callable[[date], str]
    time: Callable[[datetime], str]
    someone: str


ENGLISH = Spelling(short_day, lambda local: time_words(local, "en"), "the patient")


def places_of(step: Step) -> Places:
    """Return what the variables of a step's sentences stand for."""
    return Places(
        given=step.case.profile.given,
        zone=step.case.zone,
        event=step.event,
        start=(step.focus or {}).get("start"),
        activity=step.activity.day if step.activity else None,
    )


def spell_places(places: Places, spelling: Spelling) -> dict[str, str]:
    """Return the variables in words; empty where there is nothing to say."""
    info = ZoneInfo(places.zone)
    start = find_instant(places.start)
    local = start.astimezone(info) if start else None
    return {
        "given": plain_name(places.given) or spelling.someone,
        "event_day": spelling.day(places.event.astimezone(info).date()),
        "visit_day": spelling.day(local.date()) if local else "",
        "visit_time": spelling.time(local) if local else "",
        "activity_day": spelling.day(places.activity) if places.activity else "",
    }


def sentence(template: str, values: dict[str, str]) -> str:
    """Fill in a sentence for staff; what cannot be filled in is left out."""
    try:
        return fill(template, values)
    except TemplateError:
        return ""
