"""In which time zones a patient may be: every candidate counts until one is stated."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone as phone_zones

from mappings.preference import Address
from mappings.resource import Resource, extension_value, list_of

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
MOST_PHONE_ZONES = 4

# States and territories that lie in one zone; the others are left to other sources.
STATE_ZONES: dict[str, str] = {
    "CT": "America/New_York",
    "DC": "America/New_York",
    "DE": "America/New_York",
    "GA": "America/New_York",
    "MA": "America/New_York",
    "MD": "America/New_York",
    "ME": "America/New_York",
    "NC": "America/New_York",
    "NH": "America/New_York",
    "NJ": "America/New_York",
    "NY": "America/New_York",
    "OH": "America/New_York",
    "PA": "America/New_York",
    "RI": "America/New_York",
    "SC": "America/New_York",
    "VA": "America/New_York",
    "VT": "America/New_York",
    "WV": "America/New_York",
    "AL": "America/Chicago",
    "AR": "America/Chicago",
    "IA": "America/Chicago",
    "IL": "America/Chicago",
    "LA": "America/Chicago",
    "MN": "America/Chicago",
    "MO": "America/Chicago",
    "MS": "America/Chicago",
    "OK": "America/Chicago",
    "WI": "America/Chicago",
    "CO": "America/Denver",
    "MT": "America/Denver",
    "NM": "America/Denver",
    "UT": "America/Denver",
    "WY": "America/Denver",
    "CA": "America/Los_Angeles",
    "WA": "America/Los_Angeles",
    "HI": "Pacific/Honolulu",
    "PR": "America/Puerto_Rico",
    "VI": "America/St_Thomas",
    "GU": "Pacific/Guam",
    "AS": "Pacific/Pago_Pago",
}
STATE_NAMES = {
    "CALIFORNIA": "CA",
    "ILLINOIS": "IL",
    "MASSACHUSETTS": "MA",
    "NEW YORK": "NY",
    "OHIO": "OH",
    "PENNSYLVANIA": "PA",
    "WASHINGTON": "WA",
    "GEORGIA": "GA",
    "VIRGINIA": "VA",
    "NEW JERSEY": "NJ",
    "COLORADO": "CO",
    "NORTH CAROLINA": "NC",
}


def is_zone(name: object) -> bool:
    """Tell whether a name is an IANA time zone."""
    if not isinstance(name, str) or not name:
        return False
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
        state = str(address.get("state") or "").strip().upper()
        zone = stated or STATE_ZONES.get(STATE_NAMES.get(state, state))
        if zone and is_zone(zone):
            found.append((str(zone), f"Patient.address[{index}]"))
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
