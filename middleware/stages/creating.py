"""Creating something in the EHR once, also where an answer was lost or a worker died.

A server that declares conditional creation finds the first one by our identifier. Of any
other, and for what has no identifier in FHIR, it is noted here that sending began, and
what may have arrived is looked for before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.capabilities import find_declared
from mappings.errors import FhirError, ReferenceRefusedError, UnlocatedError
from mappings.resource import Resource, dict_of, list_of
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage import outbox

REFUSALS = (400, 403, 404, 405, 410, 415, 422, 501)
SEVERAL = 412


@dataclass(frozen=True)
class Known:
    """How a resource is known again: what to search, and what is ours among the found.

    ``criteria`` are for If-None-Exist, None for what no server can tell apart.
    """

    query: str
    is_ours: Callable[[Resource], bool]
    criteria: str | None = None


def by_identifier(resource: Mapping[str, Any]) -> Known:
    """Return how a resource with an identifier of ours is known again."""
    own = identifier_of(resource)
    criteria = f"identifier={own['system']}|{own['value']}"

    def is_ours(found: Resource) -> bool:
        told = [dict_of(item) for item in list_of(found.get("identifier"))]
        return any(
            (item.get("system"), item.get("value")) == (own["system"], own["value"])
            for item in told
        )

    return Known(f"{resource['resourceType']}?{criteria}", is_ours, criteria)


def identifier_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the identifier that we gave a resource."""
    first: dict[str, str] = list_of(resource["identifier"])[0]
    return first


def create_once(
    context: StageContext,
    api: FhirApi,
    statement: Mapping[str, Any] | None,
    row: outbox.OutboxItem,
    resource: Resource,
    known: Known | None = None,
) -> Resource:
    """Create a resource of a row; return what stands, empty where it is not said.

    A server that took it and does not say where has taken it. FhirError else.
    """
    known = known or by_identifier(resource)
    sure = known.criteria is not None and _is_conditional(statement, resource)
    if not sure and _begin(context, row):
        found = _find(api, known)
        if found is not None:
            return found
    try:
        return _send(api, resource, known, sure=sure or statement is None)
    except FhirError as error:
        # Where it says a place that is not its own it took it all the same.
        taken = isinstance(error, (UnlocatedError, ReferenceRefusedError))
        if not taken and error.status != SEVERAL:
            raise
        found = _find(api, known)
        if found is None and not taken:
            raise
        return found or {}


def _send(api: FhirApi, resource: Resource, known: Known, *, sure: bool) -> Resource:
    """Send it; what may arrive twice is not repeated by itself."""
    if known.criteria is None:
        return api.send_create(resource)
    if sure:
        return api.send_create(resource, if_none_exist=known.criteria)
    return api.send_create(resource, headers={"If-None-Exist": known.criteria})


def _is_conditional(
    statement: Mapping[str, Any] | None, resource: Mapping[str, Any]
) -> bool:
    declared = find_declared(statement, str(resource["resourceType"]))
    return declared is not None and declared.get("conditionalCreate") is True


def _begin(context: StageContext, row: outbox.OutboxItem) -> bool:
    """Note that a row is sent from now on; tell whether it was before."""
    if row.begun_at is not None:
        return True
    with context.database.tx() as tx:
        outbox.begin_outbox(tx, row.id, context.clock.now())
    return False


def _find(api: FhirApi, known: Known) -> Resource | None:
    """Return what arrived before; None where there is none, or none may be searched."""
    try:
        found = api.fetch_search(known.query)
    except FhirError as error:
        if error.status in REFUSALS:
            return None
        raise
    return next(filter(known.is_ours, found.resources), None)
