"""Who can be reached where: the usable contact points of a Patient.

Which of them may be used is a decision; here is only what the chart says.
"""

from __future__ import annotations

from datetime import datetime

import phonenumbers

from mappings.instants import write_instant
from mappings.preference import Address
from mappings.reference import reference_of
from mappings.resource import Resource, in_period, list_of

_USE_ORDER = {"mobile": 0, "home": 1, None: 2, "temp": 3, "work": 4}


def read_phone(text: str, region: str = "US") -> str | None:
    """Return a phone number as E.164; None when it cannot be one."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def read_email(text: str) -> str | None:
    """Return an address in lower case; None when it has not the shape of one."""
    value = text.strip().lower()
    name, at, domain = value.rpartition("@")
    plain = all(character.isprintable() and character != " " for character in value)
    usable = name and at and "." in domain and not domain.startswith(".")
    return value if usable and plain and "@" not in name else None


def read_addresses(patient: Resource, now: datetime | None = None) -> list[Address]:
    """Return usable contact points, best first: rank, then mobile, home, work.

    Old ones and, given ``now``, those whose period has ended are left out. A landline
    (``phone`` with use home or work) is no address for sms.
    """
    found: list[Address] = []
    for index, point in enumerate(list_of(patient.get("telecom"))):
        if isinstance(point, dict):
            address = _address(patient, index, point, now)
            if address is not None:
                found.append(address)
    return sorted(
        found, key=lambda item: (item.rank, _USE_ORDER.get(item.use, 5), item.path)
    )


def _address(
    patient: Resource, index: int, point: Resource, now: datetime | None
) -> Address | None:
    use, system = point.get("use"), point.get("system")
    text = str(point.get("value") or "")
    ended = now is not None and not in_period(point.get("period"), write_instant(now))
    if use == "old" or not text or ended:
        return None
    if system == "email":
        channel, value = "email", read_email(text)
    elif system == "sms" or (system == "phone" and use not in ("home", "work")):
        channel, value = "sms", read_phone(text)
    else:
        return None
    if value is None:
        return None
    rank = point.get("rank")
    return Address(
        channel=channel,
        value=value,
        rank=rank if isinstance(rank, int) else 99,
        use=use if isinstance(use, str) else None,
        reference=reference_of(patient),
        path=f"Patient.telecom[{index}]",
    )


def contact_points(patient: Resource) -> list[tuple[str, str]]:
    """Return the (system, value) pairs whose consents concern this patient."""
    pairs = [(item.channel, item.value) for item in read_addresses(patient)]
    return list(dict.fromkeys(pairs))
