"""Patients for whom something is planned: a death, a closed record, a merge in between.

Encounters, visits and plans do not tell of these, and not every EHR notifies of its
Patients. So what changed of all Patients is searched, and only an end of somebody for
whom a message waits enters the inbox. Where the EHR cannot search so, they are read by
their ids, a bounded number at each turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.merge import merged_into, replaced_records
from mappings.reference import reference_of
from middleware.decisions.preference import is_deceased
from middleware.stages.by_endpoint import work_by_endpoint
from middleware.stages.charts import is_silent
from middleware.stages.context import StageContext
from middleware.stages.reconcile import (
    OVERLAP,
    Changed,
    Look,
    fetch_beginning,
    fetch_changed,
    keep_changes,
)
from middleware.storage import endpoints, gate, inbox, nudges

# Three turns fit into the minute in which what was planned has to end.
EVERY = timedelta(seconds=20)
BY_ID = 200
_IDS_AT_ONCE = 50
_KIND = "Patient"


def poll_patients(context: StageContext) -> None:
    """Look at every endpoint's Patients once; a fault of one stops no other.

    Raises CareCueError for an EHR that lets Patients neither be searched nor read.
    """
    with context.database.tx() as tx:
        known = {row.id: row for row in endpoints.list_endpoints(tx)}

    def poll(endpoint_id: str) -> None:
        try:
            _poll(context, known[endpoint_id])
        except FhirError as error:
            # An EHR that is away shows in the poll of the other types already.
            if not is_silent(error):
                raise CareCueError(
                    f"the Patients of {endpoint_id} could not be looked at; deaths and "
                    f"merges are seen right before a message goes ({error.message})"
                ) from error

    work_by_endpoint(context.database, "patients", known, poll)


def _poll(context: StageContext, endpoint: Endpoint) -> None:
    now = context.clock.now()
    with context.database.tx() as tx:
        waits = nudges.has_open(tx, endpoint.id)
        if not waits:
            # Whoever comes next is read afresh; catching up would be for nobody.
            inbox.delete_cursor(tx, endpoint.id, _KIND)
    if not waits:
        return
    look = Look(context, context.fhir(endpoint), endpoint, _KIND, "poll", now)
    try:
        found = _fetch(look)
    except FhirError as error:
        if is_silent(error):
            raise
        found = Changed(tuple(_fetch_by_id(look)), None)
    if found.fault is not None:
        # More changed than can be read: look at those who matter, and begin anew.
        people = (*found.resources, *_fetch_by_id(look))
        found = Changed(people, fetch_beginning(look.api, _KIND) - OVERLAP)
    keep_changes(look, found, _choose(look, found.resources))


def _fetch(look: Look) -> Changed:
    cursor = look.read_cursor()
    if cursor is None:
        # By the overlap it looks back behind when what is planned was read.
        since = fetch_beginning(look.api, _KIND) - OVERLAP
        cursor = inbox.PollCursor(look.endpoint.id, _KIND, since, None, None, None)
    return fetch_changed(look, cursor)


def _fetch_by_id(look: Look) -> Iterable[dict[str, Any]]:
    """Read those whose turn it is; one that the EHR does not show may be gone."""
    with look.context.database.tx() as tx:
        names = nudges.list_open_patients(tx, look.endpoint.id)
    ids = [name.partition("/")[2] for name in _turn(names, look.now)]
    for start in range(0, len(ids), _IDS_AT_ONCE):
        asked = ids[start : start + _IDS_AT_ONCE]
        result = look.api.fetch_search(f"{_KIND}?_id={','.join(asked)}&_count=200")
        shown = {str(resource.get("id")) for resource in result.resources}
        yield from result.resources
        if result.complete:
            missing = (each for each in asked if each not in shown)
            yield from (
                {"resourceType": _KIND, "id": i, "_deleted": True} for i in missing
            )


def _turn(names: Sequence[str], now: datetime) -> Sequence[str]:
    """Return the part whose turn it is; the parts follow each other in time."""
    turns = -(-len(names) // BY_ID) or 1
    turn = int(now.timestamp() // EVERY.total_seconds()) % turns
    return names[turn * BY_ID : (turn + 1) * BY_ID]


def _choose(look: Look, resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that end something planned, for the person or an old record."""
    ended = [resource for resource in resources if _tells_of_end(resource, look.now)]
    olds = {
        reference_of(resource): set(replaced_records(resource, look.api.base_url))
        for resource in ended
    }
    asked = sorted({*olds, *(old for group in olds.values() for old in group)})
    with look.context.database.tx() as tx:
        waiting = set(nudges.list_open_patients(tx, look.endpoint.id, asked))
        for name in sorted(olds):
            if olds[name] & waiting:
                # News of a record is read where the record is known.
                gate.lock_patient(tx, look.endpoint.id, name)
    return [
        resource
        for resource in ended
        if {reference_of(resource), *olds[reference_of(resource)]} & waiting
    ]


def _tells_of_end(resource: dict[str, Any], now: datetime) -> bool:
    return bool(
        resource.get("_deleted")
        or resource.get("active") is False
        or is_deceased(resource, now)
        or merged_into(resource)
        or replaced_records(resource)
    )
