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
from middleware.desk.viewer import mark
from middleware.desk.views import View

INSTANTS = {
    "start": mark("%(kind)s begins %(day)s, %(time)s"),
    "period.end": mark("%(kind)s ended %(day)s, %(time)s"),
    "period.start": mark("%(kind)s began %(day)s, %(time)s"),
}
KINDS = {
    "Appointment": mark("Appointment"),
    "CarePlan": mark("Care plan"),
    "Communication": mark("Message"),
    "Condition": mark("Problem"),
    "Consent": mark("Consent"),
    "Encounter": mark("Stay or visit"),
    "Flag": mark("Flag"),
    "Goal": mark("Goal"),
    "Immunization": mark("Vaccination"),
    "MedicationRequest": mark("Prescription"),
    "Observation": mark("Result"),
    "Patient": mark("Patient record"),
    "Procedure": mark("Procedure"),
    "RelatedPerson": mark("Family or carer"),
    "ServiceRequest": mark("Order"),
}
TELECOM = {
    "sms": mark("A number for texts is in the chart"),
    "email": mark("An email address is in the chart"),
}


def write_facts(view: View, facts: Sequence[Fact]) -> tuple[str, ...]:
    """Return one line for each fact, without repetition."""
    return tuple(dict.fromkeys(_line(view, item) for item in facts))


def kind_name(view: View, kind: str) -> str:
    """Write a FHIR type as people call it; one without such a word as it is."""
    return view.say(KINDS[kind]) if kind in KINDS else kind


def _is_hour(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _line(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    for write in (_instant, _contact, _permission, _person):
        line = write(view, fact)
        if line:
            return line
    kind = kind_name(view, fact.reference.partition("/")[0])
    if path == "status":
        return view.say("%(kind)s: status %(status)s", kind=kind, status=value)
    return f"{kind} {path}: {value}"


def _instant(view: View, fact: Fact) -> str:
    known = INSTANTS.get(fact.path)
    moment = find_instant(fact.value, view.zone) if known else None
    if known is None or moment is None:
        return ""
    when = write_instant(view.viewer, moment, view.zone)
    kind = kind_name(view, fact.reference.partition("/")[0])
    return view.say(known, kind=kind, day=when.day, time=when.time)


def _contact(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    if "communication" in path or path == "language":
        name = language_name(view.viewer, value)
        return view.say("Language: %(language)s", language=name)
    if path == "channels":
        words = [view.say(CHANNELS.get(name, name)) for name in value.split(", ")]
        order = ", ".join(words).lower()
        return view.say("Order of contact: %(order)s", order=order)
    if "telecom" in path:
        known = TELECOM.get(value)
        if known:
            return view.say(known)
        return view.say("%(thing)s is in the chart", thing=value)
    if path == "window":
        first, _, last = value.strip("[]()").partition(", ")
        if _is_hour(first) and _is_hour(last):
            return view.say(
                "Allowed hours: %(first)s to %(last)s",
                first=write_hour(view.viewer, float(first)),
                last=write_hour(view.viewer, float(last)),
            )
    return ""


def _permission(view: View, fact: Fact) -> str:
    if not fact.path.startswith("provision["):
        return ""
    answer, _, rest = fact.value.partition(", ")
    how = rest.partition(", ")[2]
    if answer != "permit":
        if how:
            return view.say("Said no to being contacted: %(how)s", how=how)
        return view.say("Said no to being contacted")
    if how:
        return view.say("Agreed to being contacted: %(how)s", how=how)
    return view.say("Agreed to being contacted")


def _person(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    if path.startswith("deceased"):
        if value.lower() in ("not recorded", "false"):
            return view.say("No death is recorded")
        return view.say("A death is recorded")
    if "address" in path and "/" in value:
        zone = zone_name(view.viewer, value, view.now)
        return view.say("Lives in this time zone: %(zone)s", zone=zone)
    return ""
