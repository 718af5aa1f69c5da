"""Tasks that staff ended in the EHR: what was held for them is looked at again.

Staff work in their EHR. A reply that they have dealt with there must not silence the
patient for good. A task that cannot be read stays open.
"""

from __future__ import annotations

from collections.abc import Sequence

from mappings.errors import CareCueError
from middleware.stages.context import StageContext
from middleware.storage import (
    audit,
    endpoints,
    inbound,
    preferences,
    settling,
    tasks,
)

# R4 Task.status: nobody will do more about it. ``failed`` is left open: it was not done.
ENDED = frozenset({"completed", "cancelled", "rejected", "entered-in-error"})
READER = "staff, in the EHR"


def read_ended_tasks(context: StageContext) -> int:
    """Read our open tasks from the EHRs and close those that ended; return how many."""
    with context.database.tx() as tx:
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        open_there = tasks.list_written_tasks(tx)
    closed = 0
    for endpoint_id, endpoint in known.items():
        mine = [item for item in open_there if item.endpoint_id == endpoint_id]
        try:
            found = context.fhir(endpoint).fetch_many([item.there for item in mine])
        except CareCueError:
            continue
        for item, answer in zip(mine, found, strict=True):
            status = _status(answer.resources)
            if status in ENDED:
                closed += end_task(context, item.id, READER, status=status)
    return closed


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


def _status(resources: Sequence[dict[str, object]]) -> str | None:
    """Return the status of the one Task that was asked for."""
    for resource in resources:
        if resource.get("resourceType") == "Task":
            return str(resource.get("status"))
    return None
