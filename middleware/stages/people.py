"""What our own store knows of one patient, read for a decision."""

from __future__ import annotations

from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.preference import OwnRecord
from mappings.recipient import contact_points
from middleware.storage import preferences
from middleware.storage.connecting import Tx

MEMORY = timedelta(days=366)


def own_record(
    tx: Tx, endpoint_id: str, patient: str, chart: Chart, now: datetime
) -> OwnRecord:
    """Read preferences, consents, switches, holds and what was sent in a year."""
    points = contact_points(chart.patient)
    return preferences.read_own(tx, endpoint_id, patient, points, now - MEMORY)
