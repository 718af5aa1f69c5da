"""Two records of one person that became one: which lives on, which it replaces.

R4 patient.html#merge, Patient.link: the old record says ``replaced-by``, the surviving
one ``replaces``; servers write either or both.
"""

from __future__ import annotations

from collections.abc import Iterator

from mappings.reference import read_reference
from mappings.resource import Resource, list_of

ELSEWHERE = "another record"


def merged_into(patient: Resource, base: str | None = None) -> str | None:
    """Return the ``Patient/id`` that replaces this record, or None.

    One that cannot be read here is :data:`ELSEWHERE`.
    """
    for other in _linked(patient, "replaced-by", base):
        return other or ELSEWHERE
    return None


def replaced_records(patient: Resource, base: str | None = None) -> tuple[str, ...]:
    """Return the ``Patient/id`` of every record that this one replaces."""
    return tuple(other for other in _linked(patient, "replaces", base) if other)


def _linked(patient: Resource, kind: str, base: str | None) -> Iterator[str | None]:
    for link in list_of(patient.get("link")):
        if isinstance(link, dict) and link.get("type") == kind:
            other = read_reference(link.get("other"), base)
            yield other if other and other.startswith("Patient/") else None
