"""References: ``Type/id`` relative to one endpoint, and who a resource is about."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from mappings.bases import read_base_key
from mappings.resource import Resource, list_of

# R4 datatypes, id.
FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_RELATIVE = re.compile(r"^([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/\S+)?$")
_ABSOLUTE = re.compile(r"^(https?://\S+)/([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})$")
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


def bring_references_home(value: Any, keys: Collection[str]) -> None:
    """Make ``Type/id`` of every reference to our server that a FHIR value holds.

    ``keys`` are what :func:`read_base_key` reads of each base that means our server. What
    stays absolute is another's. The value is changed, however deep it goes.
    """
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        elif isinstance(item, dict):
            left += item.values()
            parts = _absolute(item.get("reference"))
            if parts and read_base_key(parts[0]) in keys:
                item["reference"] = f"{parts[1]}{parts[2]}"


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
        found = read_reference(resource.get(name), base) or ""
        if found.startswith("Patient/"):
            return found
    for actor in _actors(resource):
        found = read_reference(actor, base) or ""
        if found.startswith("Patient/"):
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
    """Return the patients whom a resource names, each as ``Patient/id``.

    One of another server is named by the whole URL: whoever it is, it is not ours.
    """
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


def may_be_of(resource: Resource, patient: str) -> bool:
    """Tell whether a resource names this patient's id under a base that is not ours.

    That is a stranger, or this patient under a base that nobody wrote down: what it says
    is not known, and is not nothing.
    """
    named = named_patients(resource)
    return patient not in named and any(one.endswith(f"/{patient}") for one in named)


def _names_somebody(value: object) -> bool:
    text = value.get("reference") if isinstance(value, dict) else value
    return read_reference(text) is not None or _absolute(text) is not None


def _absolute(text: object) -> tuple[str, str, str] | None:
    """Return base, ``Type/id`` and ``/_history/…`` of an absolute reference, else None."""
    if not isinstance(text, str):
        return None
    head, mark, version = text.rpartition("/_history/")
    if found := _ABSOLUTE.match(text):
        return found[1], found[2], ""
    found = _ABSOLUTE.match(head)
    rest = f"{mark}{version}" if version.split() == [version] else ""
    return (found[1], found[2], rest) if found else None


def _patient(value: object, base: str | None) -> str | None:
    found = read_reference(value, base)
    if found is None and isinstance(value, dict):
        parts = _absolute(value.get("reference"))
        found = f"{parts[0]}/{parts[1]}" if parts else None
    kind = (found or "").rsplit("/", 2)[-2:-1]
    return found if kind == ["Patient"] else None
