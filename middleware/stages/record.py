"""RECORD: write back to the EHR what was said and what a person must do.

Created conditionally on our identifier, so that a retry finds the first one; what is
learnt later (arrived, not delivered) amends it. What a patient answered goes in the
first form that the EHR takes. Where the EHR refuses, ours stays the record and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from mappings.answers import list_forms, takes
from mappings.capabilities import choose_release
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.provenance import aim_provenance
from mappings.resource import list_of
from middleware.decisions.retries import next_attempt
from middleware.ports import FhirApi
from middleware.stages.amending import REFUSALS, amend, is_overtaken
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.telling import send_audit_event
from middleware.stages.writing_back import answer_key
from middleware.storage import endpoints, outbox
from middleware.storage.shards import Held, check_epochs

BATCH = 40
AMENDED = ("status", "statusReason", "received")
NO_FORM = (
    "the EHR takes patients' answers in no form; they are kept here and count all "
    "the same; nothing has to be done"
)


def step(context: StageContext, held: Held, now: datetime) -> int:
    """Write what is due in the shards; return how many rows were handled."""
    with context.database.tx() as tx:
        rows = outbox.list_outbox(tx, held, now, BATCH)
        known = {row.id: row for row in endpoints.list_endpoints(tx)}
    for row in rows:
        run = partial(_write, context, known[row.endpoint_id], row)
        postpone = partial(_postpone, context, row, held, now)
        reference = attempt("record", run, postpone)
        if reference is None:
            continue
        with context.database.tx() as tx:
            check_epochs(tx, "record", held)
            outbox.finish_outbox(tx, row.id, reference or None, now)
    return len(rows)


def amendment_key(key: str, word: str) -> str:
    """Return the outbox key of what amends the resource stored under ``key``."""
    return f"{key}|{word}"


def _write(context: StageContext, endpoint: Endpoint, row: outbox.OutboxItem) -> str:
    """Write the resource and return its ``Type/id`` at the EHR; "" where none is needed."""
    api = context.fhir(endpoint)
    kind = row.resource["resourceType"]
    if kind == "AuditEvent":
        statement = context.capabilities(endpoint)
        stored = send_audit_event(context, api, endpoint, statement, row)
    elif kind == "Provenance":
        found = _send_provenance(context, api, context.capabilities(endpoint), row)
        if found is None:
            return ""
        stored = found
    elif row.key == answer_key(endpoint.id, _identifier_of(row.resource)["value"]):
        statement = context.capabilities(endpoint)
        if is_overtaken(context, row):
            return ""
        stored = amend(context, endpoint, row, statement) or _send_answer(
            api, statement, row.resource
        )
    else:
        stored = _send(context, api, row)
    return f"{stored['resourceType']}/{stored['id']}"


def _send(
    context: StageContext, api: FhirApi, row: outbox.OutboxItem
) -> dict[str, Any]:
    """Create the resource, or amend the one that was created before it."""
    base_key = row.key.rpartition("|")[0]
    with context.database.tx() as tx:
        base = outbox.find_outbox(tx, base_key)
    if base is None:
        return api.send_create(row.resource, if_none_exist=_search_of(row.resource))
    if base.server_reference is None:
        refused = base.state in ("kept", "dead")
        raise FhirError(
            "what this amends is not in the EHR", status=404 if refused else None
        )
    current = api.fetch(base.server_reference)
    changed = {name: row.resource[name] for name in AMENDED if name in row.resource}
    version = (current.get("meta") or {}).get("versionId")
    match = f'W/"{version}"' if version else None
    return api.send_update({**current, **changed}, if_match=match)


def _send_provenance(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> dict[str, Any] | None:
    """Create the Provenance of an answer that is in the chart; None where none is taken.

    Who recorded what stands in our audit whatever the EHR takes.
    """
    with context.database.tx() as tx:
        base = outbox.find_outbox(tx, row.key.rpartition("|")[0])
    if base is None or base.state in ("kept", "dead"):
        return None
    if base.server_reference is None and base.state == "done":
        return None
    if base.server_reference is None:
        raise FhirError("the answer is not in the EHR yet", status=None)
    if statement is None or not takes(statement, row.resource):
        return None
    release = choose_release(statement)
    ready = aim_provenance(row.resource, base.server_reference, release)
    try:
        return api.send_create(ready)
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise


def _send_answer(
    api: FhirApi, statement: Mapping[str, Any] | None, resource: dict[str, Any]
) -> dict[str, Any]:
    """Create an answer in the first form that the EHR says it takes, and does."""
    refusal = FhirError(NO_FORM, status=501)
    for form in list_forms(resource):
        if not takes(statement, form):
            continue
        try:
            return api.send_create(form, if_none_exist=_search_of(form))
        except FhirError as error:
            if error.status not in REFUSALS:
                raise
            refusal = error
    raise refusal


def _search_of(resource: dict[str, Any]) -> str:
    """Return the If-None-Exist search for the resource's own identifier."""
    first = _identifier_of(resource)
    return f"identifier={first['system']}|{first['value']}"


def _identifier_of(resource: dict[str, Any]) -> dict[str, str]:
    first: dict[str, str] = list_of(resource["identifier"])[0]
    return first


def _postpone(
    context: StageContext,
    row: outbox.OutboxItem,
    held: Held,
    now: datetime,
    error: CareCueError,
) -> None:
    refused = isinstance(error, FhirError) and error.status in REFUSALS
    due = None if refused else next_attempt(row.attempts, now)
    with context.database.tx() as tx:
        check_epochs(tx, "record", held)
        if refused:
            outbox.keep_outbox(tx, row.id, error.message, now)
        elif due is None:
            outbox.kill_outbox(tx, row.id, error.message, now)
        else:
            outbox.retry_outbox(tx, row.id, due, error.message)
