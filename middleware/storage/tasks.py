"""Tasks for staff: what a person has to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from middleware.storage.connecting import Tx
from middleware.storage.gate import lock_patient

_COLUMNS = (
    "id, endpoint_id, patient, nudge_id, priority, reason, text, state, created_at, "
    "due_at, done_at, done_by"
)


HOLDING_REASON = "reply-needs-person"


@dataclass(frozen=True)
class WrittenTask:
    """An open task that the EHR has as ``there`` (``Task/id``)."""

    id: str
    endpoint_id: str
    there: str


@dataclass(frozen=True)
class TaskRow:
    """A row of ``staff_task``; ``state`` requested, completed or withdrawn.

    ``priority`` is routine, urgent, asap or stat (FHIR request-priority); ``reason``
    a code of :data:`mappings.nudge.REASONS`. Tasks with the reason
    ``reply-needs-person`` hold the patient's messages while they are open.
    """

    id: str
    endpoint_id: str
    patient: str | None
    nudge_id: str | None
    priority: str
    reason: str
    text: str
    state: str
    created_at: datetime
    due_at: datetime | None
    done_at: datetime | None
    done_by: str | None


def insert_task(
    tx: Tx,
    *,
    id: str,  # noqa: A002 -- the column's name
    endpoint_id: str,
    patient: str | None,
    nudge_id: str | None,
    priority: str,
    reason: str,
    text: str,
    now: datetime,
    due_at: datetime | None = None,
) -> bool:
    """Add a task; False when its id exists already."""
    if patient is not None:
        lock_patient(tx, endpoint_id, patient)
    inserted = tx.execute(
        "INSERT INTO staff_task (id, endpoint_id, patient, nudge_id, priority, reason, "
        "text, created_at, due_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (id) DO NOTHING",
        (id, endpoint_id, patient, nudge_id, priority, reason, text, now, due_at),
    )
    return inserted.rowcount == 1


def reopen_task(
    tx: Tx, task_id: str, due_at: datetime | None, now: datetime
) -> TaskRow | None:
    """Ask again for what was withdrawn, from ``now`` on; None when it was not."""
    row = tx.execute(
        "UPDATE staff_task SET state = 'requested', done_by = NULL, done_at = NULL, "  # noqa: S608 -- a constant
        "created_at = %s, due_at = %s WHERE id = %s AND state = 'withdrawn' "
        f"RETURNING {_COLUMNS}",
        (now, due_at, task_id),
    ).fetchone()
    return TaskRow(**row) if row else None


def withdraw_task(tx: Tx, task_id: str, reason: str, now: datetime) -> bool:
    """Take a task back, its cause is gone; False when it is not open."""
    withdrawn = tx.execute(
        "UPDATE staff_task SET state = 'withdrawn', done_by = %s, done_at = %s "
        "WHERE id = %s AND state = 'requested'",
        (f"withdrawn: {reason}", now, task_id),
    )
    return withdrawn.rowcount == 1


def list_open_of(tx: Tx, endpoint_id: str, patients: list[str]) -> list[TaskRow]:
    """List the open tasks about these patients, oldest first."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM staff_task WHERE state = 'requested' "  # noqa: S608 -- a constant
        "AND endpoint_id = %s AND patient = ANY(%s) ORDER BY created_at, id",
        (endpoint_id, patients),
    )
    return [TaskRow(**row) for row in rows]


def list_withdrawn(
    tx: Tx, endpoint_id: str, patient: str, reasons: list[str]
) -> list[TaskRow]:
    """List the tasks about a patient that were withdrawn for one of these reasons."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM staff_task WHERE state = 'withdrawn' "  # noqa: S608 -- a constant
        "AND endpoint_id = %s AND patient = %s AND done_by = ANY(%s) "
        "ORDER BY created_at, id",
        (endpoint_id, patient, [f"withdrawn: {reason}" for reason in reasons]),
    )
    return [TaskRow(**row) for row in rows]


def list_open_tasks(
    tx: Tx,
    *,
    endpoint_id: str | None = None,
    patient: str | None = None,
    limit: int = 200,
) -> list[TaskRow]:
    """List the open tasks, the most pressing first."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM staff_task WHERE state = 'requested' "  # noqa: S608 -- a constant
        "AND (%(endpoint)s::text IS NULL OR endpoint_id = %(endpoint)s) "
        "AND (%(patient)s::text IS NULL OR patient = %(patient)s) "
        "ORDER BY array_position("
        "ARRAY['stat', 'asap', 'urgent', 'routine'], priority), created_at, id "
        "LIMIT %(limit)s",
        {"endpoint": endpoint_id, "patient": patient, "limit": limit},
    )
    return [TaskRow(**row) for row in rows]


def get_task(tx: Tx, task_id: str) -> TaskRow | None:
    """Return one task, whatever its state."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM staff_task WHERE id = %s",  # noqa: S608 -- a constant
        (task_id,),
    ).fetchone()
    return TaskRow(**row) if row else None


def list_written_tasks(
    tx: Tx, ids: Sequence[str] | None = None, limit: int = 500
) -> list[WrittenTask]:
    """List the open tasks that stand in an EHR; those that hold messages first.

    With ``ids`` only these.
    """
    rows = tx.execute(
        "SELECT t.id, t.endpoint_id, o.server_reference AS there FROM staff_task AS t "
        "JOIN outbox AS o ON o.key = t.endpoint_id || '|Task|' || t.id "
        "WHERE t.state = 'requested' AND o.server_reference IS NOT NULL "
        "AND (%(ids)s::text[] IS NULL OR t.id = ANY(%(ids)s)) "
        "ORDER BY t.reason <> %(holding)s, t.created_at, t.id LIMIT %(limit)s",
        {
            "ids": None if ids is None else list(ids),
            "holding": HOLDING_REASON,
            "limit": limit,
        },
    )
    return [WrittenTask(**row) for row in rows]


def finish_task(tx: Tx, task_id: str, done_by: str, now: datetime) -> bool:
    """Mark a task completed; False when it is not open."""
    finished = tx.execute(
        "UPDATE staff_task SET state = 'completed', done_by = %s, done_at = %s "
        "WHERE id = %s AND state = 'requested'",
        (done_by, now, task_id),
    )
    return finished.rowcount == 1
