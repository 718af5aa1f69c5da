"""Code systems and the words of R4 and R5 that mean the same to us."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mappings.resource import Coding, Resource, codings_of, values_at

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PARTICIPATION_MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
LANGUAGE = "urn:ietf:bcp:47"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
CANCELATION = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"

MEDIUM: dict[str, str] = {
    "sms": "SMSWRIT",
    "email": "EMAILWRIT",
    "screen": "ONLINEWRIT",
}

ADMITTED, DISCHARGED, CANCELLED = "admitted", "discharged", "cancelled"
UNDONE, DELETED, PLANNED, OTHER = "undone", "deleted", "planned", "other"

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

INPATIENT_CLASSES = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC", "SS"})


def status_word(resource: Resource) -> str:
    """Return an Encounter's status in one vocabulary for R4 and R5."""
    return ENCOUNTER_STATUS.get(str(resource.get("status")), OTHER)


def encounter_class(encounter: Resource) -> str:
    """Return the v3-ActCode of the class (R4: Coding, R5: CodeableConcepts) or ''."""
    for _, code in codings_of(encounter.get("class")):
        return code
    return ""


def disposition_path(encounter: Resource) -> str:
    """Return where the discharge disposition stands: R4 or R5 element path."""
    if "admission" in encounter:
        return "admission.dischargeDisposition"
    return "hospitalization.dischargeDisposition"


def disposition_codings(encounter: Resource) -> tuple[Coding, ...]:
    """Return the codings of the discharge disposition (R4 and R5)."""
    return codings_of(values_at(encounter, disposition_path(encounter)))


def has_member(
    members: Collection[tuple[str, str]], codings: Iterable[Coding]
) -> Coding | None:
    """Return the first coding in a value set, or None.

    A member code that ends in ``*`` stands for its whole branch (ICD-10 is-a).
    """
    for system, code in codings:
        if (system, code) in members:
            return system, code
        for length in range(1, len(code) + 1):
            if (system, code[:length] + "*") in members:
                return system, code
    return None
