"""What a verdict rests on, in words: each fact with where it stands. Pure.

A fact without words of its own is left to the ledger: a path and a code say nothing to a
reader. Codes of status are said in words; other values are the chart's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from mappings.instants import find_instant
from mappings.nudge import Fact
from middleware.desk.formats import (
    CHANNELS,
    language_name,
    write_date,
    write_hour,
    write_instant,
    zone_name,
)
from middleware.desk.stating import ROLES
from middleware.desk.statuses import STATUSES
from middleware.desk.viewer import mark
from middleware.desk.views import View

BEGINS, BEGAN, ENDED, DATED, ASKED = (
    mark("%(kind)s begins %(day)s, %(time)s"),
    mark("%(kind)s began %(day)s, %(time)s"),
    mark("%(kind)s ended %(day)s, %(time)s"),
    mark("%(kind)s dated %(day)s, %(time)s"),
    mark("%(kind)s asked for %(day)s, %(time)s"),
)
INSTANTS = {
    "start": BEGINS,
    "period.start": BEGAN,
    "actualPeriod.start": BEGAN,
    "period.end": ENDED,
    "actualPeriod.end": ENDED,
    "performedPeriod.end": ENDED,
    "performedDateTime": DATED,
    "effectiveDateTime": DATED,
    "authoredOn": ASKED,
    "dueAt": mark("The next message goes %(day)s, %(time)s"),
    "sentAt": mark("The last message went out %(day)s, %(time)s"),
}
KINDS = {
    "Appointment": mark("Appointment"),
    "CarePlan": mark("Care plan"),
    "Communication": mark("Message"),
    "Condition": mark("Problem"),
    "Consent": mark("Consent"),
    "DiagnosticReport": mark("Report"),
    "Encounter": mark("Stay or visit"),
    "Flag": mark("Flag"),
    "Goal": mark("Goal"),
    "Immunization": mark("Vaccination"),
    "MedicationDispense": mark("Medicine collected"),
    "MedicationRequest": mark("Prescription"),
    "Observation": mark("Result"),
    "Patient": mark("Patient record"),
    "Procedure": mark("Procedure"),
    "RelatedPerson": mark("Family or carer"),
    "RiskAssessment": mark("Risk score"),
    "ServiceRequest": mark("Order"),
    "Task": mark("Task"),
}
TELECOM = {
    "sms": mark("A number for texts is in the chart"),
    "email": mark("An email address is in the chart"),
}
NO_ANSWER = {
    "sms": mark("No answer to texts is recorded"),
    "email": mark("No answer to emails is recorded"),
}
ABSENT = frozenset({"absent", "None", ""})


def write_facts(view: View, facts: Sequence[Fact]) -> tuple[str, ...]:
    """Return one line for each fact that has words, without repetition."""
    lines = (_line(view, item) for item in facts)
    return tuple(dict.fromkeys(line for line in lines if line))


def kind_name(view: View, kind: str) -> str:
    """Write a FHIR type as people call it; one without such a word as it is."""
    return view.say(KINDS[kind]) if kind in KINDS else kind


def _is_hour(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _line(view: View, fact: Fact) -> str:
    for write in (_instant, _contact, _reach, _permission, _person, _held, _coded):
        line = write(view, fact)
        if line:
            return line
    return ""


def _kind(view: View, fact: Fact) -> str:
    return kind_name(view, fact.reference.partition("/")[0])


def _instant(view: View, fact: Fact) -> str:
    known = INSTANTS.get(fact.path)
    moment = find_instant(fact.value, view.zone) if known else None
    if known is None or moment is None:
        return ""
    when = write_instant(view.viewer, moment, view.zone)
    return view.say(known, kind=_kind(view, fact), day=when.day, time=when.time)


def _contact(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    if "communication" in path or path == "language":
        if value in ABSENT:
            return view.say("No language is recorded")
        name = language_name(view.viewer, value)
        return view.say("Language: %(language)s", language=name)
    if path == "channels":
        words = [view.say(CHANNELS.get(name, name)) for name in value.split(", ")]
        order = ", ".join(words).lower()
        return view.say("Order of contact: %(order)s", order=order)
    if path == "window":
        first, _, last = value.strip("[]()").partition(", ")
        if _is_hour(first) and _is_hour(last):
            return view.say(
                "Allowed hours: %(first)s to %(last)s",
                first=write_hour(view.viewer, float(first)),
                last=write_hour(view.viewer, float(last)),
            )
    return ""


def _reach(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    if "telecom" not in path:
        return ""
    if value == "no usable one":
        return view.say("No usable number or address is in the chart")
    channel, colon, _ = value.partition(": ")
    known = (NO_ANSWER if colon else TELECOM).get(channel)
    return view.say(known) if known else ""


def _permission(view: View, fact: Fact) -> str:
    if not fact.path.startswith("provision["):
        return ""
    answer, _, rest = fact.value.partition(", ")
    how = view.say(rest.partition(", ")[2])
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
    if path.endswith("birthDate"):
        return _born(view, value)
    if path.endswith("relationship"):
        kinds = (view.say(ROLES.get(kind, kind)) for kind in value.split(", "))
        return f"{_kind(view, fact)}: {', '.join(kinds)}"
    if path == "zone" or "address" in path:
        if value in ABSENT:
            return view.say("No address with a time zone is recorded")
        zones = [zone for zone in value.split(", ") if "/" in zone]
        names = [zone_name(view.viewer, zone, view.now) for zone in zones]
        if names:
            zone = view.viewer.join(names)
            return view.say("Lives in this time zone: %(zone)s", zone=zone)
    return ""


def _born(view: View, value: str) -> str:
    try:
        day = write_date(view.viewer, date.fromisoformat(value))
    except ValueError:
        return view.say("No birth date is recorded")
    return view.say("Born %(day)s", day=day)


def _held(view: View, fact: Fact) -> str:
    kind = fact.reference.partition("/")[0]
    if kind == "Switch":
        return view.say("A person set a hold: %(why)s", why=fact.value)
    if fact.path == "pause":
        return view.say("A pause is recorded")
    if fact.path == "confidential":
        return view.say("A request for confidential contact is recorded")
    if kind == "PlanDefinition":
        return view.say("It goes along with another message")
    return ""


def _coded(view: View, fact: Fact) -> str:
    path, value = fact.path, fact.value
    words = STATUSES.get(value)
    if words and (path == "status" or path.endswith("clinicalStatus.coding.code")):
        kind = _kind(view, fact)
        return view.say(
            "%(kind)s: status %(status)s", kind=kind, status=view.say(words)
        )
    if path in ("id", "subject"):
        return view.say("%(kind)s: no longer in this chart", kind=_kind(view, fact))
    return ""
