"""What our own store knows of one patient, read for a decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.instants import adult_from
from mappings.preference import OwnRecord
from mappings.recipient import contact_points, read_address_value, read_addresses
from middleware.decisions.preference import is_deceased
from middleware.storage import bearers, records, told
from middleware.storage.connecting import Tx

MEMORY = timedelta(days=366)


def own_record(
    tx: Tx, endpoint_id: str, patient: str, chart: Chart, now: datetime
) -> OwnRecord:
    """Read preferences, consents, switches, holds and what was sent in a year."""
    return own_records(tx, endpoint_id, {patient: chart}, now)[patient]


def own_records(
    tx: Tx, endpoint_id: str, charts: Mapping[str, Chart], now: datetime
) -> dict[str, OwnRecord]:
    """Read the same of several patients, whose charts are given."""
    points, beside = _places(tx, endpoint_id, charts)
    return records.read_owns(tx, endpoint_id, points, now - MEMORY, beside)


def list_places(
    tx: Tx, endpoint_id: str, patient: str, chart: Chart
) -> list[tuple[str, str]]:
    """List every (system, value) that a decision about one patient rests on."""
    points, beside = _places(tx, endpoint_id, {patient: chart})
    return [*points[patient], *beside[patient]]


def _places(
    tx: Tx, endpoint_id: str, charts: Mapping[str, Chart]
) -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[tuple[str, str]]]]:
    """Return the places of each patient, and those of whoever stands beside."""
    here = told.list_told(tx, endpoint_id, list(charts))
    points: dict[str, list[tuple[str, str]]] = {}
    beside: dict[str, list[tuple[str, str]]] = {}
    for name, chart in charts.items():
        said = here.get(name, told.Told())
        added = filter(None, (read_address_value(*place) for place in said.used))
        ended = {read_address_value(*place) for place in said.ended}
        known = [*contact_points(chart.patient), *added]
        points[name] = [place for place in known if place not in ended]
        beside[name] = contact_points(*chart.of("RelatedPerson"))
    return points, beside


def note_bearers(tx: Tx, endpoint_id: str, charts: Mapping[str, Chart]) -> None:
    """Keep whose number is on which chart; the dead and closed records bear none.

    A number that was said here to be the patient's is on the chart as well, and one that
    was said not to be is not.
    """
    said = told.list_told(tx, endpoint_id, list(charts))
    noted = {}
    for name, chart in charts.items():
        person, now = chart.patient, chart.read_at
        ended = is_deceased(person, now) or person.get("active") is False
        points = (
            [] if ended else [(i.channel, i.value) for i in read_addresses(person, now)]
        )
        here = said.get(name, told.Told())
        gone = {read_address_value(*place) for place in here.ended}
        added = [read_address_value(*place) for place in ([] if ended else here.used)]
        known = [place for place in (*points, *added) if place and place not in gone]
        noted[name] = (known, adult_from(person.get("birthDate")))
    bearers.note_bearers(tx, endpoint_id, noted)
