"""The name that pages show for a patient."""

from __future__ import annotations

from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of


def remember_patient(
    tx: Tx, endpoint_id: str, patient: str, name: str, now: datetime
) -> None:
    """Keep the patient's name for pages, and when the chart was last read."""
    tx.execute(
        "INSERT INTO patient_lock (endpoint_id, patient, name, shard, seen_at) "
        "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (endpoint_id, patient) "
        "DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at",
        (endpoint_id, patient, name, shard_of(endpoint_id, patient), now),
    )
