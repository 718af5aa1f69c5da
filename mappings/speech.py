"""In which languages somebody reads and speaks, as Patient or RelatedPerson say it.

Sources: FHIR R4 Patient.communication; extensions patient-preferenceType and
patient-proficiency; US Core interpreter needed.
"""

from __future__ import annotations

from mappings.codes import LANGUAGE
from mappings.preference import Sourced, Who
from mappings.reference import reference_of
from mappings.resource import (
    Resource,
    codings_of,
    extension_value,
    extensions_of,
    list_of,
)

PREFERENCE_TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
PROFICIENCY = "http://hl7.org/fhir/StructureDefinition/patient-proficiency"
INTERPRETER = (
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-interpreter-needed"
)
INTERPRETER_BASE = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
READS, WRITES = "RWR", "EWR"  # v3-LanguageAbilityMode: receive and express, written
NEEDED = frozenset({"373066001", "LA33-6", "Y"})
NOT_NEEDED = frozenset({"373067005", "LA32-8", "N"})


def read_written_language(person: Resource) -> Sourced[str] | None:
    """Return the language to write in: the preferred one, or the only one.

    What somebody only speaks, or cannot read, is none.
    """
    return _language(person, [e for e in _entries(person) if not _spoken_only(e[1])])


def read_spoken_language(person: Resource) -> Sourced[str] | None:
    """Return the language to call in: the one preferred for speaking comes first."""
    entries = _entries(person)
    verbal = [entry for entry in entries if "verbal" in _types(entry[1])]
    return _language(person, verbal) if verbal else _language(person, entries)


def reads_with_difficulty(person: Resource) -> bool:
    """Tell whether a language is marked as read poorly or not at all."""
    return any("poor" in _levels(item) for _, item in _entries(person))


def read_interpreter(person: Resource) -> Sourced[bool] | None:
    """Return whether an interpreter is needed; None where the chart does not say."""
    codes = {code for _, code in codings_of(extension_value(person, INTERPRETER))}
    stated = extension_value(person, INTERPRETER_BASE)
    if not codes & (NEEDED | NOT_NEEDED) and not isinstance(stated, bool):
        return None
    needed = bool(codes & NEEDED) or stated is True
    reference = f"{reference_of(person)}#Patient.extension[interpreter-needed]"
    return Sourced(needed, Who.CHART, "in the chart", reference=reference)


def _entries(person: Resource) -> list[tuple[int, Resource]]:
    listed = enumerate(list_of(person.get("communication")))
    return [(index, item) for index, item in listed if isinstance(item, dict)]


def _language(
    person: Resource, entries: list[tuple[int, Resource]]
) -> Sourced[str] | None:
    preferred = [entry for entry in entries if entry[1].get("preferred") is True]
    chosen = preferred if len(preferred) == 1 else entries if len(entries) == 1 else []
    for index, item in chosen:
        for system, code in codings_of(item.get("language")):
            if system in (LANGUAGE, "", "urn:ietf:rfc:3066"):
                path = f"{person.get('resourceType')}.communication[{index}].language"
                reference = f"{reference_of(person)}#{path}"
                tag = code.replace("_", "-")
                return Sourced(tag, Who.CHART, "in the chart", reference=reference)
    return None


def _types(communication: Resource) -> set[str]:
    element = communication.get("_preferred")
    found = extensions_of(element, PREFERENCE_TYPE)
    found += extensions_of(communication, PREFERENCE_TYPE)
    return {code for item in found for _, code in codings_of(item.get("valueCoding"))}


def _abilities(communication: Resource) -> set[str]:
    found = extensions_of(communication, PROFICIENCY)
    parts = (extension_value(item, "type") for item in found)
    return {code for part in parts for _, code in codings_of(part)}


def _levels(communication: Resource) -> set[str]:
    """Return how well a language is read: none counts as poor."""
    words = {"P": "poor", "N": "poor"}
    return {
        words.get(code, "well")
        for item in extensions_of(communication, PROFICIENCY)
        if READS in {word for _, word in codings_of(extension_value(item, "type"))}
        for _, code in codings_of(extension_value(item, "level"))
    }


def _spoken_only(communication: Resource) -> bool:
    abilities = _abilities(communication)
    speaks = bool(abilities) and not abilities & {READS, WRITES}
    return _types(communication) == {"verbal"} or speaks
