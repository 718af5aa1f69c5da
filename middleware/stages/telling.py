"""Telling the EHR who saw or changed what, as AuditEvent, where it takes one.

The outbox names an entry of our audit, which is written in the server's release when it
is sent. An AuditEvent has no identifier, so that one whose answer was lost may be there
twice; its launch and instant tell that it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.answers import takes
from mappings.audit_event import write_audit_event
from mappings.capabilities import choose_release
from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.resource import Resource
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
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
    return api.send_create(write_audit_event(entry, row.patient, endpoint, release))
