"""RECORD: write back to the EHR what was said and what a person must do.

Created conditionally on our identifier, so that a retry finds the first one. Where the
EHR refuses, ours stays the record and says so.
"""

from __future__ import annotations

from datetime import datetime

from mappings.errors import CareCueError, FhirError
from middleware.decisions.retries import next_attempt
from middleware.stages.context import StageContext
from middleware.storage import endpoints, outbox
from middleware.storage.shards import check_epoch

BATCH = 40
REFUSALS = (400, 403, 404, 405, 410, 422, 501)


def step(context: StageContext, shard: int, epoch: int, now: datetime) -> int:
    """Write what is due in this shard; return how many rows were handled."""
    with context.database.tx() as tx:
        rows = outbox.list_outbox(tx, shard, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    for row in rows:
        try:
            api = context.fhir(known[row.endpoint_id])
            stored = api.send_create(
                row.resource, if_none_exist=_search_of(row.resource)
            )
        except CareCueError as error:
            _postpone(context, row, epoch, now, error)
            continue
        reference = f"{stored['resourceType']}/{stored['id']}"
        with context.database.tx() as tx:
            check_epoch(tx, "record", shard, epoch)
            outbox.finish_outbox(tx, row.id, reference, now)
    return len(rows)


def _search_of(resource: dict[str, object]) -> str:
    """Return the If-None-Exist search for the resource's own identifier."""
    identifiers = resource["identifier"]
    assert isinstance(identifiers, list)
    first = identifiers[0]
    return f"identifier={first['system']}|{first['value']}"


def _postpone(
    context: StageContext,
    row: outbox.OutboxItem,
    epoch: int,
    now: datetime,
    error: CareCueError,
) -> None:
    refused = isinstance(error, FhirError) and error.status in REFUSALS
    due = None if refused else next_attempt(row.attempts, now)
    with context.database.tx() as tx:
        check_epoch(tx, "record", row.shard, epoch)
        if refused:
            outbox.keep_outbox(tx, row.id, error.message, now)
        elif due is None:
            outbox.kill_outbox(tx, row.id, error.message, now)
        else:
            outbox.retry_outbox(tx, row.id, due, error.message)
