"""To whom, and through which contact point: the first permitted one in order.

The order is that of the people (:mod:`middleware.decisions.recipients`), then of the
channels for this topic, then of the contact points: those named for the topic, then
rank, use and how new they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from mappings.endpoint import Endpoint, EndpointKind
from mappings.nudge import Fact, Outcome, Verdict
from mappings.preference import (
    Address,
    ConsentRecord,
    EngagementProfile,
    OwnRecord,
    Sourced,
)
from mappings.recipient import address_order
from middleware.decisions.choices import URGENT, ranked_channels
from middleware.decisions.consent import (
    Asked,
    Permission,
    choose_permission,
    consent_facts,
)
from middleware.decisions.evidence import sourced_fact
from middleware.decisions.recipients import (
    Recipient,
    is_about_minor,
    list_recipients,
    recipient_facts,
)

# When several ways are closed, the reason that people should hear first.
ORDER = (
    "confidential",
    "opted-out",
    "not-allow-listed",
    "no-consent",
    "switched-off",
    "no-address",
)
SCREEN = "screen"
# Of a minor these leave it to a person whom to reach.
UNREACHED = frozenset({"opted-out", "no-consent"})


@dataclass(frozen=True)
class Wanted:
    """What a message needs of its way.

    ``urgent`` cannot wait; ``sensitive`` is about a sensitive matter; ``avoid`` are
    channels that were tried in vain.
    """

    topic: str
    urgent: bool = False
    sensitive: bool = False
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Route:
    """The chosen person, channel and address, or the verdict that none may be used.

    ``shared``: another adult's chart has the address too; ``confidential``: it is the
    only one that the patient allows. Both call for words that tell nobody anything.
    ``zones`` are where the person may be, if it is not the patient.
    """

    channel: str | None
    address: str | None
    facts: tuple[Fact, ...]
    verdict: Verdict | None = None
    recipient: str = ""
    language: Sourced[str] | None = None
    shared: bool = False
    confidential: bool = False
    zones: tuple[str, ...] = ()


def choose_route(
    profile: EngagementProfile, own: OwnRecord, endpoint: Endpoint, wanted: Wanted
) -> Route:
    """Choose the first usable way; say why when there is none.

    Left out: bad addresses, channels switched off, numbers not allow-listed outside
    production, contact points without permission.
    """
    refusals: list[Verdict] = []
    for found in list_ways(profile, own, endpoint, wanted):
        if isinstance(found, Route):
            return found
        refusals.append(found)
    best = min(refusals, key=lambda item: ORDER.index(item.reason), default=None)
    if best is not None and is_about_minor(profile) and best.reason in UNREACHED:
        best = replace(best, reason="minor", detail=best.reason)
    verdict = best or _nobody(profile, wanted)
    return Route(None, None, verdict.facts, verdict)


def list_ways(
    profile: EngagementProfile, own: OwnRecord, endpoint: Endpoint, wanted: Wanted
) -> Iterator[Route | Verdict]:
    """Yield every way that may be used, in order, and why each other may not."""
    people = list_recipients(profile, wanted.topic, sensitive=wanted.sensitive)
    off = {item.target for item in own.switches if item.scope == "channel"}
    for person in people:
        order = channels_of(profile, person, wanted)
        for channel in order.value:
            if channel in off:
                yield Verdict(Outcome.HOLD, "switched-off", detail=channel)
            elif channel not in wanted.avoid:
                for address in _addresses(profile, person, channel, wanted.topic):
                    point = (channel, address.value)
                    theirs = person.contact is not None
                    if point in own.bad_addresses or (
                        point in profile.points.disowned and not theirs
                    ):
                        continue
                    yield _way(profile, endpoint, wanted, (person, address, order))


def channels_of(
    profile: EngagementProfile, person: Recipient, wanted: Wanted
) -> Sourced[tuple[str, ...]]:
    """Return the channels by which somebody is written to, in order.

    What was said about urgent messages comes before what was said about their topic.
    """
    if person.contact is not None:
        return ranked_channels(person.addresses)
    if profile.confidential is not None:
        designated = profile.confidential
        return Sourced(
            tuple(item.channel for item in person.addresses),
            designated.who,
            designated.how,
            designated.when,
            designated.by,
            designated.reference,
        )
    stated = profile.topic_channels
    urgent = stated.get(URGENT) if wanted.urgent else None
    return urgent or stated.get(wanted.topic) or profile.channels


def _addresses(
    profile: EngagementProfile, person: Recipient, channel: str, topic: str
) -> Sequence[Address]:
    if channel == SCREEN:
        here = Address(SCREEN, profile.patient, 0, None, profile.patient, "Patient.id")
        return (here,) if person.contact is None else ()
    usable = [item for item in person.addresses if item.channel == channel]
    # Those of equal standing keep the order of the profile, the newest first.
    return sorted(usable, key=lambda item: (_purpose(item, topic), address_order(item)))


def _purpose(address: Address, topic: str) -> int:
    """Order those named for the topic, those named for nothing, those for others."""
    if topic in address.purposes:
        return 0
    return 2 if address.purposes else 1


def _way(
    profile: EngagementProfile,
    endpoint: Endpoint,
    wanted: Wanted,
    way: tuple[Recipient, Address, Sourced[tuple[str, ...]]],
) -> Route | Verdict:
    person, address, order = way
    permission = ask_permission(profile, person, address, wanted.topic)
    facts = consent_facts(profile, permission)
    if not permission.allowed:
        missing = Fact(
            address.reference,
            None,
            address.path,
            f"{address.channel}: nothing recorded",
        )
        return Verdict(Outcome.HOLD, permission.reason, facts or (missing,))
    if not is_reachable(endpoint, address.channel, address.value):
        return Verdict(Outcome.HOLD, "not-allow-listed", facts)
    point = Fact(
        address.reference,
        profile.detail.get("versions", {}).get(address.reference),
        address.path,
        address.channel,
    )
    known = (sourced_fact("channels", order), point, *facts)
    return Route(
        channel=address.channel,
        address=address.value,
        facts=(*known, *recipient_facts(profile, person)),
        recipient=person.reference,
        language=person.language,
        shared=(address.channel, address.value) in profile.shared,
        confidential=profile.confidential is not None,
        zones=person.contact.zones if person.contact else (),
    )


def ask_permission(
    profile: EngagementProfile, person: Recipient, address: Address, topic: str
) -> Permission:
    """Ask whether somebody may be reached at an address about a topic.

    To name an address as the only one is to permit it, until a no comes from there.
    """
    asked = Asked(
        patient=profile.patient,
        channel=address.channel,
        address=address.value,
        topic=topic,
        actor=person.contact.reference if person.contact else None,
        guardian=person.guardian,
        since=_grown(profile, person, address),
    )
    said = _counting(profile, (address.channel, address.value))
    return choose_permission((*said, *_designation(profile, address)), asked)


def _counting(
    profile: EngagementProfile, point: tuple[str, str]
) -> Iterable[ConsentRecord]:
    """Return the answers but for a yes from before the place was the patient's."""
    since = profile.points.renewed.get(point)
    if since is None:
        return profile.consents
    return [
        item
        for item in profile.consents
        if not item.permit or item.recorded_at >= since or item.system == "*"
    ]


def _grown(
    profile: EngagementProfile, person: Recipient, address: Address
) -> date | None:
    """Return from when a yes counts, where one from before the 18th birthday does not.

    A parent's number on the chart stays the parent's until the patient, grown up, says
    that it may be used. Where it is not known who the parents are, any may be theirs.
    """
    theirs = (address.channel, address.value) in profile.guarded
    theirs = theirs or not profile.guards_known
    if is_about_minor(profile) or (person.contact is None and not theirs):
        return None
    return profile.adult_from


def _designation(
    profile: EngagementProfile, address: Address
) -> tuple[ConsentRecord, ...]:
    request = profile.confidential
    if request is None or request.when is None:
        return ()
    record = ConsentRecord(
        id="confidential",
        endpoint_id="",
        patient=profile.patient,
        system=address.channel,
        value=address.value,
        topic="*",
        permit=True,
        who=request.who,
        how="asked to be reached here only",
        recorded_at=request.when,
    )
    return (record,)


def _nobody(profile: EngagementProfile, wanted: Wanted) -> Verdict:
    """Say why there is nobody, or no place, to try at all."""
    version = profile.detail.get("versions", {}).get(profile.patient)
    if is_about_minor(profile):
        born = Fact(profile.patient, version, "birthDate", str(profile.birth_date))
        return Verdict(Outcome.HOLD, "minor", (born,))
    if profile.confidential is not None:
        place = profile.confidential.value.channel or "no usable place"
        source = profile.confidential.reference or "Preference/confidential"
        asked = Fact(source.split("#", 1)[0], None, "confidential", place)
        return Verdict(Outcome.HOLD, "confidential", (asked,))
    known = Fact(profile.patient, version, "Patient.telecom", "no usable one")
    detail = "every other channel was used before" if wanted.avoid else ""
    return Verdict(Outcome.HOLD, "no-address", (known,), detail=detail)


def is_reachable(endpoint: Endpoint, channel: str, address: str) -> bool:
    """Tell whether an endpoint's kind and allow-list let this address be reached."""
    if channel == SCREEN or endpoint.kind is EndpointKind.PRODUCTION:
        return True
    return "*" in endpoint.allow_list or address in endpoint.allow_list
