"""References: ``Type/id`` relative to one endpoint, and who a resource is about."""

from __future__ import annotations

import re

from mappings.resource import Resource, list_of

# R4 datatypes, id.
FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_RELATIVE = re.compile(r"^([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?$")
_SUBJECTS = ("subject", "patient", "for", "beneficiary", "individual")


def read_reference(value: object, base: str | None = None) -> str | None:
    """Return ``Type/id`` of a Reference or its text; None when it points elsewhere.

    An absolute reference counts only under ``base`` (R4 references.html#literal).
    """
    text = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(text, str):
        return None
    if base and text.startswith(base.rstrip("/") + "/"):
        text = text[len(base.rstrip("/")) + 1 :]
    found = _RELATIVE.match(text)
    return f"{found[1]}/{found[2]}" if found else None


def reference_of(resource: Resource) -> str:
    """Return ``Type/id`` of a resource."""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def version_of(resource: Resource) -> str | None:
    """Return ``meta.versionId``, or ``meta.lastUpdated`` where there is none."""
    meta = resource.get("meta")
    if not isinstance(meta, dict):
        return None
    found = meta.get("versionId") or meta.get("lastUpdated")
    return str(found) if found else None


def focus_patient(resource: Resource, base: str | None = None) -> str | None:
    """Return the ``Patient/id`` that a resource is about; None when it names none."""
    if resource.get("resourceType") == "Patient":
        return reference_of(resource) if resource.get("id") else None
    for name in _SUBJECTS:
        found = _patient(resource.get(name), base)
        if found:
            return found
    for actor in _actors(resource):
        found = _patient(actor, base)
        if found:
            return found
    return None


def concerns(resource: Resource, patient: str, base: str | None = None) -> bool:
    """Tell whether a resource is about ``patient``, among others or alone.

    One that names no patient at all is nobody's.
    """
    if resource.get("resourceType") == "Patient":
        return reference_of(resource) == patient
    return patient in named_patients(resource, base)


def named_patients(resource: Resource, base: str | None = None) -> set[str]:
    """Return the patients whom a resource names, each as ``Patient/id``."""
    named = [resource.get(name) for name in _SUBJECTS]
    named += _actors(resource)
    return {found for item in named if item and (found := _patient(item, base))}


def _actors(resource: Resource) -> list[object]:
    return [
        participant.get("actor")
        for participant in list_of(resource.get("participant"))
        if isinstance(participant, dict)
    ]


def of_another(resource: Resource, patient: str) -> bool:
    """Tell whether a resource is about others and not this patient.

    Some servers overlook the patient parameter of a search and send it along. One that
    names nobody was found for this patient; a group or a place is somebody.
    """
    if resource.get("resourceType") == "Patient":
        return bool(resource.get("id")) and reference_of(resource) != patient
    named = named_patients(resource)
    if named:
        return patient not in named
    return any(_names_somebody(resource.get(name)) for name in _SUBJECTS)


def _names_somebody(value: object) -> bool:
    found = read_reference(value)
    return found is not None and not found.startswith("Patient/")


def _patient(value: object, base: str | None) -> str | None:
    found = read_reference(value, base)
    if found is None and base is None and isinstance(value, dict):
        text = str(value.get("reference", ""))
        tail = "/".join(text.split("/_history", maxsplit=1)[0].rsplit("/", 2)[-2:])
        found = read_reference(tail) if "://" in text else None
    return found if found and found.startswith("Patient/") else None
