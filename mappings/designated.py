"""Requests for confidential communication, as a chart can tell of them.

There is no FHIR element for 45 CFR 164.522(b). Read are: the label SDV on the Patient,
an active Flag that says so, and the place that a contact point's purpose designates.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mappings.instants import write_instant
from mappings.places import Designated
from mappings.preference import Sourced, Who
from mappings.recipient import PURPOSE, read_address_value
from mappings.reference import reference_of
from mappings.resource import (
    Resource,
    codings_of,
    dict_of,
    extensions_of,
    in_period,
    list_of,
    values_at,
)

CONFIDENTIAL = "confidential-communication"
LABEL = "SDV"  # v3-ActCode: sexual assault, abuse or domestic violence


def read_designated(
    patient: Resource, flags: Iterable[Resource], now: datetime
) -> Sourced[Designated] | None:
    """Return the chart's request; without a usable place it names no channel."""
    reference = _label(patient, flags, now)
    points = [_point(item, now) for item in list_of(patient.get("telecom"))]
    places = [place for place in points if place is not None]
    if reference is None and not places:
        return None
    # Two places are no designation.
    channel, value = places[0] if len(set(places)) == 1 else (None, "")
    return Sourced(
        Designated(channel, value),
        Who.CHART,
        "in the chart",
        reference=reference or f"{reference_of(patient)}#Patient.telecom",
    )


def _label(patient: Resource, flags: Iterable[Resource], now: datetime) -> str | None:
    labels = {code for _, code in codings_of(values_at(patient, "meta.security"))}
    if LABEL in labels:
        return f"{reference_of(patient)}#Patient.meta.security"
    for flag in sorted(flags, key=reference_of):
        coded = {code for _, code in codings_of(flag.get("code"))}
        coded |= {code for _, code in codings_of(values_at(flag, "meta.security"))}
        text = str(dict_of(flag.get("code")).get("text") or "").lower()
        says = coded & {LABEL, CONFIDENTIAL} or "confidential communication" in text
        current = in_period(flag.get("period"), write_instant(now))
        if says and flag.get("status") == "active" and current:
            return f"{reference_of(flag)}#Flag.code"
    return None


def _point(point: object, now: datetime) -> tuple[str, str] | None:
    element = dict_of(point)
    purposes = {
        code
        for item in extensions_of(element, PURPOSE)
        for _, code in codings_of(item.get("valueCodeableConcept"))
    }
    current = in_period(element.get("period"), write_instant(now))
    if CONFIDENTIAL not in purposes or element.get("use") == "old" or not current:
        return None
    return read_address_value(element.get("system"), element.get("value"))
