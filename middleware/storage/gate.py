"""The locks of the gate: what DELIVER holds while it decides to send.

Whoever records an opt-out, a pause or a hold takes the same locks, so that a denial
committed before the gate's commit always wins. The order is fixed: switches, contact
point, patient.
"""

from __future__ import annotations

from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of

_SWITCHES = 0x63757377
_LOCK_PATIENT = """
SELECT merged_into FROM patient_lock
 WHERE endpoint_id = %s AND patient = %s FOR UPDATE
"""


def lock_gate(
    tx: Tx, *, endpoint_id: str, patient: str, system: str, value: str
) -> None:
    """Lock everything that may forbid this message, to the end of the transaction."""
    tx.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_SWITCHES,))
    lock_contact_point(tx, system, value)
    lock_patient(tx, endpoint_id, patient)


def lock_switches(tx: Tx) -> None:
    """Wait for gates that are open and keep new ones shut: before a switch is set."""
    tx.execute("SELECT pg_advisory_xact_lock(%s)", (_SWITCHES,))


def lock_contact_point(tx: Tx, system: str, value: str) -> None:
    """Lock one number or address, known or not."""
    tx.execute(
        "INSERT INTO contact_point (system, value) VALUES (%s, %s) "
        "ON CONFLICT DO NOTHING",
        (system, value),
    )
    tx.execute(
        "SELECT 1 FROM contact_point WHERE system = %s AND value = %s FOR UPDATE",
        (system, value),
    )


def lock_patient(tx: Tx, endpoint_id: str, patient: str) -> str | None:
    """Lock one patient (``Patient/id``): preferences, pause and budget.

    Returns the record that this one was merged into, or None.
    """
    row = tx.execute(_LOCK_PATIENT, (endpoint_id, patient)).fetchone()
    if row is None:
        # The first time; somebody else's first time may come before ours.
        tx.execute(
            "INSERT INTO patient_lock (endpoint_id, patient, shard) "
            "VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (endpoint_id, patient, shard_of(endpoint_id, patient)),
        )
        row = tx.execute(_LOCK_PATIENT, (endpoint_id, patient)).fetchone()
    return row["merged_into"] if row else None
