"""Asking a person: a staff task of our own, and a Task in the EHR where it allows."""

from __future__ import annotations

from datetime import datetime

from mappings.communication import write_task
from mappings.endpoint import Endpoint
from middleware.stages.context import StageContext
from middleware.storage import outbox, tasks
from middleware.storage.connecting import Tx


def ask_person(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    patient: str,
    *,
    shard: int,
    priority: str,
    reason: str,
    text: str,
    now: datetime,
    nudge_id: str | None = None,
    due_at: datetime | None = None,
    key: str | None = None,
) -> str:
    """Store a staff task and queue its FHIR Task; return the task's id.

    ``priority`` is a FHIR request priority (routine, urgent, asap, stat). ``key``
    makes it once per cause. ``text`` names no diagnosis.
    """
    identifier = f"task-{key}" if key else context.ids.new()
    stored = tasks.insert_task(
        tx,
        id=identifier,
        endpoint_id=endpoint.id,
        patient=patient,
        nudge_id=nudge_id,
        priority=priority,
        reason=reason,
        text=text,
        now=now,
        due_at=due_at,
    )
    if not stored:
        return identifier
    resource = write_task(
        identifier=identifier,
        patient=patient,
        priority=priority,
        reason=reason,
        text=text,
        endpoint=endpoint,
        authored_on=now,
        due_at=due_at,
    )
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=f"{endpoint.id}|Task|{identifier}",
        endpoint_id=endpoint.id,
        patient=patient,
        shard=shard,
        resource=resource,
        due_at=now,
    )
    return identifier
