"""Who can be reached where: the usable contact points of a Patient or RelatedPerson.

Which of them may be used is a decision; here is only what the chart says.
"""

from __future__ import annotations

import functools
from datetime import datetime

import phonenumbers

from mappings.instants import find_instant, write_instant
from mappings.plan import TOPIC
from mappings.preference import Address
from mappings.reference import reference_of
from mappings.resource import (
    Resource,
    codings_of,
    extensions_of,
    in_period,
    list_of,
)

PURPOSE = "http://hl7.org/fhir/StructureDefinition/contactpoint-purpose"
UNRANKED = 99
_USE_ORDER = {"mobile": 0, "home": 1, None: 2, "temp": 3, "work": 4}


# A chart is looked at some five times; nobody's number is kept for long.
@functools.lru_cache(maxsize=256)
def read_phone(text: str, region: str = "US") -> str | None:
    """Return a phone number as E.164; None when it cannot be one."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def may_exist(number: str) -> bool:
    """Tell whether an E.164 number lies in a range that is given out."""
    return bool(phonenumbers.is_valid_number(phonenumbers.parse(number)))


def read_email(text: str) -> str | None:
    """Return an address in lower case; None when it has not the shape of one."""
    value = text.strip().lower()
    name, at, domain = value.rpartition("@")
    plain = all(character.isprintable() and character != " " for character in value)
    usable = name and at and "." in domain and not domain.startswith(".")
    return value if usable and plain and "@" not in name else None


def read_address_value(system: object, text: object) -> tuple[str, str] | None:
    """Return (channel, value) of a ContactPoint's system and value, or None."""
    channel = {"email": "email", "sms": "sms", "phone": "sms"}.get(str(system))
    if channel is None or not isinstance(text, str):
        return None
    value = read_email(text) if channel == "email" else read_phone(text)
    return (channel, value) if value else None


def read_addresses(person: Resource, now: datetime | None = None) -> list[Address]:
    """Return usable contact points, best first: rank, then mobile, home, work.

    Of equal ones the one whose period began last comes first. Old ones and, given
    ``now``, those whose period has ended are left out. A landline (``phone`` with use
    home or work) is no address for sms.
    """
    found: list[Address] = []
    for index, point in enumerate(list_of(person.get("telecom"))):
        if isinstance(point, dict):
            address = _address(person, index, point, now)
            if address is not None:
                found.append(address)
    newest_first = sorted(found, key=_began, reverse=True)
    return sorted(newest_first, key=address_order)


def address_order(item: Address) -> tuple[int, int]:
    """Return what orders contact points: rank, then use."""
    return item.rank, _USE_ORDER.get(item.use, 5)


def _began(item: Address) -> str:
    began = find_instant(item.start)
    return write_instant(began) if began else ""


def _address(
    person: Resource, index: int, point: Resource, now: datetime | None
) -> Address | None:
    use, system = point.get("use"), point.get("system")
    ended = now is not None and not in_period(point.get("period"), write_instant(now))
    landline = system == "phone" and use in ("home", "work")
    found = read_address_value(system, point.get("value"))
    if use == "old" or ended or landline or found is None:
        return None
    rank, period = point.get("rank"), point.get("period")
    return Address(
        channel=found[0],
        value=found[1],
        rank=rank if isinstance(rank, int) else UNRANKED,
        use=use if isinstance(use, str) else None,
        reference=reference_of(person),
        path=f"{person.get('resourceType')}.telecom[{index}]",
        purposes=_purposes(point),
        start=str(period.get("start") or "") if isinstance(period, dict) else "",
    )


def _purposes(point: Resource) -> frozenset[str]:
    return frozenset(
        code
        for extension in extensions_of(point, PURPOSE)
        for system, code in codings_of(extension.get("valueCodeableConcept"))
        if system == TOPIC
    )


def contact_points(*people: Resource) -> list[tuple[str, str]]:
    """Return the (system, value) pairs whose consents concern these people."""
    pairs = [
        (item.channel, item.value)
        for person in people
        for item in read_addresses(person)
    ]
    return list(dict.fromkeys(pairs))
