"""Facts: what in the chart a verdict rests on, named so that anyone can look it up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mappings.nudge import Fact
from mappings.preference import ConsentRecord, Sourced
from mappings.reference import reference_of, version_of
from mappings.resource import Resource, values_at

KEY_PATHS: dict[str, tuple[str, ...]] = {
    "Encounter": (
        "status",
        "class.code",
        "class.coding.code",
        "period.end",
        "actualPeriod.end",
    ),
    "Appointment": ("status", "start"),
    "CarePlan": ("status",),
    "Patient": ("birthDate",),
    "Procedure": ("status", "performedDateTime", "performedPeriod.end"),
    "Observation": ("status", "effectiveDateTime"),
    "DiagnosticReport": ("status", "effectiveDateTime"),
    "ServiceRequest": ("status", "authoredOn"),
    "Task": ("status",),
    "Condition": ("clinicalStatus.coding.code",),
}


def fact(resource: Resource, path: str, value: object = None) -> Fact:
    """Name one element of a resource; ``value`` None reads it from there."""
    if value is None:
        value = ", ".join(_words(values_at(resource, path))) or "absent"
    return Fact(reference_of(resource), version_of(resource), path, str(value))


def _words(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, dict):
            yield str(value.get("code") or value.get("text") or value.get("reference"))
        elif isinstance(value, bool):
            yield "true" if value else "false"
        else:
            yield str(value)


def key_facts(resource: Resource) -> tuple[Fact, ...]:
    """Return the elements of a resource that conditions usually rest on."""
    paths = KEY_PATHS.get(str(resource.get("resourceType")), ("status",))
    found = tuple(fact(resource, path) for path in paths if values_at(resource, path))
    return found or (fact(resource, paths[0]),)


def consent_fact(record: ConsentRecord, version: str | None = None) -> Fact:
    """Name a recorded answer: the EHR's Consent, or our own record."""
    answer = "permit" if record.permit else "deny"
    own = "/" not in record.id
    return Fact(
        f"ConsentRecord/{record.id}" if own else record.id,
        version,
        f"provision[{record.system}, {record.topic}]",
        f"{answer}, {record.recorded_at.date().isoformat()}, {record.how}",
    )


def sourced_fact(name: str, sourced: Sourced[Any], version: str | None = None) -> Fact:
    """Name a preference with where it comes from."""
    reference, path = sourced.reference or f"Preference/{name}", name
    if sourced.reference and "#" in sourced.reference:
        reference, path = sourced.reference.split("#", 1)
    value = sourced.value
    shown = (
        ", ".join(str(item) for item in value) if isinstance(value, tuple) else value
    )
    return Fact(reference, version, path, str(shown))
