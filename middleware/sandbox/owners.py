"""Whose phone or mailbox it is, and what time it is there.

Pure: it reads Patient and RelatedPerson resources that it is given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
_ZONES = {
    "America/Los_Angeles": "CA WA OR NV",
    "America/Denver": "CO UT NM MT WY ID",
    "America/Phoenix": "AZ",
    "America/Chicago": "IL TX MN WI IA MO KS NE OK AR LA MS AL TN ND SD",
    "America/New_York": "NY NJ PA MA CT RI NH VT ME DE MD DC VA WV NC SC GA FL OH "
    "MI IN KY",
    "America/Anchorage": "AK",
    "Pacific/Honolulu": "HI",
}
ZONE_OF_STATE = {
    state: zone for zone, states in _ZONES.items() for state in states.split()
}


@dataclass(frozen=True)
class Owner:
    """Who answers at a number or address; `patient` is the Patient's id, if any."""

    name: str
    zone: ZoneInfo
    patient: str | None = None


def find_owner(
    people: Iterable[dict[str, Any]], value: str, site_zone: ZoneInfo
) -> Owner:
    """Answer the owner of a phone number or mail address.

    Several who share it are named together; nobody known answers an empty name.
    """
    found = [person for person in people if value in contact_values(person)]
    if not found:
        return Owner("", site_zone)
    names = list(dict.fromkeys(_name(person) for person in found))
    patients = [p["id"] for p in found if p["resourceType"] == "Patient"]
    return Owner(
        " and ".join(names), _zone(found[0], site_zone), next(iter(patients), None)
    )


def contact_values(person: dict[str, Any]) -> set[str]:
    """Answer the person's phone numbers and mail addresses, addresses in lower case."""
    values = set()
    for point in person.get("telecom") or []:
        value = str(point.get("value") or "").casefold()
        if point.get("system") == "email":
            values.add(value)
        elif point.get("system") in {"phone", "sms"}:
            digits = "".join(c for c in value if c.isdigit())
            values.add(f"+{digits}" if len(digits) > 10 else f"+1{digits}")
    return values


def _name(person: dict[str, Any]) -> str:
    names = person.get("name") or [{}]
    given = " ".join(names[0].get("given") or [])
    whole = f"{given} {names[0].get('family') or ''}".strip()
    return str(names[0].get("text") or whole)


def _zone(person: dict[str, Any], site_zone: ZoneInfo) -> ZoneInfo:
    addresses = person.get("address") or []
    for holder in (person, *addresses):
        for extension in holder.get("extension") or []:
            if extension.get("url") == TIMEZONE:
                try:
                    return ZoneInfo(str(extension.get("valueCode")))
                except (ZoneInfoNotFoundError, ValueError):
                    continue
    for address in addresses:
        zone = ZONE_OF_STATE.get(str(address.get("state") or ""))
        if zone:
            return ZoneInfo(zone)
    return site_zone
