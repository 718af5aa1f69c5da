"""The EHR's Consent resources about being contacted, read into consent records.

A Consent counts when its provision names CommunicationRequest or a way of contact, or
its category is our own. Deny is read generously, permit strictly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from mappings.codes import MEDIUM, PARTICIPATION_MODE
from mappings.instants import find_instant, write_instant
from mappings.plan import NS
from mappings.preference import ConsentRecord, Who
from mappings.recipient import read_email, read_phone
from mappings.reference import concerns, focus_patient, reference_of
from mappings.resource import (
    Resource,
    codings_of,
    extension_value,
    first_at,
    in_period,
    list_of,
    values_at,
)

POINT = f"{NS}/StructureDefinition/consent-contact-point"
TOPIC = f"{NS}/CodeSystem/topic"
OUTREACH = "outreach-communication"
SYSTEMS = {code: channel for channel, code in MEDIUM.items()}
OPT_OUTS = frozenset({"OPTOUT", "OPTOUTE"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_consents(
    resources: Iterable[Resource], endpoint_id: str, patient: str, now: datetime
) -> tuple[ConsentRecord, ...]:
    """Return what active Consents say about contacting this patient.

    The record's id is ``Consent/id``; a Consent without a contact point covers every
    address of its channel (value ``*``). What names a record that was merged into this
    patient's stays that record's: of it a denial counts, a permission does not.
    """
    found: list[ConsentRecord] = []
    for resource in resources:
        if resource.get("status") == "active" and _is_outreach(resource):
            found.extend(_records(resource, endpoint_id, patient, now))
    return tuple(found)


def _is_outreach(resource: Resource) -> bool:
    if OUTREACH in {code for _, code in codings_of(resource.get("category"))}:
        return True
    classes = {code for _, code in codings_of(values_at(resource, "provision.class"))}
    codes = codings_of(values_at(resource, "provision.code"))
    media = any(
        system == PARTICIPATION_MODE and code in SYSTEMS for system, code in codes
    )
    return "CommunicationRequest" in classes or media


def _records(
    resource: Resource, endpoint_id: str, patient: str, now: datetime
) -> Iterator[ConsentRecord]:
    provision = first_at(resource, "provision")
    if not isinstance(provision, dict):
        provision = {}
    policy = {code for _, code in codings_of(resource.get("policyRule"))}
    mine = concerns(resource, patient)
    whose = patient if mine else focus_patient(resource) or patient
    denied = provision.get("type") == "deny" or bool(policy & OPT_OUTS)
    stated = denied or provision.get("type") == "permit" or "OPTIN" in policy
    if not stated or not in_period(provision.get("period"), write_instant(now)):
        return
    for system, value in _points(resource, provision, denied=denied):
        for topic, permit in _topics(provision, denied=denied):
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
            )


def _points(
    resource: Resource, provision: Resource, *, denied: bool
) -> list[tuple[str, str]]:
    codes = {code for _, code in codings_of(provision.get("code"))}
    systems = [SYSTEMS[code] for code in sorted(codes) if code in SYSTEMS]
    point = extension_value(resource, POINT)
    if isinstance(point, dict):
        system = "email" if point.get("system") == "email" else "sms"
        text = str(point.get("value") or "")
        value = read_email(text) if system == "email" else read_phone(text)
        return [(system, value)] if value else []
    if not systems and denied:
        systems = [name for name in MEDIUM if name != "screen"]
    return [(system, "*") for system in systems]


def _topics(provision: Resource, *, denied: bool) -> Iterator[tuple[str, bool]]:
    """Yield (topic, permit): the provision's own, then its nested exceptions."""
    own = _topic_codes(provision)
    for topic in own or ["*"]:
        yield topic, not denied
    for nested in list_of(provision.get("provision")):
        if not isinstance(nested, dict):
            continue
        permit = nested.get("type") == "permit"
        if nested.get("type") in ("permit", "deny"):
            for topic in _topic_codes(nested):
                yield topic, permit


def _topic_codes(provision: Resource) -> list[str]:
    pairs = codings_of(provision.get("code"))
    return [code for system, code in pairs if system == TOPIC]
