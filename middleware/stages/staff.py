"""Asking a person: a staff task of our own, and a Task in the EHR where it allows.

Where nobody knows yet whom it is about, the task names no patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from mappings.communication import write_task
from mappings.endpoint import Endpoint
from mappings.resource import Resource
from middleware.stages.context import StageContext
from middleware.stages.withdrawing import amend_task
from middleware.storage import outbox, tasks
from middleware.storage.connecting import Tx


@dataclass(frozen=True)
class _Asked:
    """What our own task and the one in the EHR say alike."""

    patient: str | None
    priority: str
    reason: str
    due_at: datetime | None


def ask_person(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    patient: str | None,
    *,
    shard: int,
    priority: str,
    reason: str,
    text: str,
    now: datetime,
    nudge_id: str | None = None,
    due_at: datetime | None = None,
    key: str | None = None,
    owner: str = "",
) -> str:
    """Store a staff task, once per ``key``, and queue its FHIR Task; return its id.

    One that was withdrawn is asked for again. ``owner`` is the role that is asked.
    """
    identifier = f"task-{key}" if key else context.ids.new()
    asked = _Asked(patient, priority, reason, due_at)
    stored = tasks.insert_task(
        tx,
        id=identifier,
        endpoint_id=endpoint.id,
        nudge_id=nudge_id,
        now=now,
        text=f"{owner}: {text}" if owner else text,
        **asdict(asked),
    )
    if stored:
        words = {"text": text, "owner": owner, "authored_on": now, **asdict(asked)}
        resource = write_task(identifier=identifier, endpoint=endpoint, **words)
        _queue(context, tx, endpoint, identifier, shard, resource, now)
        return identifier
    again = tasks.reopen_task(tx, identifier, due_at, now)
    if again is not None:
        amend_task(context, tx, endpoint, again, "requested", now)
    return identifier


def _queue(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    identifier: str,
    shard: int,
    resource: Resource,
    now: datetime,
) -> None:
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=f"{endpoint.id}|Task|{identifier}",
        endpoint_id=endpoint.id,
        patient=resource["for"]["reference"] if "for" in resource else "",
        shard=shard,
        resource=resource,
        due_at=now,
    )
