"""Who stands beside a patient: RelatedPerson read into contacts.

An emergency contact is just that; nobody becomes a proxy by being named here. Sources:
FHIR R4 RelatedPerson; v3-RoleCode; v2-0131 and v2-0063.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mappings.instants import write_instant
from mappings.preference import Contact
from mappings.recipient import read_address_value, read_addresses
from mappings.reference import reference_of, version_of
from mappings.resource import (
    Resource,
    codings_of,
    dict_of,
    human_name,
    in_period,
    list_of,
    values_at,
)
from mappings.speech import read_written_language

PARENT, GUARDIAN, PROXY = "parent", "guardian", "proxy"
CARER, EMERGENCY, OTHER = "carer", "emergency", "other"
# A step-parent, a foster parent or a guardian for one lawsuit has no say by that alone.
KINDS: dict[str, str] = {
    **dict.fromkeys(
        ("PRN", "MTH", "FTH", "NPRN", "NMTH", "NFTH", "ADOPTP", "ADOPTM", "ADOPTF"),
        PARENT,
    ),
    "PAR": PARENT,  # v2-0063
    **dict.fromkeys(("GUARD", "GRD"), GUARDIAN),
    **dict.fromkeys(("HPOWATT", "DPOWATT", "POWATT", "RESPRSN"), PROXY),
    **dict.fromkeys(("CGV", "CAREGIVER"), CARER),
    **dict.fromkeys(("C", "ECON"), EMERGENCY),
}


def read_contacts(resources: Iterable[Resource], now: datetime) -> tuple[Contact, ...]:
    """Return those who are active and within their period, ordered by reference."""
    found = [
        Contact(
            reference=reference_of(person),
            name=human_name(person)[0],
            kinds=frozenset(_kinds(person)),
            addresses=tuple(read_addresses(person, now)),
            language=read_written_language(person),
            version=version_of(person),
        )
        for person in resources
        if person.get("active") is not False
        and in_period(person.get("period"), write_instant(now))
    ]
    return tuple(sorted(found, key=lambda item: item.reference))


def read_guarded(
    resources: Iterable[Resource], patient: Resource
) -> frozenset[tuple[str, str]]:
    """Return the (channel, value) of every parent and guardian, past ones too.

    On the chart of somebody who was a minor these are theirs, not the patient's.
    """
    people = [item for item in resources if _kinds(item) & {PARENT, GUARDIAN}]
    people += [
        item for item in list_of(patient.get("contact")) if _is_guardian(dict_of(item))
    ]
    points = [
        read_address_value(dict_of(point).get("system"), dict_of(point).get("value"))
        for person in people
        for point in list_of(person.get("telecom"))
    ]
    return frozenset(point for point in points if point is not None)


def _is_guardian(contact: Resource) -> bool:
    codes = codings_of(contact.get("relationship"))
    return bool({KINDS.get(code, OTHER) for _, code in codes} & {PARENT, GUARDIAN})


def _kinds(person: Resource) -> set[str]:
    codes = codings_of(values_at(person, "relationship"))
    return {KINDS.get(code, OTHER) for _, code in codes}
