"""Tasks that staff took on or ended in the EHR: what was held for them goes on.

Staff work in their EHR. A reply that they have dealt with there must not silence the
patient for good, and one that they see to calls nobody else. A task that cannot be read
stays open and untaken.
"""

from __future__ import annotations

from collections.abc import Sequence

from mappings.errors import CareCueError
from mappings.reference import read_reference
from mappings.resource import Resource
from middleware.stages.context import StageContext
from middleware.storage import (
    audit,
    endpoints,
    inbound,
    pages,
    preferences,
    settling,
    tasks,
)

# R4 Task.status: nobody will do more about it. ``failed`` is left open: it was not done.
ENDED = frozenset({"completed", "cancelled", "rejected", "entered-in-error"})
TAKEN = frozenset({"accepted", "in-progress"})
READER = "staff, in the EHR"


def read_tasks(context: StageContext, ids: Sequence[str] | None = None) -> int:
    """Read our open tasks from the EHRs; return how many ended there and are closed.

    One that is accepted or in progress there, or whose owner is a practitioner, counts
    as taken. With ``ids`` only these are read.
    """
    with context.database.tx() as tx:
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        open_there = tasks.list_written_tasks(tx, ids)
    closed = 0
    for endpoint_id, endpoint in known.items():
        mine = [item for item in open_there if item.endpoint_id == endpoint_id]
        if not mine:
            continue
        try:
            found = context.fhir(endpoint).fetch_many([item.there for item in mine])
        except CareCueError:
            continue
        for item, answer in zip(mine, found, strict=True):
            closed += _follow(context, item.id, _task_of(answer.resources))
    return closed


def _follow(context: StageContext, task_id: str, there: Resource | None) -> bool:
    """Do as the EHR's Task says; tell whether that closed ours."""
    if there is None:
        return False
    status = str(there.get("status"))
    if status in ENDED:
        return end_task(context, task_id, READER, status=status)
    owner = read_reference(there.get("owner")) or ""
    if status in TAKEN or owner.startswith("Practitioner/"):
        take_task(context, task_id, READER)
    return False


def take_task(context: StageContext, task_id: str, who: str) -> bool:
    """Note who sees to a task, the first who does; False when it is not open."""
    now = context.clock.now()
    with context.database.tx() as tx:
        taken = pages.take_task(tx, task_id, who, now)
        if taken is None:
            return False
        if taken:
            audit.insert_audit(tx, who, "task-taken", now, subject=task_id)
    return True


def end_task(
    context: StageContext, task_id: str, who: str, *, status: str = "completed"
) -> bool:
    """Close a task and look again at what it held; False when it is not open."""
    now = context.clock.now()
    with context.database.tx() as tx:
        row = tasks.get_task(tx, task_id)
        if row is None or not tasks.finish_task(tx, task_id, who, now):
            return False
        audit.insert_audit(
            tx,
            who,
            "task-ended",
            now,
            endpoint_id=row.endpoint_id,
            patient=row.patient,
            subject=task_id,
            detail={"status": status, "reason": row.reason},
        )
        shards: Sequence[int] = ()
        if row.reason == tasks.HOLDING_REASON and row.patient is not None:
            patient = (row.endpoint_id, row.patient)
            shards = settling.look_again(tx, row.reason, now, patient=patient)
    for shard in shards:
        context.wake("deliver", shard)
    return True


def trust_address(context: StageContext, task_id: str, who: str) -> str | None:
    """Use the address of a reply again that was set aside as a wrong number.

    A person has made sure whose it is. Returns the channel's name; None where the task
    is not about a reply. A STOP from there still stands.
    """
    parts = task_id.split("|")
    if parts[0] != "task-reply" or len(parts) < 2 or not parts[1].isdigit():
        return None
    now = context.clock.now()
    with context.database.tx() as tx:
        row = inbound.get_inbound(tx, int(parts[1]))
        if row is None:
            return None
        preferences.mark_bad_address(tx, row.channel, row.address, None, now)
        audit.insert_audit(tx, who, "address-trusted", now, subject=task_id)
        shards = settling.look_again(tx, "no-address", now)
    for shard in shards:
        context.wake("deliver", shard)
    return row.channel


def _task_of(resources: Sequence[Resource]) -> Resource | None:
    """Return the one Task that was asked for."""
    return next((r for r in resources if r.get("resourceType") == "Task"), None)
