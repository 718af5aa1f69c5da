"""Sex for clinical use: what a chart says that matters for screening.

What was recorded for clinical use (HL7's Sex Parameter for Clinical Use) counts first.
Else the recorded sex (US Core) and the administrative gender must not disagree. Anything
else is unknown, and on what is unknown nobody is written to.
"""

from __future__ import annotations

from mappings.resource import Resource, codings_of, extensions_of

SPCU = "http://hl7.org/fhir/StructureDefinition/patient-sexParameterForClinicalUse"
RECORDED = (
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex",
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
)
FEMALE, MALE = "female", "male"
_WORDS = {
    "female-typical": FEMALE,
    "male-typical": MALE,
    "248152002": FEMALE,
    "248153007": MALE,
    "F": FEMALE,
    "M": MALE,
    "female": FEMALE,
    "male": MALE,
}


def clinical_sex(patient: Resource) -> str | None:
    """Return ``female`` or ``male`` where the chart is clear about it, else None."""
    stated = _stated(patient)
    if stated:
        return _only(stated)
    found = {
        _WORDS.get(code)
        for url in RECORDED
        for extension in extensions_of(patient, url)
        for code in (extension.get("valueCode"), *_codes(extension.get("valueCoding")))
        if code
    }
    gender = patient.get("gender")
    if gender is not None and gender != "unknown":
        found.add(_WORDS.get(str(gender)))
    return _only(found)


def _stated(patient: Resource) -> set[str | None]:
    """Return what was recorded for clinical use: R5's extension, or its R4 form."""
    found: set[str | None] = set()
    for extension in extensions_of(patient, SPCU):
        parts = [extension, *extensions_of(extension, "value")]
        codes = [code for part in parts for code in _codes(_concept(part))]
        found |= {_WORDS.get(code) for code in codes}
    return found


def _concept(extension: Resource) -> object:
    return extension.get("valueCodeableConcept") or extension.get("valueCoding")


def _codes(value: object) -> list[str]:
    return [code for _, code in codings_of(value)]


def _only(found: set[str | None]) -> str | None:
    return found.pop() if len(found) == 1 else None
