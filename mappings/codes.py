"""Code systems and the words of R4 and R5 that mean the same to us."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable

from mappings.resource import Coding, Resource, codings_of, dict_of, list_of, values_at

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION_MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
LANGUAGE = "urn:ietf:bcp:47"

MEDIUM: dict[str, str] = {
    "sms": "SMSWRIT",
    "email": "EMAILWRIT",
    "screen": "ONLINEWRIT",
}
CHANNELS = {code: channel for channel, code in MEDIUM.items()}

PLANNED, ADMITTED, INPATIENT = "planned", "admitted", "inpatient"
DISCHARGED, CANCELLED, UNDONE = "discharged", "cancelled", "undone"
BOOKED, ARRIVED, NOSHOW, FULFILLED = "booked", "arrived", "noshow", "fulfilled"
WAITLISTED = "waitlisted"
ACTIVE, ENDED = "active", "ended"
DELETED, OTHER = "deleted", "other"

ENCOUNTER_STATUS: dict[str, str] = {
    "planned": PLANNED,
    "arrived": ADMITTED,
    "triaged": ADMITTED,
    "in-progress": ADMITTED,
    "onleave": ADMITTED,
    "on-hold": ADMITTED,
    "finished": DISCHARGED,
    "discharged": DISCHARGED,
    "completed": DISCHARGED,
    "cancelled": CANCELLED,
    "discontinued": CANCELLED,
    "entered-in-error": UNDONE,
}

# Every status of R4, R4B and R5 in one vocabulary. What is not here says nothing:
# ``unknown`` and what a version yet to come may add.
FOCUS_STATUS: dict[str, dict[str, str]] = {
    "Encounter": ENCOUNTER_STATUS,
    "Appointment": {
        "proposed": PLANNED,
        "pending": PLANNED,
        "waitlist": WAITLISTED,
        "booked": BOOKED,
        "arrived": ARRIVED,
        "checked-in": ARRIVED,
        "fulfilled": FULFILLED,
        "cancelled": CANCELLED,
        "noshow": NOSHOW,
        "entered-in-error": UNDONE,
    },
    "CarePlan": {
        "draft": PLANNED,
        "active": ACTIVE,
        "on-hold": ENDED,
        "revoked": ENDED,
        "completed": ENDED,
        "entered-in-error": UNDONE,
    },
}

INPATIENT_CLASSES = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "SS"})


def status_word(resource: Resource) -> str:
    """Return an Encounter's status in one vocabulary for R4 and R5."""
    return ENCOUNTER_STATUS.get(str(resource.get("status")), OTHER)


def focus_status(resource: Resource) -> str:
    """Return the status of a focus in one vocabulary for R4, R4B and R5.

    An inpatient stay that goes on is told apart from an emergency visit.
    """
    words = FOCUS_STATUS.get(str(resource.get("resourceType")), {})
    word = words.get(str(resource.get("status")), OTHER)
    if word == ADMITTED and encounter_class(resource) in INPATIENT_CLASSES:
        return INPATIENT
    return word


def encounter_class(encounter: Resource) -> str:
    """Return the v3-ActCode of the class (R4: Coding, R5: CodeableConcepts) or ''.

    Where other systems stand beside it, v3-ActCode counts.
    """
    found = codings_of(encounter.get("class"))
    standard = [code for system, code in found if system == ACT_CODE]
    return next(iter(standard or [code for _, code in found]), "")


def encounter_period(encounter: Resource) -> Resource:
    """Return when the stay was: ``period`` (R4) or ``actualPeriod`` (R5)."""
    return dict_of(encounter.get("period")) or dict_of(encounter.get("actualPeriod"))


def disposition_path(encounter: Resource) -> str:
    """Return where the discharge disposition stands: R4 or R5 element path."""
    if "admission" in encounter:
        return "admission.dischargeDisposition"
    return "hospitalization.dischargeDisposition"


def disposition_codings(encounter: Resource) -> tuple[Coding, ...]:
    """Return the codings of the discharge disposition (R4 and R5)."""
    return codings_of(values_at(encounter, disposition_path(encounter)))


def context_codes(resource: Resource) -> tuple[Coding, ...]:
    """Return the codes of what content is about: its useContext of the kind focus."""
    contexts = [dict_of(item) for item in list_of(resource.get("useContext"))]
    return tuple(
        coding
        for item in contexts
        if dict_of(item.get("code")).get("code") == "focus"
        for coding in codings_of(item.get("valueCodeableConcept"))
    )


def has_member(
    members: Collection[tuple[str, str]], codings: Iterable[Coding]
) -> Coding | None:
    """Return the first coding in a value set, or None.

    A member code that ends in ``*`` stands for its whole branch (ICD-10 is-a).
    """
    branches: frozenset[int] | None = None
    for coding in codings:
        if coding in members:
            return coding
        if branches is None:
            branches = _branches(frozenset(members))
        system, code = coding
        for length in branches:
            if length <= len(code) and (system, code[:length] + "*") in members:
                return coding
    return None


@functools.lru_cache(maxsize=4096)
def _branches(members: frozenset[tuple[str, str]]) -> frozenset[int]:
    """Return how long the codes of whole branches in a value set are."""
    return frozenset(
        len(code) - 1 for _, code in members if len(code) > 1 and code.endswith("*")
    )
