"""What our own store knows of one patient, read for a decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.preference import OwnRecord
from mappings.recipient import contact_points
from middleware.storage import records
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
    points = {name: contact_points(chart.patient) for name, chart in charts.items()}
    return records.read_owns(tx, endpoint_id, points, now - MEMORY)
