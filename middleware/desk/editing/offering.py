"""Language, times and needs: what their forms offer, and reading it back. Pure."""

from __future__ import annotations

from typing import Any

from babel.dates import get_timezone_location

from mappings.errors import BadInputError
from middleware.desk.editing.fields import Field, Fields, read_one, read_some
from middleware.desk.formats import (
    language_name,
    write_hour,
    write_weekday,
    zone_name,
)
from middleware.desk.stating import MODALITIES, NEEDS, write_value
from middleware.desk.values import Choice
from middleware.desk.views import View

LANGUAGES = [
    "en",
    "es",
    "zh",
    "vi",
    "tl",
    "ar",
    "fr",
    "ko",
    "ru",
    "pt",
    "ht",
    "hi",
    "de",
    "pl",
    "it",
    "ja",
    "fa",
    "ur",
    "gu",
    "bn",
    "pa",
    "te",
    "ta",
    "so",
    "am",
    "sw",
    "uk",
    "hmn",
    "km",
    "lo",
    "my",
    "ne",
    "hy",
    "th",
    "he",
    "nv",
]
ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "Pacific/Guam",
)
EARLIEST, LATEST = 16, 42  # half hours of the day: 8 AM and 9 PM


# --- language, interpreter -------------------------------------------------------


def offer_languages(view: View) -> tuple[Field, ...]:
    """Offer the languages: first those that wordings are in."""
    written = {item.language for item in view.library.wordings}
    said = view.profile.language
    tags = [*sorted(written), *LANGUAGES, *([said.value] if said else [])]
    primary = dict.fromkeys(
        tag.partition("-")[0] if tag not in written else tag for tag in tags
    )
    present = said.value if said else ""
    if present and present not in primary:
        present = present.partition("-")[0]
    choices = tuple(
        Choice(
            tag,
            language_name(view.viewer, tag)
            if tag in written
            else view.say(
                "%(name)s (no wording yet)", name=language_name(view.viewer, tag)
            ),
        )
        for tag in primary
    )
    label = view.say("Language to write in")
    return (Field("one", "language", label, (present,), choices),)


def offer_interpreter(view: View) -> tuple[Field, ...]:
    """Offer whether an interpreter is needed."""
    said = view.profile.interpreter
    present = "" if said is None else "yes" if said.value else "no"
    choices = (Choice("yes", view.say("Needed")), Choice("no", view.say("Not needed")))
    label = view.say("Interpreter for visits and calls")
    return (Field("one", "interpreter", label, (present,), choices),)


# --- when --------------------------------------------------------------------------


def offer_hours(view: View) -> tuple[Field, ...]:
    """Offer hours and days of the week."""
    first, last = view.profile.window.value
    halves = [half / 2 for half in range(EARLIEST, LATEST + 1)]
    choices = tuple(
        Choice(f"{hour:g}", write_hour(view.viewer, hour)) for hour in halves
    )
    said = view.profile.days
    days = range(7) if said is None else said.value
    return (
        Field("one", "first", view.say("From"), (f"{first:g}",), choices[:-1]),
        Field("one", "last", view.say("Until"), (f"{last:g}",), choices[1:]),
        Field(
            "some",
            "days",
            view.say("Days"),
            tuple(str(day) for day in days),
            tuple(
                Choice(str(day), write_weekday(view.viewer, day)) for day in range(7)
            ),
        ),
    )


def read_hours(view: View, given: Fields) -> dict[str, Any]:
    """Read hours and days; both are recorded."""
    first, last, days = offer_hours(view)
    window = [float(read_one(view, item, given)) for item in (first, last)]
    if window[0] >= window[1]:
        raise BadInputError(view.say("The hours must end after they begin."))
    chosen = [int(day) for day in read_some(view, days, given)]
    if not chosen:
        raise BadInputError(
            view.say("Choose at least one day, or pause the messages instead.")
        )
    return {"window": window, "days": chosen}


def offer_zones(view: View) -> tuple[Field, ...]:
    """Offer the zones that the chart points to, and those of the country."""
    said = view.profile.zones
    known = said.value if said else ()
    names = dict.fromkeys((*known, view.endpoint.site.zone, *ZONES))
    choices = tuple(Choice(name, _zone_label(view, name)) for name in names)
    present = known[0] if len(known) == 1 else ""
    return (Field("one", "zone", view.say("Time zone"), (present,), choices),)


def _zone_label(view: View, name: str) -> str:
    place = get_timezone_location(name, return_city=True, locale=view.viewer.locale)
    return f"{zone_name(view.viewer, name, view.now)}, {place}"


def offer_weekly(view: View) -> tuple[Field, ...]:
    """Offer limits up to the site's."""
    present = str(view.profile.max_per_week.value)
    choices = tuple(
        Choice(str(count), write_value(view, "max_per_week", count))
        for count in range(1, view.endpoint.site.max_per_week + 1)
    )
    hint = view.say("What cannot wait is not counted.")
    return (Field("one", "limit", view.say("Weekly limit"), (present,), choices, hint),)


def offer_visits(view: View) -> tuple[Field, ...]:
    """Offer the ways to be seen."""
    said = view.profile.modality
    choices = tuple(Choice(k, view.say(v)) for k, v in MODALITIES.items())
    label = view.say("Likes to be seen")
    return (Field("one", "visits", label, (said.value if said else "",), choices),)


def offer_needs(view: View) -> tuple[Field, ...]:
    """Offer the needs."""
    present = tuple(item.value for item in view.profile.accessibility)
    choices = tuple(Choice(k, view.say(v)) for k, v in NEEDS.items())
    hint = view.say("What the chart says itself stays until the chart is changed.")
    return (Field("some", "needs", view.say("Needs"), present, choices, hint),)


def read_needs(view: View, given: Fields) -> dict[str, Any]:
    """Read the needs."""
    (field,) = offer_needs(view)
    return {"accessibility": read_some(view, field, given)}
