"""Tasks of a plan's steps: taken back when their cause is gone before they are done.

The id of such a task is the step's own key, so that the step can be weighed again with
each event of its patient. Where the cause comes back the same task is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mappings.communication import write_task_status
from mappings.endpoint import Endpoint
from mappings.nudge import REASONS, Nudge, NudgeState, Outcome
from middleware.decisions.candidate import Candidate
from middleware.stages.context import StageContext
from middleware.storage import audit, outbox, tasks
from middleware.storage.connecting import Tx
from middleware.storage.ids import shard_of
from middleware.storage.tasks import TaskRow

ENDS = (Outcome.CANCEL, Outcome.NOT_DUE, Outcome.FAIL)
BY = "the plan"
_PARTS = 5


def list_step_tasks(
    tx: Tx, endpoint: Endpoint, patients: Iterable[str]
) -> dict[str, list[tuple[TaskRow, Nudge]]]:
    """List the open tasks of plans' steps by patient, each as the step it stands for."""
    found: dict[str, list[tuple[TaskRow, Nudge]]] = {}
    for task in tasks.list_open_of(tx, endpoint.id, list(patients)):
        step = _step_of(task, endpoint)
        if step is not None:
            found.setdefault(step.patient, []).append((task, step))
    return found


def _step_of(task: TaskRow, endpoint: Endpoint) -> Nudge | None:
    """Return the step that a task stands for; None where it is no plan's."""
    parts = task.id.removeprefix(f"task-{endpoint.id}|").split("|")
    if len(parts) != _PARTS or task.patient is None:
        return None
    plan, action, focus, occasion, recipient = parts
    if task.reason != f"{plan}-{action}":
        return None
    due = task.due_at or task.created_at
    return Nudge(
        id=task.id,
        key=task.id,
        endpoint_id=endpoint.id,
        event_id="",
        patient=task.patient,
        shard=shard_of(endpoint.id, task.patient),
        plan=plan,
        plan_version="",
        action=action,
        topic="",
        focus=focus,
        occasion=occasion,
        recipient=recipient,
        state=NudgeState.PLANNED,
        reason="due",
        due_at=due,
        expires_at=due + timedelta(days=365),
        created_at=task.created_at,
    )


def withdraw_tasks(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    weighed: Iterable[tuple[TaskRow, Candidate]],
    now: datetime,
) -> bool:
    """Take back the tasks whose step has ended; tell whether there was one."""
    gone = False
    for task, candidate in weighed:
        verdict = candidate.verdict
        if verdict.outcome not in ENDS:
            continue
        if not tasks.withdraw_task(tx, task.id, verdict.reason, now):
            continue
        gone = True
        sentence = REASONS[verdict.reason].sentence
        amend_task(context, tx, endpoint, task, "cancelled", now, sentence)
        audit.insert_audit(
            tx,
            BY,
            "task-withdrawn",
            now,
            endpoint_id=endpoint.id,
            patient=task.patient,
            subject=task.id,
            detail={"reason": verdict.reason},
        )
    return gone


def amend_task(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    task: TaskRow,
    status: str,
    now: datetime,
    why: str = "",
) -> None:
    """Queue another status of a Task that stands in the EHR, or soon will."""
    outbox.insert_outbox(
        tx,
        id=context.ids.new(),
        key=f"{endpoint.id}|Task|{task.id}|{status}@{now.isoformat()}",
        endpoint_id=endpoint.id,
        patient=task.patient or "",
        shard=shard_of(endpoint.id, task.patient or ""),
        resource=write_task_status(task.id, status, why),
        due_at=now,
    )


def list_foci(
    tx: Tx, endpoint: Endpoint, patient: str, reasons: list[str]
) -> list[str]:
    """List the foci of tasks that were taken back for one of these reasons."""
    rows = tasks.list_withdrawn(tx, endpoint.id, patient, reasons)
    steps = (_step_of(row, endpoint) for row in rows)
    return [step.focus for step in steps if step is not None]
