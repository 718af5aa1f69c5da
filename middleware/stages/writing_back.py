"""What patients answered, on its way to the EHR: queued where it is recorded.

The answer counts from our own store; the EHR is told as far as it wants to hear.
"""

from __future__ import annotations

from datetime import datetime

from mappings.amending import mark_elements
from mappings.answers import (
    answer_identifier,
    find_speaker,
    write_consent,
    write_preference,
)
from mappings.endpoint import Endpoint
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from mappings.provenance import Recording, write_provenance
from mappings.resource import Resource
from middleware.stages.context import StageContext
from middleware.storage import outbox, preferences
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of


def answer_key(endpoint_id: str, identifier: str) -> str:
    """Return the outbox key of an answer; one answer goes to a chart once."""
    return f"{endpoint_id}|answer|{identifier}"


def save_preference(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    patient: str,
    said: PreferenceRecord,
    *,
    author: str | None = None,
    seen: Resource | None = None,
) -> None:
    """Record a preference and queue it for the EHR.

    ``author`` (``Practitioner/id``) recorded it in view of the Patient ``seen``.
    """
    identifier = context.ids.new()
    preferences.insert_preference(
        tx,
        id=identifier,
        endpoint_id=endpoint.id,
        patient=patient,
        name=said.name,
        value=said.value,
        who=said.who,
        how=said.how,
        recorded_by=said.recorded_by,
        recorded_at=said.recorded_at,
        saved_by=said.saved_by,
        form=said.form,
        turn=said.turn,
    )
    mark = mark_elements(seen, said.name) if seen is not None else None
    resource = write_preference(said, identifier, patient, author=author, seen=mark)
    about = (endpoint.id, patient, answer_identifier(identifier, patient))
    _queue(context, tx, about, resource, said.recorded_at)
    if author is not None:
        informant = patient if said.who is Who.PATIENT else None
        site, name = endpoint.site.organization, said.recorded_by
        recording = Recording(author, informant, site, name)
        _queue_provenance(context, tx, about, recording, said.recorded_at)


def queue_consent(
    context: StageContext,
    tx: Tx,
    answer: ConsentRecord,
    patient: str,
    now: datetime,
    *,
    author: str | None = None,
    organization: str | None = None,
) -> None:
    """Queue an answer for the chart of one patient whom it concerns.

    ``author`` recorded it on behalf of ``organization``.
    """
    resource = write_consent(answer, patient)
    about = (answer.endpoint_id, patient, answer_identifier(answer.id, patient))
    _queue(context, tx, about, resource, now)
    if author is not None:
        speaker, name = find_speaker(answer, patient), answer.recorded_by
        recording = Recording(author, speaker, organization, name)
        _queue_provenance(context, tx, about, recording, now)


def provenance_key(key: str) -> str:
    """Return the outbox key of the Provenance of what is stored under ``key``."""
    return f"{key}|provenance"


def _queue_provenance(
    context: StageContext,
    tx: Tx,
    about: tuple[str, str, str],
    recording: Recording,
    now: datetime,
) -> None:
    """Queue who recorded an answer; it goes once the answer is in the chart."""
    endpoint_id, patient, identifier = about
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=provenance_key(answer_key(endpoint_id, identifier)),
        endpoint_id=endpoint_id,
        patient=patient,
        shard=shard_of(endpoint_id, patient),
        resource=write_provenance(recording, identifier, now),
        due_at=now,
    )


def _queue(
    context: StageContext,
    tx: Tx,
    about: tuple[str, str, str],
    resource: Resource,
    now: datetime,
) -> None:
    endpoint_id, patient, identifier = about
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=answer_key(endpoint_id, identifier),
        endpoint_id=endpoint_id,
        patient=patient,
        shard=shard_of(endpoint_id, patient),
        resource=resource,
        due_at=now,
    )
