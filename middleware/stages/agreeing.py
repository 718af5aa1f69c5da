"""Tasks to correct a number in a chart that says it by now: they are done by themselves.

Somebody corrected it in the EHR, or a later write of ours arrived. Each open one is
compared every ten minutes, a few at a time; a chart that cannot be read leaves it open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from mappings.merge import ELSEWHERE, merged_into
from mappings.resource import Resource, list_of
from mappings.telecom import says
from middleware.stages.context import StageContext
from middleware.stages.withdrawing import amend_task
from middleware.storage import audit, endpoints, gate, preferences, tasks
from middleware.storage.connecting import Tx
from middleware.storage.differing import claim_differing

EVERY = timedelta(minutes=10)
MOST = 50
BY = "the chart"
WHY = "The chart says it now."


def close_agreed(context: StageContext) -> int:
    """Compare open tasks with their charts; return how many were done by themselves."""
    now = context.clock.now()
    with context.database.tx() as tx:
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        claimed = claim_differing(tx, now, now - EVERY, MOST)
    closed = 0
    for endpoint_id, endpoint in known.items():
        mine = [item for item in claimed if item.endpoint_id == endpoint_id]
        charts = _fetch(context, endpoint, {item.patient for item in mine})
        agreed = [
            item
            for item in mine
            if item.patient in charts
            and says(charts[item.patient], item.name, item.value)
        ]
        for item in agreed:
            with context.database.tx() as tx:
                gate.lock_patient(tx, item.endpoint_id, item.patient)
                preferences.note_in_chart(tx, item.record_id, now)
                closed += complete_task(context, tx, endpoint, item.id, now)
    return closed


def complete_task(
    context: StageContext, tx: Tx, endpoint: Endpoint, task_id: str, now: datetime
) -> bool:
    """Complete a task that the chart has answered, here and there; False when not open."""
    task = tasks.get_task(tx, task_id)
    if task is None or not tasks.finish_task(tx, task_id, BY, now):
        return False
    amend_task(context, tx, endpoint, task, "completed", now, WHY)
    audit.insert_audit(
        tx,
        BY,
        "task-ended",
        now,
        endpoint_id=endpoint.id,
        patient=task.patient,
        subject=task_id,
        detail={"status": "completed", "reason": task.reason},
    )
    return True


def _fetch(
    context: StageContext, endpoint: Endpoint, patients: Iterable[str]
) -> dict[str, list[Resource]]:
    """Return Patient.telecom by patient, of the surviving record where it was merged."""
    asked = sorted(patients)
    found = _fetch_each(context, endpoint, asked)
    into = {
        name: survivor
        for name, patient in found.items()
        if (survivor := merged_into(patient)) is not None
    }
    survivors = sorted({name for name in into.values() if name != ELSEWHERE})
    surviving = _fetch_each(context, endpoint, survivors)
    read = {
        name: surviving.get(into[name]) if name in into else found[name]
        for name in found
    }
    return {
        name: list_of(patient.get("telecom"))
        for name, patient in read.items()
        if patient is not None and merged_into(patient) is None
    }


def _fetch_each(
    context: StageContext, endpoint: Endpoint, names: Sequence[str]
) -> dict[str, Resource]:
    if not names:
        return {}
    try:
        answers = context.fhir(endpoint).fetch_many(names)
    except CareCueError:
        return {}
    return {
        name: resource
        for name, answer in zip(names, answers, strict=True)
        for resource in answer.resources
        if resource.get("resourceType") == "Patient"
    }
