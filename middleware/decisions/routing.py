"""Through which contact point: the first permitted one in the patient's order."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.endpoint import Endpoint, EndpointKind
from mappings.nudge import Fact, Outcome, Verdict
from mappings.preference import Address, EngagementProfile, OwnRecord
from middleware.decisions.consent import choose_permission, consent_facts
from middleware.decisions.evidence import sourced_fact

# When several ways are closed, the reason that people should hear first.
ORDER = ("opted-out", "not-allow-listed", "no-consent", "switched-off", "no-address")


@dataclass(frozen=True)
class Route:
    """The chosen channel and address, or the verdict that none may be used."""

    channel: str | None
    address: str | None
    facts: tuple[Fact, ...]
    verdict: Verdict | None = None


def choose_route(
    profile: EngagementProfile, own: OwnRecord, endpoint: Endpoint, topic: str
) -> Route:
    """Choose the first usable contact point; say why when there is none.

    Left out: bad addresses, channels switched off, numbers not allow-listed outside
    production, contact points without permission.
    """
    refusals: list[Verdict] = []
    off = {item.target for item in own.switches if item.scope == "channel"}
    for channel in profile.channels.value:
        if channel in off:
            refusals.append(Verdict(Outcome.HOLD, "switched-off", detail=channel))
            continue
        for address in _addresses(profile, channel):
            if (channel, address.value) in own.bad_addresses:
                continue
            verdict, facts = _permission(profile, endpoint, address, topic)
            if verdict is None:
                order = sourced_fact("channels", profile.channels)
                point = Fact(
                    address.reference,
                    profile.detail.get("versions", {}).get(address.reference),
                    address.path,
                    channel,
                )
                return Route(channel, address.value, (order, point, *facts))
            refusals.append(verdict)
    if not refusals:
        refusals.append(_no_address(profile))
    best = min(refusals, key=lambda item: ORDER.index(item.reason))
    return Route(None, None, best.facts, best)


def _no_address(profile: EngagementProfile) -> Verdict:
    version = profile.detail.get("versions", {}).get(profile.patient)
    known = Fact(profile.patient, version, "Patient.telecom", "no usable one")
    return Verdict(Outcome.HOLD, "no-address", (known,))


def _addresses(profile: EngagementProfile, channel: str) -> tuple[Address, ...]:
    if channel == "screen":
        return (
            Address("screen", profile.patient, 0, None, profile.patient, "Patient.id"),
        )
    return tuple(item for item in profile.addresses if item.channel == channel)


def _permission(
    profile: EngagementProfile, endpoint: Endpoint, address: Address, topic: str
) -> tuple[Verdict | None, tuple[Fact, ...]]:
    permission = choose_permission(
        profile.consents, profile.patient, address.channel, address.value, topic
    )
    facts = consent_facts(profile, permission)
    if not permission.allowed:
        missing = Fact(
            address.reference,
            None,
            address.path,
            f"{address.channel}: nothing recorded",
        )
        return Verdict(Outcome.HOLD, permission.reason, facts or (missing,)), ()
    if not is_reachable(endpoint, address.channel, address.value):
        return Verdict(Outcome.HOLD, "not-allow-listed", facts), ()
    return None, facts


def is_reachable(endpoint: Endpoint, channel: str, address: str) -> bool:
    """Tell whether an endpoint's kind and allow-list let this address be reached."""
    if channel == "screen" or endpoint.kind is EndpointKind.PRODUCTION:
        return True
    return "*" in endpoint.allow_list or address in endpoint.allow_list
