"""Whom a message may be for: the patient, or somebody who stands beside them.

Under 12 a parent or guardian alone, up to 18 they too and never about what is
sensitive, and nobody by force of being a parent from the 18th birthday on. For an
adult somebody else only where the patient's yes names them, never about what is
sensitive, and never where the patient said no. A request for confidential communication
stands above all of this. Whether each may be reached is asked in
:mod:`middleware.decisions.routing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mappings.nudge import Fact
from mappings.preference import Address, Contact, EngagementProfile, Sourced
from mappings.related import GUARDIAN, PARENT
from middleware.decisions.consent import find_refusal

ADULT = 18
# What only the patient is told, whatever the matter.
PRIVATE_TOPICS = frozenset({"results-available"})


@dataclass(frozen=True)
class Recipient:
    """Somebody whom a message may be for, and where they can be reached.

    ``contact`` is None for the patient; ``guardian`` is True where being a minor's
    parent or guardian is enough to be told.
    """

    reference: str
    addresses: tuple[Address, ...]
    language: Sourced[str] | None
    contact: Contact | None = None
    guardian: bool = False


def list_recipients(
    profile: EngagementProfile, topic: str, *, sensitive: bool = False
) -> tuple[Recipient, ...]:
    """Return whom a message on this topic may be for, the first to be tried first."""
    private = sensitive or topic in PRIVATE_TOPICS
    if profile.age is None:
        return ()
    if profile.age < ADULT:
        return () if private or profile.confidential else _guardians(profile)
    if profile.confidential is not None:
        return _at_designated(profile)
    patient = _patient(profile, sensitive=sensitive)
    if private or _refused(profile, topic):
        return _in_order(profile, (patient,))
    return _in_order(profile, (patient, *_named(profile)))


def is_about_minor(profile: EngagementProfile) -> bool:
    """Tell whether the patient is known to be under 18."""
    return profile.age is not None and profile.age < ADULT


def recipient_facts(
    profile: EngagementProfile, recipient: Recipient
) -> tuple[Fact, ...]:
    """Name why this person is written to in place of the patient."""
    contact = recipient.contact
    if contact is None:
        return ()
    kinds = ", ".join(sorted(contact.kinds)) or "not stated"
    return (
        Fact(contact.reference, contact.version, "RelatedPerson.relationship", kinds),
        Fact(
            profile.patient,
            profile.detail.get("versions", {}).get(profile.patient),
            "Patient.birthDate",
            str(profile.birth_date),
        ),
    )


def _patient(profile: EngagementProfile, *, sensitive: bool) -> Recipient:
    usable = tuple(
        item for item in profile.addresses if not (sensitive and item.use == "work")
    )
    return Recipient(profile.patient, usable, profile.language)


def _guardians(profile: EngagementProfile) -> tuple[Recipient, ...]:
    """Return parents and guardians; where they read is known from the child's chart."""
    found = tuple(
        Recipient(
            item.reference,
            item.addresses,
            item.language or profile.language,
            item,
            guardian=True,
        )
        for item in profile.contacts
        if item.kinds & {PARENT, GUARDIAN}
    )
    return _in_order(profile, found)


def _named(profile: EngagementProfile) -> tuple[Recipient, ...]:
    """Return those whom an answer names; whether it is a yes is weighed with it."""
    named = {item.actor for item in profile.consents if item.actor and item.permit}
    return tuple(
        Recipient(item.reference, item.addresses, item.language, item)
        for item in profile.contacts
        if item.reference in named
    )


def _refused(profile: EngagementProfile, topic: str) -> bool:
    points = {(item.channel, item.value) for item in profile.addresses}
    found = find_refusal(profile.consents, profile.patient, points, topic)
    return found is not None


def _in_order(
    profile: EngagementProfile, found: Sequence[Recipient]
) -> tuple[Recipient, ...]:
    """Return those whom the patient asked for, in that order; all where none was."""
    if profile.recipients is None:
        return tuple(found)
    known = {item.reference: item for item in found}
    return tuple(known[name] for name in profile.recipients.value if name in known)


def _at_designated(profile: EngagementProfile) -> tuple[Recipient, ...]:
    assert profile.confidential is not None
    place = profile.confidential.value
    if place.channel is None:
        return ()
    address = Address(
        channel=place.channel,
        value=place.value,
        rank=0,
        use=None,
        reference=profile.patient,
        path="confidential",
    )
    listed = (
        replace(item, rank=0)
        for item in profile.addresses
        if (item.channel, item.value) == (place.channel, place.value)
    )
    here = next(listed, address)
    return (Recipient(profile.patient, (here,), profile.language),)
