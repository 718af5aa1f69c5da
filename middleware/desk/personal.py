"""What the patient said in their own words, and how they like to be seen.

Pure, but for naming what has to be read for it. Only what is expressed by the patient
counts as the patient's words.
"""

from __future__ import annotations

from datetime import datetime

from mappings.instants import find_instant
from mappings.preference import Sourced, Who
from mappings.reference import read_reference
from mappings.resource import Resource, codings_of, dict_of, list_of
from middleware.desk.completeness import is_narrowed, state_of
from middleware.desk.formats import write_day, write_instant
from middleware.desk.reaching import write_source
from middleware.desk.stating import write_value
from middleware.desk.values import Fact, Words
from middleware.desk.views import View

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
EXPERIENCE = "95541-9"  # LOINC: care experience preference
ENDED_GOALS = frozenset({"cancelled", "entered-in-error", "rejected", "completed"})
COMING_VISITS = frozenset({"booked", "pending", "arrived", "checked-in"})


def choose_words(view: View) -> Words | None:
    """Return the patient's words: what they told us, else a goal they expressed."""
    said = view.profile.matters
    if said is not None and said.value.get("text"):
        return Words(
            text=str(said.value["text"]),
            language=str(said.value.get("language") or ""),
            source=write_source(view, said.who, said.how, said.by, said.when),
            translation=str(said.value.get("translation") or ""),
            reading=str(said.value.get("translation_language") or ""),
        )
    goals = [goal for goal in view.chart.of("Goal") if _is_own(view, goal)]
    if not goals:
        return None
    goal = max(goals, key=lambda item: str(item.get("startDate") or ""))
    when = find_instant(goal.get("startDate"), view.zone)
    source = write_source(view, Who.PATIENT, "a goal in the chart", None, when)
    description = goal["description"]
    reading, translation = _translation(view, description)
    return Words(
        text=str(description["text"]),
        language=str(goal.get("language") or ""),
        source=source,
        translation=translation,
        reading=reading,
    )


def _translation(view: View, concept: Resource) -> tuple[str, str]:
    """Return a recorded translation as (language, text), both empty for none.

    The viewer's language comes first. Source: R4 ``translation`` extension.
    """
    found: dict[str, str] = {}
    for extension in list_of(dict_of(concept.get("_text")).get("extension")):
        if dict_of(extension).get("url") == TRANSLATION:
            parts = {
                str(part.get("url")): part.get("valueCode")
                or part.get("valueString")
                or part.get("valueMarkdown")
                for part in map(dict_of, list_of(extension.get("extension")))
            }
            if parts.get("lang") and parts.get("content"):
                found[str(parts["lang"])] = str(parts["content"])
    mine = [tag for tag in found if tag.partition("-")[0] == view.viewer.language]
    tag = next(iter([*mine, *found]), "")
    return tag, found.get(tag, "")


def visit_fact(view: View) -> Fact:
    """Return how the patient likes to be seen, else the next booked visit."""
    said = view.profile.modality
    if said is not None and said.reference is None:
        source = write_source(view, said.who, said.how, said.by, said.when)
        words = write_visits(view, said)
        return Fact(view.say("Visits"), words, source)
    newest = _stated(view)
    if newest is None:
        return _next_visit(view)
    own = any(
        read_reference(item) == view.patient
        for item in list_of(newest.get("performer"))
    )
    who = Who.PATIENT if own else Who.CHART
    source = write_source(view, who, "", None, find_instant(_effective(newest)))
    return Fact(view.say("Visits"), _value(newest), source)


def write_visits(view: View, said: Sourced[str]) -> str:
    """Return how the patient likes to be seen.

    Where the chart says so, in its own words: they may say more than a code.
    """
    stated = _stated(view) if said.reference is not None else None
    return _value(stated) if stated else write_value(view, "modality", said.value)


def _stated(view: View) -> Resource | None:
    stated = [
        item
        for item in view.chart.of("Observation")
        if any(code == EXPERIENCE for _, code in codings_of(item.get("code")))
        and _value(item)
    ]
    return max(stated, key=_effective, default=None)


def _is_own(view: View, goal: Resource) -> bool:
    text = dict_of(goal.get("description")).get("text")
    mine = read_reference(goal.get("expressedBy")) == view.patient
    return bool(text) and mine and str(goal.get("lifecycleStatus")) not in ENDED_GOALS


def _value(observation: Resource) -> str:
    concept = dict_of(observation.get("valueCodeableConcept"))
    shown = [dict_of(item).get("display") for item in list_of(concept.get("coding"))]
    found = (
        observation.get("valueString")
        or concept.get("text")
        or next((item for item in shown if item), "")
    )
    return str(found)


def _effective(observation: Resource) -> str:
    return str(observation.get("effectiveDateTime") or "")


def _next_visit(view: View) -> Fact:
    booked: list[tuple[datetime, Resource]] = []
    for visit in view.chart.of("Appointment"):
        start = find_instant(visit.get("start"))
        known = str(visit.get("status")) in COMING_VISITS
        if start is not None and known and start > view.now:
            booked.append((start, visit))
    label = view.say("Next visit")
    state = state_of(view, "Appointment", view.chart.of("Appointment"))
    if state == "withheld":
        return Fact(label, view.say("Not known"), view.say("Visits are not permitted"))
    if state == "unasked":
        return Fact(label, view.say("Not known"), view.say("Not asked this time"))
    if state == "failed":
        return Fact(label, view.say("Not known"), view.say("Visits could not be read"))
    if not booked and is_narrowed(view, "Appointment"):
        part = view.say("Visits are permitted in part")
        return Fact(label, view.say("Not known"), part)
    if not booked:
        day = write_day(view.viewer, view.today)
        return Fact(label, view.say("None booked"), view.say("As of %(day)s", day=day))
    start, visit = min(booked, key=lambda pair: pair[0])
    when = write_instant(view.viewer, start, view.zone)
    return Fact(label, f"{when.day}, {when.time}", _visit_words(visit))


def _visit_words(visit: Resource) -> str:
    for name in ("appointmentType", "serviceType"):
        for concept in list_of(visit.get(name)):
            if isinstance(concept, dict) and concept.get("text"):
                return str(concept["text"])
    return str(visit.get("description") or "")
