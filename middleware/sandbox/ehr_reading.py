"""Resources as the EHR's pages say them: names, dates, codes. Pure functions.

It may not read the store, write anything or produce HTML.
"""

import re
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

Resource = dict[str, Any]

CLASSES = {
    "AMB": "Office visit",
    "EMER": "Emergency",
    "FLD": "Field visit",
    "HH": "Home visit",
    "IMP": "Hospital stay",
    "ACUTE": "Hospital stay",
    "NONAC": "Hospital stay",
    "OBSENC": "Observation",
    "PRENC": "Pre-admission",
    "SS": "Short stay",
    "VR": "Telehealth",
}
LANGUAGES = {
    "ar": "Arabic",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "ko": "Korean",
    "pt": "Portuguese",
    "ru": "Russian",
    "tl": "Tagalog",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
US_NUMBER = re.compile(r"\+1(\d{3})(\d{3})(\d{4})")
SEXES = {"female": "Female", "male": "Male", "other": "Other", "unknown": "Unknown"}


def read_name(resource: Resource) -> str:
    """Answer "Given Family" of a Patient or Practitioner; its id when unnamed."""
    name = _best_name(resource)
    if name.get("text"):
        return str(name["text"])
    words = [*name.get("given", [])[:1], name.get("family", "")]
    return " ".join(word for word in words if word) or str(resource.get("id", ""))


def read_sort_name(resource: Resource) -> str:
    """Answer "Family, Given", by which lists are ordered; its id when unnamed."""
    name = _best_name(resource)
    words = [name.get("family", ""), " ".join(name.get("given", []))]
    return ", ".join(word for word in words if word) or read_name(resource)


def read_initials(name: str) -> str:
    """Answer the first letters of the first and last word of a name, titles aside."""
    said, _, _ = name.partition(",")
    words = [w for w in said.split() if w[0].isalpha() and not w.endswith(".")]
    return "".join(word[0].upper() for word in (words[:1] + words[1:][-1:]))


def read_mrn(patient: Resource) -> str:
    """Answer the medical record number: type MR, else the first identifier."""
    identifiers = patient.get("identifier", [])
    for identifier in identifiers:
        codes = {c.get("code") for c in identifier.get("type", {}).get("coding", [])}
        if "MR" in codes:
            return str(identifier.get("value", ""))
    return str(identifiers[0].get("value", "")) if identifiers else ""


def read_age(birth_date: str, today: date) -> int | None:
    """Answer the age in whole years; None when the date is not a whole one."""
    try:
        born = date.fromisoformat(birth_date)
    except ValueError:
        return None
    before = (today.month, today.day) < (born.month, born.day)
    return today.year - born.year - before


def read_date(value: str) -> str:
    """Answer a FHIR date as "Feb 3, 1968"; a partial one as it stands."""
    try:
        day = date.fromisoformat(value[:10])
    except ValueError:
        return value
    return f"{day:%b} {day.day}, {day.year}"


def read_instant(value: str | None) -> datetime | None:
    """Answer a FHIR dateTime that has a time and an offset; None otherwise."""
    try:
        instant = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def write_when(value: str | None, zone: ZoneInfo) -> str:
    """Answer a FHIR dateTime as "Tue, Nov 24, 2026, 9:30 AM" in the site's zone."""
    instant = read_instant(value)
    if instant is None:
        return read_date(value) if value else ""
    local = instant.astimezone(zone)
    clock = f"{local:%I:%M %p}".lstrip("0")
    return f"{local:%a}, {local:%b} {local.day}, {local.year}, {clock}"


def write_day(value: str | None, zone: ZoneInfo) -> str:
    """Answer a FHIR dateTime as "Nov 24, 2026" in the site's zone."""
    instant = read_instant(value)
    if instant is None:
        return read_date(value) if value else ""
    return read_date(instant.astimezone(zone).date().isoformat())


def read_concept(concept: Any) -> str:
    """Answer the words of a CodeableConcept, or of the first of a list."""
    if isinstance(concept, list):
        concept = concept[0] if concept else None
    if not isinstance(concept, dict):
        return ""
    if concept.get("text"):
        return str(concept["text"])
    codings = concept.get("coding", [])
    named = [coding["display"] for coding in codings if coding.get("display")]
    coded = [coding["code"] for coding in codings if coding.get("code")]
    return str((named + coded + [""])[0])


def read_codes(concept: Any) -> set[str]:
    """Answer the codes of a CodeableConcept, whatever their systems."""
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return {str(coding.get("code")) for coding in codings}


def read_contact(patient: Resource, *systems: str) -> str:
    """Answer the first contact point of these systems; a US number as it is said."""
    for point in patient.get("telecom", []):
        if point.get("system") in systems and point.get("use") != "old":
            value = str(point.get("value", ""))
            number = US_NUMBER.fullmatch(value)
            return "({}) {}-{}".format(*number.groups()) if number else value
    return ""


def read_language(patient: Resource) -> str:
    """Answer the language that a Patient prefers, in words."""
    languages = patient.get("communication", [])
    preferred = [each for each in languages if each.get("preferred")] or languages
    words = read_concept(preferred[0].get("language")) if preferred else ""
    return LANGUAGES.get(words.partition("-")[0], words)


def read_class(encounter: Resource) -> str:
    """Answer what kind of encounter it was, in words."""
    code = encounter.get("class", {}).get("code", "")
    return str(CLASSES.get(code) or encounter.get("class", {}).get("display", code))


def read_reference(resource: Resource, type_: str) -> str | None:
    """Answer the id of the first participant of a type in an Appointment."""
    for participant in resource.get("participant", []):
        reference = participant.get("actor", {}).get("reference", "")
        if reference.startswith(f"{type_}/"):
            return str(reference.partition("/")[2])
    return None


def _best_name(resource: Resource) -> dict[str, Any]:
    names = resource.get("name", [])
    official = [name for name in names if name.get("use") == "official"]
    found: dict[str, Any] = (official or names or [{}])[0]
    return found
