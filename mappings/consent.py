"""The EHR's Consent resources about being contacted, read into consent records.

A Consent counts when its provision names CommunicationRequest or a way of contact, when
its category is our own, or when it says who beside the patient may be told
(provision.actor). Deny is read generously, permit strictly. What we wrote ourselves is
in our own store and is not read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from mappings.codes import CHANNELS, MEDIUM, PARTICIPATION_MODE
from mappings.instants import find_instant, write_instant
from mappings.plan import NS, TOPIC
from mappings.preference import ConsentRecord, Who
from mappings.recipient import read_address_value
from mappings.reference import (
    concerns,
    focus_patient,
    read_reference,
    reference_of,
)
from mappings.resource import (
    Resource,
    codings_of,
    dict_of,
    extension_value,
    first_at,
    in_period,
    list_of,
    values_at,
)

POINT = f"{NS}/StructureDefinition/consent-contact-point"
OWN = f"{NS}/identifier/consent"
OUTREACH = "outreach-communication"
PRIVACY = "patient-privacy"
OPT_OUTS = frozenset({"OPTOUT", "OPTOUTE"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Actors = tuple[str | None, ...]


def read_consents(
    resources: Iterable[Resource],
    endpoint_id: str,
    patient: str,
    now: datetime,
    known: Collection[str] = (),
) -> tuple[ConsentRecord, ...]:
    """Return what active Consents say about contacting this patient.

    The record's id is ``Consent/id``; a Consent without a contact point covers every
    address of its channel (value ``*``). What names a record that was merged into this
    patient's stays that record's: of it a denial counts, a permission does not.
    ``known`` are the ids of our own records.
    """
    found: list[ConsentRecord] = []
    for resource in resources:
        if resource.get("status") != "active" or _own_id(resource) in known:
            continue
        read = _as_r4(resource)
        if _is_outreach(resource) or _is_outreach(read) or _names_person(read):
            found.extend(_records(read, endpoint_id, patient, now))
    return tuple(found)


def _as_r4(resource: Resource) -> Resource:
    """Read R5's spelling: a decision, and provisions that are exceptions to it.

    A denial is taken for all of it, whatever is excepted; where the decision is a
    permission its exceptions are denials.
    """
    decision = resource.get("decision")
    if decision not in ("permit", "deny"):
        return resource
    inner = [dict_of(item) for item in list_of(resource.get("provision"))]
    denied = (
        [{**item, "type": "deny"} for item in inner] if decision == "permit" else []
    )
    provision: Resource = {"type": decision, "provision": denied}
    if period := resource.get("period"):
        provision["period"] = period
    return {
        **resource,
        "dateTime": resource.get("dateTime") or resource.get("date"),
        "provision": provision,
    }


def _own_id(resource: Resource) -> str | None:
    for item in list_of(resource.get("identifier")):
        if dict_of(item).get("system") == OWN:
            return str(item.get("value")).split(".", 1)[0]
    return None


def _is_outreach(resource: Resource) -> bool:
    if OUTREACH in {code for _, code in codings_of(resource.get("category"))}:
        return True
    classes = {code for _, code in codings_of(values_at(resource, "provision.class"))}
    codes = [
        *codings_of(values_at(resource, "provision.code")),
        *codings_of(values_at(resource, "provision.provision.code")),
    ]
    media = any(
        system == PARTICIPATION_MODE and code in CHANNELS for system, code in codes
    )
    return "CommunicationRequest" in classes or media


def _names_person(resource: Resource) -> bool:
    """Tell whether it says what a RelatedPerson may, or may not, be told."""
    provision = dict_of(first_at(resource, "provision"))
    everywhere = [provision, *map(dict_of, list_of(provision.get("provision")))]
    if not any(_people(item) for item in everywhere):
        return False
    scope = {code for _, code in codings_of(resource.get("scope"))}
    return PRIVACY in scope or any(item.get("type") == "deny" for item in everywhere)


def _records(
    resource: Resource, endpoint_id: str, patient: str, now: datetime
) -> Iterator[ConsentRecord]:
    provision = dict_of(first_at(resource, "provision"))
    policy = {code for _, code in codings_of(resource.get("policyRule"))}
    mine = concerns(resource, patient)
    whose = patient if mine else focus_patient(resource) or patient
    denied = provision.get("type") == "deny" or bool(policy & OPT_OUTS)
    stated = denied or provision.get("type") == "permit" or "OPTIN" in policy
    if not stated or not in_period(provision.get("period"), write_instant(now)):
        return
    changed = _is_changed(resource, provision)
    for actors, topic, permit, about in _answers(provision, denied=denied):
        if permit and changed:
            continue
        for actor in actors:
            for system, value in _points(resource, about, actor, permit=permit):
                yield ConsentRecord(
                    id=reference_of(resource),
                    endpoint_id=endpoint_id,
                    patient=whose,
                    system=system,
                    value=value,
                    topic=topic,
                    permit=permit,
                    who=Who.CHART,
                    how="Consent in the chart",
                    recorded_at=find_instant(resource.get("dateTime")) or EPOCH,
                    actor=actor,
                )


def _is_changed(resource: Resource, provision: Resource) -> bool:
    """Tell whether something unknown may change its meaning: then it permits nothing."""
    parts = (resource, provision, *map(dict_of, list_of(provision.get("provision"))))
    named = any(part.get("modifierExtension") for part in parts)
    return named or bool(resource.get("implicitRules"))


def _points(
    resource: Resource, provision: Resource, actor: str | None, *, permit: bool
) -> list[tuple[str, str]]:
    """Return the (system, value) that an answer is about.

    What names a person and no way of contact is about whether to tell them at all.
    """
    codes = {code for _, code in codings_of(provision.get("code"))}
    systems = [CHANNELS[code] for code in sorted(codes) if code in CHANNELS]
    point = extension_value(resource, POINT)
    if isinstance(point, dict):
        system = "email" if point.get("system") == "email" else "sms"
        found = read_address_value(system, point.get("value"))
        unreadable = [] if permit else [(system, "*")]
        return [found] if found else unreadable
    if not systems and actor is not None:
        systems = ["*"]
    elif not systems and not permit:
        systems = [name for name in MEDIUM if name != "screen"]
    return [(system, "*") for system in systems]


def _answers(
    provision: Resource, *, denied: bool
) -> Iterator[tuple[Actors, str, bool, Resource]]:
    """Yield (actors, topic, permit, provision): its own, then its exceptions.

    An exception that denies a way of contact of its own is about that one.
    """
    people: Actors = _people(provision)
    for topic in _topic_codes(provision) or ["*"]:
        yield people or (None,), topic, not denied, provision
    for nested in map(dict_of, list_of(provision.get("provision"))):
        if nested.get("type") not in ("permit", "deny"):
            continue
        permit = nested.get("type") == "permit"
        others: Actors = _people(nested)
        ways = {code for _, code in codings_of(nested.get("code"))} & set(CHANNELS)
        narrow = bool(ways) and not permit
        topics = _topic_codes(nested) or (["*"] if others or narrow else [])
        for topic in topics:
            about = nested if narrow else provision
            yield others or people or (None,), topic, permit, about


def _people(provision: Resource) -> Actors:
    actors = (read_reference(one) for one in values_at(provision, "actor.reference"))
    return tuple(
        dict.fromkeys(one for one in actors if one and one.startswith("RelatedPerson/"))
    )


def _topic_codes(provision: Resource) -> list[str]:
    pairs = codings_of(provision.get("code"))
    return [code for system, code in pairs if system == TOPIC]
