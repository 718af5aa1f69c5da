"""The engagement profile: chart and own answers compiled into what decides.

The patient's own recorded answer beats what staff recorded, that the chart, that what
was learned, that the site's default; where hours, days and limits disagree the more
restrictive holds. What nobody said stays None: unknown is not yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from mappings.chart import Chart
from mappings.codes import ACT_REASON
from mappings.consent import read_consents
from mappings.endpoint import Endpoint
from mappings.instants import adult_from, age_on, find_instant
from mappings.merge import merged_into
from mappings.others import read_others
from mappings.preference import (
    Address,
    Conflict,
    ConsentRecord,
    Contact,
    EngagementProfile,
    OwnRecord,
    Sourced,
    Who,
)
from mappings.recipient import read_addresses
from mappings.reference import reference_of, version_of
from mappings.related import read_contacts, read_guarded
from mappings.resource import (
    Resource,
    codings_of,
    extension_value,
    extensions_of,
    human_name,
    list_of,
    values_at,
)
from mappings.speech import read_interpreter, read_spoken_language
from mappings.stated import EXPERIENCE, TREATMENT, read_goals, read_stated
from middleware.decisions.choices import (
    choose_accessibility,
    choose_channels,
    choose_days,
    choose_designated,
    choose_language,
    choose_max_per_week,
    choose_modality,
    choose_recipients,
    choose_topic_channels,
    choose_window,
)
from middleware.decisions.contact_points import name_sources, weigh_points
from middleware.decisions.weighing import own_value
from middleware.decisions.windows import CONTACT_WINDOW
from middleware.decisions.zones import candidate_zones, is_zone

_UNCONFIRMED = frozenset({"pause", "confirmed"})


def compile_profile(
    chart: Chart, own: OwnRecord, endpoint: Endpoint, now: datetime
) -> EngagementProfile:
    """Compile what decides whom, how, when and in which language to reach."""
    chart, points, differing = weigh_points(chart, own)
    patient = chart.patient
    addresses = name_sources(read_addresses(patient, now), points)
    zones = _zones(patient, own, addresses)
    today = _today(zones.value if zones else (endpoint.site.zone,), now)
    grown = adult_from(patient.get("birthDate"))
    language, languages = choose_language(patient, own)
    limits, narrowed = _limits(patient, own, endpoint, now)
    modality, modalities = choose_modality(chart, own)
    designated, places = choose_designated(chart, own, now)
    return EngagementProfile(
        **_identity(patient, now),
        **_own_words(chart, own),
        age=age_on(patient.get("birthDate"), today),
        adult_from=grown,
        channels=choose_channels(own, addresses),
        topic_channels=choose_topic_channels(own),
        addresses=addresses,
        points=points,
        language=language,
        zones=zones,
        **limits,
        pause=_pause(own),
        consents=_all_consents(chart, own, endpoint.id, now),
        modality=modality,
        contacts=_contacts(chart, now),
        recipients=choose_recipients(own, reference_of(patient)),
        confidential=designated,
        guarded=read_guarded(chart.of("RelatedPerson"), patient),
        guards_known="RelatedPerson" not in chart.incomplete,
        shared=points.shared | _shared(own, endpoint.id, grown, today),
        others=read_others(chart.of("Communication"), now),
        conflicts=(*languages, *narrowed, *modalities, *places, *differing),
        detail={"versions": _versions(chart)},
    )


def _today(zones: tuple[str, ...], now: datetime) -> date:
    """Return the day it is in all zones: nobody's birthday comes before it is there."""
    return min(now.astimezone(ZoneInfo(zone)).date() for zone in zones)


def _limits(
    patient: Resource, own: OwnRecord, endpoint: Endpoint, now: datetime
) -> tuple[dict[str, Any], tuple[Conflict, ...]]:
    """Return hours, days and the weekly limit, and where voices on them differ."""
    window, windows = choose_window(patient, own, endpoint.site)
    days, weekdays = choose_days(patient, own, now)
    most, limits = choose_max_per_week(patient, own, endpoint.site)
    held = {"window": window, "days": days, "max_per_week": most}
    return held, (*windows, *weekdays, *limits)


def is_deceased(patient: Resource, now: datetime) -> bool:
    """Tell whether Patient.deceased[x] says so; an unreadable date counts as dead."""
    if patient.get("deceasedBoolean") not in (None, False):
        return True
    text = patient.get("deceasedDateTime")
    if text is None:
        return False
    moment = find_instant(text)
    return moment is None or moment <= now


def read_confirmed(own: OwnRecord, patient: str) -> Mapping[str, datetime]:
    """Return when the patient last said, or stood by, each preference.

    An answer about being contacted stands under ``consent``.
    """
    said = [item for item in own.preferences if item.who is Who.PATIENT]
    times = [
        (item.name, item.recorded_at)
        for item in said
        if item.name not in _UNCONFIRMED and item.value is not None
    ]
    times += [
        ("consent", item.recorded_at)
        for item in own.consents
        if item.who is Who.PATIENT and item.patient == patient
    ]
    found: dict[str, datetime] = {}
    for name, moment in times:
        found[name] = max(moment, found.get(name, moment))
    for item in said:
        names = list_of(item.value) if item.name == "confirmed" else []
        for name in (*found, "*") if "*" in names else names:
            found[str(name)] = max(
                item.recorded_at, found.get(str(name), item.recorded_at)
            )
    return found


def _identity(patient: Resource, now: datetime) -> dict[str, Any]:
    name, given = human_name(patient)
    return {
        "patient": reference_of(patient),
        "name": name,
        "given": given,
        "birth_date": _text(patient.get("birthDate")),
        "gender": _text(patient.get("gender")),
        "mrn": _mrn(patient),
        "deceased": is_deceased(patient, now),
        "active": patient.get("active") is not False,
        "test_patient": _is_test(patient),
        "merged_into": merged_into(patient),
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _own_words(chart: Chart, own: OwnRecord) -> dict[str, Any]:
    """Return what no rule weighs: languages spoken, needs, goals, and the like."""
    patient = chart.patient
    reference = reference_of(patient)
    return {
        "spoken": read_spoken_language(patient),
        "interpreter": own_value(own, "interpreter") or read_interpreter(patient),
        "matters": own_value(own, "matters"),
        "accessibility": choose_accessibility(chart, own),
        "stated": read_stated(
            chart.coded("Observation", {EXPERIENCE, TREATMENT}), reference
        ),
        "goals": read_goals(chart.of("Goal"), reference),
        "confirmed": read_confirmed(own, reference),
    }


def _all_consents(
    chart: Chart, own: OwnRecord, endpoint_id: str, now: datetime
) -> tuple[ConsentRecord, ...]:
    """Return own answers and the chart's, each of ours once.

    A patient of another endpoint is somebody else here: the same ``Patient/1`` may be
    two people in two EHRs that share a number.
    """
    mine = (
        item
        if item.endpoint_id == endpoint_id or item.patient is None
        else replace(item, patient=f"{item.endpoint_id}:{item.patient}")
        for item in own.consents
    )
    known = {item.id for item in own.consents}
    reference = reference_of(chart.patient)
    told = read_consents(chart.of("Consent"), endpoint_id, reference, now, known)
    return (*mine, *told)


def _contacts(chart: Chart, now: datetime) -> tuple[Contact, ...]:
    """Return who stands beside the patient, each with the zones they may be in."""
    people = {reference_of(item): item for item in chart.of("RelatedPerson")}
    return tuple(
        replace(
            contact,
            zones=tuple(
                dict.fromkeys(
                    zone
                    for zone, _ in candidate_zones(
                        people[contact.reference], contact.addresses
                    )
                )
            ),
        )
        for contact in read_contacts(people.values(), now)
    )


def _shared(
    own: OwnRecord, endpoint_id: str, grown: date | None, today: date
) -> frozenset[tuple[str, str]]:
    """Return the contact points that another adult's chart has too.

    Somebody born on the same day in another EHR is taken for the same person; a birth
    date that is not known counts as an adult's.
    """
    return frozenset(
        (item.system, item.value)
        for item in own.bearers
        if (item.adult_from is None or item.adult_from <= today)
        and (
            item.endpoint_id == endpoint_id
            or item.adult_from is None
            or item.adult_from != grown
        )
    )


def _versions(chart: Chart) -> dict[str, str | None]:
    named = (chart.patient, *chart.of("Consent"), *chart.of("RelatedPerson"))
    return {reference_of(item): version_of(item) for item in named}


def _zones(
    patient: Resource, own: OwnRecord, addresses: tuple[Address, ...]
) -> Sourced[tuple[str, ...]] | None:
    stated = own_value(own, "zone")
    if stated is not None and is_zone(stated.value):
        return replace(stated, value=(stated.value,))
    window = next(iter(extensions_of(patient, CONTACT_WINDOW)), {})
    zone = extension_value(window, "timezone")
    path = "Patient.extension[contact-window]"
    found = candidate_zones(patient, addresses)
    if is_zone(zone):
        zones: tuple[str, ...] = (zone,)
    elif found:
        zones, path = tuple(dict.fromkeys(name for name, _ in found)), found[0][1]
    else:
        return None
    reference = f"{reference_of(patient)}#{path}"
    return Sourced(zones, Who.CHART, "in the chart", reference=reference)


def _pause(own: OwnRecord) -> Sourced[dict[str, Any]] | None:
    found = own_value(own, "pause")
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
