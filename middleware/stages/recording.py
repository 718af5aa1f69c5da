"""What was said of how to be reached, recorded by hand: whose words, how, and by whom.

The answer and its audit are one transaction; what was held for the patient is then
looked at again. A person whom the EHR does not know is never recorded for.
"""

from __future__ import annotations

from collections.abc import Sequence

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, CareCueError, FhirError
from mappings.preference import ConsentRecord, PreferenceRecord
from mappings.reference import concerns
from middleware.stages.context import StageContext
from middleware.stages.writing_back import queue_consent, save_preference
from middleware.storage import audit, gate, preferences, settling
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of

NOTHING = "Nothing was recorded"


def check_people(
    context: StageContext,
    endpoint: Endpoint,
    patient: str,
    beside: Sequence[str],
    *,
    sure: bool,
) -> None:
    """Raise BadInputError unless the EHR knows the patient, and these as theirs.

    Where it cannot be asked: CareCueError if it has to be ``sure``. A denial does not.
    """
    api = context.fhir(endpoint)
    for reference in (patient, *beside):
        try:
            resource = api.fetch(reference)
        except FhirError as error:
            if error.status in (404, 410):
                raise BadInputError(
                    f"{endpoint.name} knows no {reference}. {NOTHING}."
                ) from None
            if not sure:
                return
            raise CareCueError(
                f"{endpoint.name} could not be asked whether it knows {reference} "
                f"({error.message}). {NOTHING}; try again."
            ) from error
        if not concerns(resource, patient):
            raise BadInputError(
                f"{reference} stands beside another patient than {patient}. {NOTHING}."
            )


def record_preference(
    context: StageContext,
    endpoint: Endpoint,
    patient: str,
    said: PreferenceRecord,
    by: str,
) -> None:
    """Record a preference; ``by`` is who wrote it down."""
    with context.database.tx() as tx:
        gate.lock_patient(tx, endpoint.id, patient)
        save_preference(context, tx, endpoint, patient, said)
        detail = {"name": said.name, "value": said.value}
        _audit(tx, endpoint, patient, said, by, ("preference-saved", said.name, detail))
        shards = settling.look_at(tx, endpoint.id, patient, said.recorded_at)
    _wake(context, endpoint, patient, shards)


def record_consent(
    context: StageContext,
    endpoint: Endpoint,
    patient: str,
    answer: ConsentRecord,
    by: str,
) -> None:
    """Record an answer about being contacted; ``by`` is who wrote it down."""
    with context.database.tx() as tx:
        preferences.insert_consent(tx, answer)
        gate.lock_patient(tx, endpoint.id, patient)
        queue_consent(context, tx, answer, patient, answer.recorded_at)
        detail = {
            "permit": answer.permit,
            "system": answer.system,
            "value": answer.value,
            "topic": answer.topic,
            "actor": answer.actor,
        }
        _audit(tx, endpoint, patient, answer, by, ("consent-saved", answer.id, detail))
        shards = settling.look_at(tx, endpoint.id, patient, answer.recorded_at)
    _wake(context, endpoint, patient, shards)


def _audit(
    tx: Tx,
    endpoint: Endpoint,
    patient: str,
    said: PreferenceRecord | ConsentRecord,
    by: str,
    what: tuple[str, str, dict[str, object]],
) -> None:
    action, subject, detail = what
    audit.insert_audit(
        tx,
        by,
        action,
        said.recorded_at,
        endpoint_id=endpoint.id,
        patient=patient,
        subject=subject,
        detail={**detail, "who": said.who.value, "how": said.how},
    )


def _wake(
    context: StageContext, endpoint: Endpoint, patient: str, shards: Sequence[int]
) -> None:
    for shard in shards:
        context.wake("deliver", shard)
    context.wake("record", shard_of(endpoint.id, patient))
