"""A patient's numbers and addresses: what was said here weighed with the chart's. Pure.

That a number is not the patient's, or is used no more, counts whoever says it, until the
same voice or a stronger one says otherwise. What was said to be in use counts while the
chart does not take it back; once the chart itself says it, the chart is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from mappings.amending import amend_patient, mark_elements
from mappings.chart import Chart
from mappings.places import ContactPoints
from mappings.preference import (
    STRENGTH,
    Address,
    Conflict,
    OwnRecord,
    PreferenceRecord,
    Sourced,
    Who,
)
from mappings.reference import reference_of
from mappings.resource import Resource, dict_of, list_of
from mappings.telecom import (
    CURRENT,
    OUT,
    Point,
    alike,
    is_point,
    list_points,
    name_point,
    read_point_name,
    read_statement,
)
from middleware.decisions.weighing import sourced

Weighed = tuple[Chart, ContactPoints, tuple[Conflict, ...]]


def weigh_points(chart: Chart, own: OwnRecord) -> Weighed:
    """Return the chart with the contact points that hold, what was said, what differs."""
    telecom = tuple(list_of(chart.patient.get("telecom")))
    standing = _standing(own.preferences)
    if not standing:
        return chart, ContactPoints(chart=telecom), ()
    patient = chart.patient
    for name, record in standing.items():
        if _holds(chart.patient, record):
            patient = amend_patient(patient, name, record.value) or patient
    found = {
        name: sourced(record)
        for name, record in standing.items()
        if not _is_the_charts(telecom, record)
    }
    points = ContactPoints(
        said={name: voice for name, voice in found.items() if voice is not None},
        chart=telecom,
        disowned=frozenset(
            read_point_name(name)
            for name, record in standing.items()
            if _is_out(record)
        ),
        shared=frozenset(
            read_point_name(name)
            for name, record in standing.items()
            if record.value.get("shared")
        ),
        renewed=dict(_renewed(standing)),
    )
    return (
        replace(chart, patient=patient),
        points,
        tuple(_conflicts(chart.patient, patient, points)),
    )


def choose_statement(records: Iterable[PreferenceRecord]) -> PreferenceRecord | None:
    """Return which of the voices on one point stands; None where none is left."""
    said = [item for item in records if dict_of(item.value).get("state")]
    newest_first = sorted(said, key=lambda item: item.recorded_at, reverse=True)
    for item in newest_first:
        if _is_out(item) and not any(_lifts(other, item) for other in said):
            return item
    used = [item for item in newest_first if not _is_out(item)]
    # Of equal voices the newest: max keeps the first.
    return max(used, key=lambda item: STRENGTH[item.who], default=None)


def _standing(
    preferences: Iterable[PreferenceRecord],
) -> dict[str, PreferenceRecord]:
    voices: dict[str, list[PreferenceRecord]] = {}
    for item in preferences:
        if is_point(item.name):
            voices.setdefault(item.name, []).append(item)
    chosen = {name: choose_statement(items) for name, items in sorted(voices.items())}
    return {name: item for name, item in chosen.items() if item is not None}


def _lifts(other: PreferenceRecord, denial: PreferenceRecord) -> bool:
    return (
        not _is_out(other)
        and other.recorded_at > denial.recorded_at
        and STRENGTH[other.who] >= STRENGTH[denial.who]
    )


def _is_out(record: PreferenceRecord) -> bool:
    return dict_of(record.value).get("state") in OUT


def _holds(patient: Resource, record: PreferenceRecord) -> bool:
    """Tell whether a statement is to be put over what the chart says."""
    if _is_out(record):
        return True
    if record.in_chart_at is not None:
        return False
    unchanged = mark_elements(patient, record.name) == record.value.get("seen")
    told = read_statement(list_of(patient.get("telecom")), read_point_name(record.name))
    return unchanged or (told is not None and told["state"] == CURRENT)


def _is_the_charts(telecom: tuple[Any, ...], record: PreferenceRecord) -> bool:
    """Tell whether the chart took a statement over, and says something newer by now."""
    if record.in_chart_at is None or _is_out(record):
        return False
    told = read_statement(telecom, read_point_name(record.name))
    return told is None or not alike(told, record.value)


def name_sources(
    addresses: Iterable[Address], points: ContactPoints
) -> tuple[Address, ...]:
    """Return addresses with our own record as the source of those the chart lacks."""
    if not points.said:
        return tuple(addresses)
    charted = {name_point(point) for point in list_points(points.chart)}
    return tuple(
        replace(item, reference="Preference/telecom", path="telecom")
        if name_point((item.channel, item.value)) not in charted
        else item
        for item in addresses
    )


def _renewed(
    standing: dict[str, PreferenceRecord],
) -> Iterable[tuple[Point, datetime]]:
    for name, record in standing.items():
        since = dict_of(record.value).get("since")
        if isinstance(since, str):
            yield read_point_name(name), datetime.fromisoformat(since)


def _conflicts(
    patient: Resource, held: Resource, points: ContactPoints
) -> Iterable[Conflict]:
    """Name each point of which the chart says something else than was said here."""
    for name, voice in points.said.items():
        point = read_point_name(name)
        told = read_statement(points.chart, point)
        holds = read_statement(list_of(held.get("telecom")), point)
        if told is None or alike(told, voice.value):
            continue
        source = f"{reference_of(patient)}#Patient.telecom"
        theirs: Sourced[Any] = Sourced(
            told, Who.CHART, "in the chart", reference=source
        )
        yield Conflict(name, voice, theirs, holds or voice.value)
