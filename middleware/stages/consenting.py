"""What somebody at a number or address answered: yes or no to all messages there.

A no is told to the EHR on every chart that bears the number. A yes from there only takes
a no back: whose permission it would be, the number does not say.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mappings.preference import ConsentRecord, Who
from middleware.stages.context import StageContext
from middleware.stages.writing_back import queue_consent
from middleware.storage import preferences
from middleware.storage.connecting import Tx

# So long a number that was corrected may still be in the patient's hands.
FORMER = timedelta(days=30)


def _doubt_successors(context: StageContext, tx: Tx, said: ConsentRecord) -> None:
    """Hold messages to what took the place of a number that says no soon after.

    It may be the patient's word, or a stranger's by now: one new answer lifts it.
    """
    since, point = said.recorded_at - FORMER, (said.system, said.value)
    known = preferences.list_patients_at(tx, *point, on_charts=True)
    people = [patient for where, patient in known if where == said.endpoint_id]
    for patient, value in preferences.list_successors(
        tx, said.endpoint_id, people, point, since
    ):
        doubt = replace(
            said,
            id=context.ids.new(),
            patient=patient,
            value=value,
            who=Who.LEARNED,
        )
        preferences.insert_consent(tx, doubt)


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
    if not permit:
        _doubt_successors(context, tx, answer)
    for where, patient in preferences.list_patients_at(tx, *point, on_charts=True):
        if where == endpoint_id and not permit:
            queue_consent(context, tx, answer, patient, recorded_at)
