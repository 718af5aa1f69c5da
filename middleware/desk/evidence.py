"""What a verdict rests on, in words: each fact with where it stands. Pure.

A fact without words of its own is shown as the chart has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mappings.instants import find_instant
from mappings.nudge import Fact
from middleware.desk.formats import (
    CHANNELS,
    language_name,
    write_hour,
    write_instant,
    zone_name,
)
from middleware.desk.views import View

INSTANTS = {"start": "Begins", "period.end": "Ended", "period.start": "Began"}


def write_facts(view: View, facts: Sequence[Fact]) -> tuple[str, ...]:
    """Return one line for each fact, without repetition."""
    return tuple(dict.fromkeys(_line(view, item) for item in facts))


def _is_hour(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _line(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    kind = fact.reference.partition("/")[0]
    moment = find_instant(value, view.zone) if path in INSTANTS else None
    if moment is not None:
        when = write_instant(moment, view.zone)
        return f"{kind} {INSTANTS[path].lower()} {when.day}, {when.time}"
    if "communication" in path or path == "language":
        return f"Language: {language_name(value)}"
    if path == "channels":
        words = [CHANNELS.get(name, name) for name in value.split(", ")]
        return f"Order of contact: {', '.join(words).lower()}"
    if "telecom" in path:
        thing = {"sms": "A number for texts", "email": "An email address"}
        return f"{thing.get(value, value)} is in the chart"
    if path.startswith("provision["):
        answer, _, rest = value.partition(", ")
        said = "Agreed" if answer == "permit" else "Said no"
        how = rest.partition(", ")[2]
        return f"{said} to being contacted: {how}" if how else f"{said} to contact"
    if path.startswith("deceased"):
        alive = value.lower() in ("not recorded", "false")
        return "No death is recorded" if alive else "A death is recorded"
    if path == "window":
        first, _, last = value.strip("[]()").partition(", ")
        if _is_hour(first) and _is_hour(last):
            hours = f"{write_hour(float(first))} to {write_hour(float(last))}"
            return f"Allowed hours: {hours}"
    if "address" in path and "/" in value:
        return f"Lives in the {zone_name(value, view.now)} time zone"
    return f"{kind} {path}: {value}" if path != "status" else f"{kind} is {value}"
