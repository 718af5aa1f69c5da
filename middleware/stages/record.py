"""RECORD: write back to the EHR what was said and what a person must do.

Each is created once, and a retry finds the first one; what is learnt later (arrived, not delivered) amends it. What a patient answered goes in the
first form that the EHR takes. Where the EHR refuses, ours stays the record and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from mappings.answers import list_forms, takes
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from middleware.decisions.retries import next_attempt
from middleware.ports import FhirApi
from middleware.stages.amending import amend, is_overtaken
from middleware.stages.attempting import attempt
from middleware.stages.context import StageContext
from middleware.stages.correcting import ask_correction, is_about_point
from middleware.stages.creating import REFUSALS, create_once, identifier_of
from middleware.stages.taking_back import is_taken_back, take_back
from middleware.stages.telling import send_audit_event, send_provenance
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
        postpone = partial(_postpone, context, known[row.endpoint_id], row, held, now)
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
    """Write the resource; return its ``Type/id`` at the EHR, "" where none is known."""
    api = context.fhir(endpoint)
    statement = context.capabilities(endpoint)
    kind = row.resource["resourceType"]
    stored: Mapping[str, Any] | None
    if kind == "AuditEvent":
        stored = send_audit_event(context, api, endpoint, statement, row)
    elif kind == "Provenance":
        stored = send_provenance(context, api, statement, row)
    elif row.key == answer_key(endpoint.id, identifier_of(row.resource)["value"]):
        if is_overtaken(context, row):
            return ""
        stored = amend(context, endpoint, row, statement)
        if stored is None and is_taken_back(row.resource):
            stored = take_back(context, api, statement, row)
        if stored is None:
            stored = _send_answer(context, api, statement, row)
    else:
        stored = _send(context, api, statement, row)
    return f"{stored['resourceType']}/{stored['id']}" if stored else ""


def _send(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> dict[str, Any]:
    """Create the resource, or amend the one that was created before it."""
    base_key = row.key.rpartition("|")[0]
    with context.database.tx() as tx:
        base = outbox.find_outbox(tx, base_key)
    if base is None:
        return create_once(context, api, statement, row, row.resource)
    if base.server_reference is None:
        waits = base.state == "waiting"
        raise FhirError(
            "what this amends is not in the EHR", status=None if waits else 404
        )
    current = api.fetch(base.server_reference)
    changed = {name: row.resource[name] for name in AMENDED if name in row.resource}
    version = (current.get("meta") or {}).get("versionId")
    match = f'W/"{version}"' if version else None
    return api.send_update({**current, **changed}, if_match=match)


def _send_answer(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> dict[str, Any]:
    """Create an answer in the first form that the EHR says it takes, and does."""
    refusal = FhirError(NO_FORM, status=501)
    said = {key: part for key, part in row.resource.items() if key != outbox.BEFORE}
    for form in list_forms(said):
        if not takes(statement, form):
            continue
        try:
            return create_once(context, api, statement, row, form)
        except FhirError as error:
            if error.status not in REFUSALS:
                raise
            refusal = error
    raise refusal


def _postpone(
    context: StageContext,
    endpoint: Endpoint,
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
            if is_about_point(row.resource):
                ask_correction(context, tx, endpoint, row)
        else:
            outbox.retry_outbox(tx, row.id, due, error.message)
