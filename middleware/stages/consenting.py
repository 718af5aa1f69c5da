"""What somebody at a number or address answered: yes or no to all messages there.

A no is told to the EHR on every chart that bears the number. A yes from there only takes
a no back: whose permission it would be, the number does not say.
"""

from __future__ import annotations

from datetime import datetime

from mappings.preference import ConsentRecord, Who
from middleware.stages.context import StageContext
from middleware.stages.writing_back import queue_consent
from middleware.storage import preferences
from middleware.storage.connecting import Tx


def record_answer(
    context: StageContext,
    tx: Tx,
    endpoint_id: str,
    point: tuple[str, str],
    *,
    permit: bool,
    how: str,
    recorded_at: datetime,
) -> None:
    """Record it for (system, value); it covers every chart that bears it."""
    answer = ConsentRecord(
        id=context.ids.new(),
        endpoint_id=endpoint_id,
        patient=None,
        system=point[0],
        value=point[1],
        topic="*",
        permit=permit,
        who=Who.PATIENT,
        how=how,
        recorded_at=recorded_at,
    )
    preferences.insert_consent(tx, answer)
    for where, patient in preferences.list_patients_at(tx, *point, on_charts=True):
        if where == endpoint_id and not permit:
            queue_consent(context, tx, answer, patient, recorded_at)
