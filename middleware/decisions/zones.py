"""In which time zones a patient may be: every candidate counts until one is stated."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as phone_zones

from mappings.preference import Address
from mappings.resource import Resource, extension_value, list_of
from middleware.decisions.places import zones_of_place

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
MOST_PHONE_ZONES = 4


def is_zone(name: object) -> bool:
    """Tell whether a name is an IANA time zone."""
    return isinstance(name, str) and bool(name) and _is_known(name)


@functools.lru_cache(maxsize=1024)
def _is_known(name: str) -> bool:
    """Tell whether there is such a zone; its file is read anew for all but a few."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def candidate_zones(
    patient: Resource, addresses: Iterable[Address]
) -> list[tuple[str, str]]:
    """Return (zone, where it comes from) for every place the chart points to."""
    found: list[tuple[str, str]] = []
    for index, address in enumerate(list_of(patient.get("address"))):
        if not isinstance(address, dict) or address.get("use") == "old":
            continue
        stated = extension_value(address, TIMEZONE)
        zones = (str(stated),) if is_zone(stated) else zones_of_place(address)
        found.extend((zone, f"Patient.address[{index}]") for zone in zones)
    stated = extension_value(patient, TIMEZONE)
    if stated and is_zone(stated):
        found.append((str(stated), "Patient.extension[timezone]"))
    for item in addresses:
        if item.channel == "sms":
            found.extend((zone, item.path) for zone in phone_zone(item.value))
    return found


def phone_zone(number: str) -> tuple[str, ...]:
    """Return the zones of a number's area code; none when it spans many."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ()
    zones = tuple(phone_zones.time_zones_for_number(parsed))
    known = tuple(zone for zone in zones if is_zone(zone) and zone != "Etc/Unknown")
    return known if len(known) <= MOST_PHONE_ZONES else ()
