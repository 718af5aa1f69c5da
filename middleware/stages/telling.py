"""Telling the EHR who saw, changed or recorded what, as AuditEvent and Provenance.

Where it takes them; who did what stands in our own audit all the same. The outbox names
an entry of that, which is written in the server's release when it is sent. Neither has
an identifier in FHIR: one that may have arrived is looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from mappings.answers import takes
from mappings.audit_event import names_entry, write_audit_event
from mappings.capabilities import choose_release
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.provenance import aim_provenance, is_same
from mappings.resource import Resource
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.creating import REFUSALS, Known, create_once
from middleware.stages.taking_back import is_taken_back
from middleware.storage import audit, outbox

NOT_TAKEN = (
    "the EHR says of no AuditEvent that it can be created; who saw what is kept here "
    "all the same; nothing has to be done"
)


def send_audit_event(
    context: StageContext,
    api: FhirApi,
    endpoint: Endpoint,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> Resource:
    """Create the AuditEvent of an entry. FhirError 501 where the EHR takes none.

    An EHR that does not say what it takes is not sent any.
    """
    if statement is None or not takes(statement, row.resource):
        raise FhirError(NOT_TAKEN, status=501)
    with context.database.tx() as tx:
        entry = audit.get_audit(tx, int(row.resource["id"]))
    if entry is None:
        raise FhirError("the audit has no such entry", status=410)
    release = choose_release(statement)
    event = write_audit_event(entry, row.patient, endpoint, release)
    query = f"AuditEvent?patient={row.patient}&date={quote(event['recorded'])}"
    known = Known(query, partial(names_entry, event))
    return create_once(context, api, statement, row, event, known)


def send_provenance(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
) -> Resource | None:
    """Create the Provenance of an answer that is in the chart; None where none is taken."""
    with context.database.tx() as tx:
        base = outbox.find_outbox(tx, row.key.rpartition("|")[0])
    if base is None or base.state in ("kept", "dead"):
        return None
    target = base.server_reference
    if target is None and base.state == "done":
        return None
    if target is None:
        raise FhirError("the answer is not in the EHR yet", status=None)
    if statement is None or not takes(statement, row.resource):
        return None
    changed = is_taken_back(base.resource)
    release = choose_release(statement)
    ready = aim_provenance(row.resource, target, release, changed=changed)
    known = Known(f"Provenance?target={target}", partial(is_same, ready))
    try:
        return create_once(context, api, statement, row, ready, known)
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise
