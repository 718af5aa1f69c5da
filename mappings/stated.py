"""What a patient stated that is no rule yet: preferences, needs and goals in the chart.

Sources: US Core care experience (LOINC 95541-9) and treatment intervention (75773-2)
preferences; Goal.expressedBy; disability status Observations.
"""

from __future__ import annotations

from collections.abc import Iterable

from mappings.consent import OWN
from mappings.instants import find_instant
from mappings.preference import Sourced, Who
from mappings.reference import read_reference, reference_of
from mappings.resource import Resource, codings_of, dict_of, list_of

EXPERIENCE, TREATMENT = "95541-9", "75773-2"
MODALITIES: dict[str, str] = {
    "telehealth": "telehealth",
    "virtual": "telehealth",
    "video": "telehealth",
    "VR": "telehealth",
    "in-person": "in-person",
    "AMB": "in-person",
    "phone": "phone",
}
# LOINC, American Community Survey: the answer yes makes it a need.
NEEDS: dict[str, str] = {
    "69856-3": "hearing",
    "69857-1": "seeing",
    "69858-9": "remembering",
    "69859-7": "walking",
    "69861-3": "errands",
}
YES = frozenset({"LA33-6", "373066001", "Y"})
ENDED_GOALS = frozenset({"cancelled", "entered-in-error", "rejected", "completed"})
VOID = frozenset({"entered-in-error", "cancelled"})


def read_stated(
    observations: Iterable[Resource], patient: str
) -> tuple[Sourced[str], ...]:
    """Return the care and treatment preferences as written, the newest first."""
    found = [
        _sourced(value, item, patient)
        for item in observations
        if _codes(item) & {EXPERIENCE, TREATMENT} and _is_said(item)
        for value in [_value(item)]
        if value
    ]
    return tuple(sorted(found, key=_newest_first, reverse=True))


def read_modalities(
    observations: Iterable[Resource], patient: str
) -> tuple[Sourced[str], ...]:
    """Return how the patient likes to be seen where it is coded, the newest first."""
    found = [
        _sourced(MODALITIES[code], item, patient)
        for item in observations
        if EXPERIENCE in _codes(item) and _is_said(item)
        for _, code in codings_of(item.get("valueCodeableConcept"))
        if code in MODALITIES
    ]
    return tuple(sorted(found, key=_newest_first, reverse=True))


def read_needs(
    observations: Iterable[Resource], patient: str
) -> tuple[Sourced[str], ...]:
    """Return the disabilities that were answered with yes."""
    return tuple(
        _sourced(NEEDS[code], item, patient)
        for item in observations
        for code in sorted(_codes(item) & set(NEEDS))
        if {word for _, word in codings_of(item.get("valueCodeableConcept"))} & YES
        and str(item.get("status")) not in VOID
    )


def read_goals(goals: Iterable[Resource], patient: str) -> tuple[Sourced[str], ...]:
    """Return the goals that the patient expressed, in the patient's words."""
    found = [
        Sourced(
            text,
            Who.PATIENT,
            "a goal in the chart",
            find_instant(goal.get("startDate")),
            reference=f"{reference_of(goal)}#Goal.description",
        )
        for goal in goals
        if read_reference(goal.get("expressedBy")) == patient
        and str(goal.get("lifecycleStatus")) not in ENDED_GOALS
        for text in [str(dict_of(goal.get("description")).get("text") or "")]
        if text
    ]
    return tuple(sorted(found, key=_newest_first, reverse=True))


def _is_said(observation: Resource) -> bool:
    """Tell whether it stands, and is not what we wrote ourselves and know."""
    systems = {
        str(dict_of(item).get("system"))
        for item in list_of(observation.get("identifier"))
    }
    return str(observation.get("status")) not in VOID and OWN not in systems


def _codes(observation: Resource) -> set[str]:
    return {code for _, code in codings_of(observation.get("code"))}


def _sourced(value: str, item: Resource, patient: str) -> Sourced[str]:
    performers = {read_reference(one) for one in list_of(item.get("performer"))}
    return Sourced(
        value,
        Who.PATIENT if patient in performers else Who.CHART,
        "in the chart",
        find_instant(item.get("effectiveDateTime")),
        reference=f"{reference_of(item)}#Observation.value",
    )


def _newest_first(item: Sourced[str]) -> tuple[str, str]:
    return (item.when.isoformat() if item.when else "", item.reference or "")


def _value(observation: Resource) -> str:
    concept = dict_of(observation.get("valueCodeableConcept"))
    shown = [dict_of(one).get("display") for one in list_of(concept.get("coding"))]
    found = (
        observation.get("valueString")
        or concept.get("text")
        or next((word for word in shown if word), "")
    )
    return str(found)
