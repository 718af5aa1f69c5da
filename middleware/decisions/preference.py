"""The engagement profile: chart and own answers compiled into what decides.

The patient's own recorded answer beats what staff recorded, that the chart, that the
site's default. What nobody said stays None: unknown is not yes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from mappings.chart import Chart
from mappings.codes import ACT_REASON, LANGUAGE
from mappings.consent import read_consents
from mappings.endpoint import Endpoint
from mappings.instants import find_instant
from mappings.merge import merged_into
from mappings.plan import NS
from mappings.preference import (
    Address,
    ConsentRecord,
    EngagementProfile,
    OwnRecord,
    PreferenceRecord,
    Sourced,
    Who,
)
from mappings.recipient import read_addresses
from mappings.reference import reference_of, version_of
from mappings.resource import (
    Resource,
    codings_of,
    extension_value,
    extensions_of,
    human_name,
    list_of,
    values_at,
)
from middleware.decisions.windows import chart_days, chart_window
from middleware.decisions.zones import candidate_zones, is_zone

DEFAULT_CHANNELS = ("sms", "email")
CHANNELS = frozenset({"sms", "email", "screen"})
PREFERENCE_TYPE = "http://hl7.org/fhir/StructureDefinition/patient-preferenceType"
INTERPRETER = (
    "http://hl7.org/fhir/us/core/StructureDefinition/us-core-interpreter-needed"
)
INTERPRETER_BASE = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
CONTACT_WINDOW = f"{NS}/StructureDefinition/contact-window"
STRENGTH = {Who.PATIENT: 3, Who.STAFF: 2, Who.CHART: 1, Who.SITE: 0}


def compile_profile(
    chart: Chart, own: OwnRecord, endpoint: Endpoint, now: datetime
) -> EngagementProfile:
    """Compile what decides whom, how, when and in which language to reach."""
    patient = chart.patient
    reference = reference_of(patient)
    name, given = human_name(patient)
    addresses = tuple(read_addresses(patient, now))
    chart_consents = read_consents(chart.of("Consent"), endpoint.id, reference, now)
    language, conflicts = _language(patient, own)
    return EngagementProfile(
        patient=reference,
        name=name,
        given=given,
        birth_date=patient.get("birthDate"),
        gender=patient.get("gender"),
        mrn=_mrn(patient),
        deceased=is_deceased(patient, now),
        active=patient.get("active") is not False,
        test_patient=_is_test(patient),
        merged_into=merged_into(patient),
        channels=_channels(own),
        addresses=addresses,
        language=language,
        zones=_zones(patient, own, addresses),
        window=_window(patient, own, endpoint),
        max_per_week=_max_per_week(patient, own, endpoint),
        pause=_pause(own),
        consents=(*_consents(own, endpoint.id), *chart_consents),
        matters=_own(own, "matters"),
        interpreter_needed=_interpreter(patient),
        conflicts=conflicts,
        detail={
            "days": chart_days(patient, now),
            "versions": {
                reference_of(item): version_of(item)
                for item in (patient, *chart.of("Consent"))
            },
        },
    )


def is_deceased(patient: Resource, now: datetime) -> bool:
    """Tell whether Patient.deceased[x] says so; an unreadable date counts as dead."""
    if patient.get("deceasedBoolean") not in (None, False):
        return True
    text = patient.get("deceasedDateTime")
    if text is None:
        return False
    moment = find_instant(text)
    return moment is None or moment <= now


def newest(own: OwnRecord, name: str) -> PreferenceRecord | None:
    """Return the recorded preference that counts: the newest of the strongest voice.

    A newer answer of a weaker voice does not replace the patient's own.
    """
    answers = [item for item in own.preferences if item.name == name]
    if not answers:
        return None
    strongest = max(STRENGTH[item.who] for item in answers)
    if name == "pause":
        strongest = 0
    usable = [item for item in answers if STRENGTH[item.who] >= strongest]
    return max(usable, key=lambda item: item.recorded_at)


def _consents(own: OwnRecord, endpoint_id: str) -> tuple[ConsentRecord, ...]:
    """Return own answers; a patient of another endpoint is somebody else here.

    The same ``Patient/1`` may be two people in two EHRs that share a number.
    """
    return tuple(
        item
        if item.endpoint_id == endpoint_id or item.patient is None
        else replace(item, patient=f"{item.endpoint_id}:{item.patient}")
        for item in own.consents
    )


def _own(own: OwnRecord, name: str) -> Sourced[Any] | None:
    record = newest(own, name)
    if record is None or record.value is None:
        return None
    return Sourced(
        value=record.value,
        who=record.who,
        how=record.how,
        when=record.recorded_at,
        by=record.recorded_by,
    )


def _from_chart(value: Any, patient: Resource, path: str) -> Sourced[Any]:
    reference = f"{reference_of(patient)}#{path}"
    return Sourced(value, Who.CHART, "in the chart", reference=reference)


def _channels(own: OwnRecord) -> Sourced[tuple[str, ...]]:
    stated = _own(own, "channels")
    if stated is not None:
        usable = tuple(item for item in list_of(stated.value) if item in CHANNELS)
        if usable:
            return Sourced(usable, stated.who, stated.how, stated.when, stated.by)
    return Sourced(DEFAULT_CHANNELS, Who.SITE, "the site's order")


def _language(
    patient: Resource, own: OwnRecord
) -> tuple[Sourced[str] | None, tuple[str, ...]]:
    stated = _own(own, "language")
    chart = _chart_language(patient)
    if stated is None or not isinstance(stated.value, str):
        return chart, ()
    differs = chart is not None and _base(chart.value) != _base(stated.value)
    return stated, ("language",) if differs else ()


def _base(tag: str) -> str:
    return tag.replace("_", "-").split("-")[0].lower()


def _chart_language(patient: Resource) -> Sourced[str] | None:
    """Read Patient.communication: the preferred one, or the only one."""
    entries = [
        (index, item)
        for index, item in enumerate(list_of(patient.get("communication")))
        if isinstance(item, dict) and not _spoken_only(item)
    ]
    preferred = [entry for entry in entries if entry[1].get("preferred") is True]
    chosen = preferred if len(preferred) == 1 else entries if len(entries) == 1 else []
    for index, item in chosen:
        for system, code in codings_of(item.get("language")):
            if system in (LANGUAGE, "", "urn:ietf:rfc:3066"):
                path = f"Patient.communication[{index}].language"
                return _from_chart(code.replace("_", "-"), patient, path)
    return None


def _spoken_only(communication: Resource) -> bool:
    element = communication.get("_preferred")
    types = {
        code
        for item in extensions_of(element, PREFERENCE_TYPE)
        + extensions_of(communication, PREFERENCE_TYPE)
        for _, code in codings_of(item.get("valueCoding"))
    }
    return types == {"verbal"}


def _zones(
    patient: Resource, own: OwnRecord, addresses: tuple[Address, ...]
) -> Sourced[tuple[str, ...]] | None:
    stated = _own(own, "zone")
    if stated is not None and is_zone(stated.value):
        return Sourced((stated.value,), stated.who, stated.how, stated.when, stated.by)
    window = next(iter(extensions_of(patient, CONTACT_WINDOW)), {})
    zone = extension_value(window, "timezone")
    if is_zone(zone):
        return _from_chart((zone,), patient, "Patient.extension[contact-window]")
    found = candidate_zones(patient, addresses)
    if not found:
        return None
    zones = tuple(dict.fromkeys(name for name, _ in found))
    return _from_chart(zones, patient, found[0][1])


def _window(
    patient: Resource, own: OwnRecord, endpoint: Endpoint
) -> Sourced[tuple[int, int]]:
    stated = _own(own, "window")
    if stated is not None and _is_window(stated.value):
        first, last = stated.value
        return Sourced((first, last), stated.who, stated.how, stated.when, stated.by)
    found = chart_window(patient)
    if found is not None:
        return _from_chart(found, patient, "Patient.extension[contact-window]")
    return Sourced(endpoint.site.window, Who.SITE, "the site's hours")


def _is_window(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(item, int) for item in value)
        and 0 <= value[0] < value[1] <= 24
    )


def _max_per_week(
    patient: Resource, own: OwnRecord, endpoint: Endpoint
) -> Sourced[int]:
    """Return the weekly limit: the patient may ask for fewer, never for more."""
    most = endpoint.site.max_per_week
    stated = _own(own, "max_per_week")
    if stated is not None and isinstance(stated.value, int):
        wanted = max(0, min(stated.value, most))
        return Sourced(wanted, stated.who, stated.how, stated.when, stated.by)
    window = next(iter(extensions_of(patient, CONTACT_WINDOW)), {})
    limit = extension_value(window, "maxPerWeek")
    if isinstance(limit, int):
        return _from_chart(min(limit, most), patient, CONTACT_WINDOW)
    return Sourced(most, Who.SITE, "the site's limit")


def _pause(own: OwnRecord) -> Sourced[dict[str, Any]] | None:
    found = _own(own, "pause")
    return found if found is not None and isinstance(found.value, dict) else None


def _mrn(patient: Resource) -> str | None:
    for item in list_of(patient.get("identifier")):
        if isinstance(item, dict) and "MR" in {
            code for _, code in codings_of(item.get("type"))
        }:
            return str(item.get("value") or "") or None
    return None


def _is_test(patient: Resource) -> bool:
    labels = codings_of(values_at(patient, "meta.security"))
    return any(code == "HTEST" and system == ACT_REASON for system, code in labels)


def _interpreter(patient: Resource) -> bool:
    needed = codings_of(extension_value(patient, INTERPRETER))
    if any(code in ("373066001", "LA33-6", "Y") for _, code in needed):
        return True
    return extension_value(patient, INTERPRETER_BASE) is True
