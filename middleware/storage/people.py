"""The patients of a group of events: locked, and with the name that pages show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.reviews import note_known

# The row of a merged record is locked and left as it is, and not returned.
_LOCK = """
INSERT INTO patient_lock (endpoint_id, patient, name, shard, seen_at)
SELECT %s, p.patient, p.name, p.shard, %s
  FROM unnest(%s::text[], %s::text[], %s::smallint[]) AS p (patient, name, shard)
    ON CONFLICT (endpoint_id, patient) DO UPDATE SET name = excluded.name,
       seen_at = excluded.seen_at
 WHERE patient_lock.merged_into IS NULL RETURNING patient
"""


def lock_people(
    tx: Tx, endpoint_id: str, names: Mapping[str, str], now: datetime
) -> set[str]:
    """Lock these patients as the gate does; return those whose record lives on.

    ``names`` are what pages show; they are kept, and that the chart was read ``now``.
    All are locked in one order, whoever else locks several.
    """
    patients = sorted(names)
    rows = tx.execute(
        _LOCK,
        (
            endpoint_id,
            now,
            patients,
            [names[patient] for patient in patients],
            [shard_of(endpoint_id, patient) for patient in patients],
        ),
    )
    living = {row["patient"] for row in rows}
    note_known(tx, endpoint_id, living, now)
    return living


def list_homes(tx: Tx, patient: str) -> list[str]:
    """List the ids of the endpoints in which a ``Patient/id`` is known."""
    rows = tx.execute(
        "SELECT endpoint_id FROM patient_lock WHERE patient = %s ORDER BY 1", (patient,)
    )
    return [row["endpoint_id"] for row in rows]
