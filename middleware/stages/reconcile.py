"""Reconcile: search each resource type for what changed, also while push is healthy.

What a poll finds enters the same inbox as what was pushed; what is already known
changes nothing. The cursor moves only after the last page was read, and only by the
server's own timestamps: its clock need not be ours, and may be set back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.event import FOCUS_TYPES
from mappings.instants import find_instant, write_instant
from middleware.ports import FhirApi, SearchResult
from middleware.stages.attempting import attempt
from middleware.stages.by_endpoint import work_by_endpoint
from middleware.stages.context import StageContext
from middleware.stages.poll_faults import write_fault
from middleware.storage import completeness, endpoints, inbox
from middleware.storage.ids import shard_of

OVERLAP = timedelta(seconds=120)
TICK = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A Date header that is further from the server's timestamps is another clock's.
LONGEST_STEP = timedelta(days=1)
_DATE_UNIT = timedelta(seconds=1)
# A server that we hold no client for is seldom open; it is not asked all the time.
ASK_AGAIN = timedelta(hours=1)
# Answers of servers that cannot search by _lastUpdated; some have a history of types.
_UNSEARCHABLE = {400, 404, 405, 422, 501}


@dataclass(frozen=True)
class Look:
    """One look at what changed of one type: at whom, why and when.

    ``source`` is poll, recovery, or empty for a notification that named no focus.
    """

    context: StageContext
    api: FhirApi
    endpoint: Endpoint
    resource_type: str
    source: str
    now: datetime

    def read_cursor(self) -> inbox.PollCursor | None:
        """Return how far the type was read; None before the first look."""
        with self.context.database.tx() as tx:
            return inbox.read_cursor(tx, self.endpoint.id, self.resource_type)

    def write_items(
        self, resources: Iterable[dict[str, Any]]
    ) -> tuple[inbox.NewItem, ...]:
        """Return what the inbox takes of these resources."""
        return tuple(_item(self, resource) for resource in resources)


@dataclass(frozen=True)
class Changed:
    """What a poll found, where the cursor may move, and why it must stay.

    ``back`` says that the server's clock was set back, and the cursor follows it.
    """

    resources: tuple[dict[str, Any], ...]
    since: datetime | None
    fault: str | None = None
    back: bool = False


def poll_endpoints(context: StageContext) -> None:
    """Poll every endpoint and type once; a fault of one stops no other."""
    with context.database.tx() as tx:
        known = {row.id: row for row in endpoints.list_endpoints(tx)}

    def poll(endpoint_id: str) -> None:
        for resource_type in FOCUS_TYPES:
            _poll(context, known[endpoint_id], resource_type)

    work_by_endpoint(context.database, "reconcile", known, poll)


def fetch_beginning(api: FhirApi, resource_type: str) -> datetime:
    """Return the cursor with which polling of one type begins.

    What is there when an EHR is connected is no news: the first search, which looks
    back by the overlap, begins right behind the newest version there is. Raises
    FhirError.
    """
    newest = _fetch_newest(api, resource_type)
    return EPOCH if newest is None else newest + TICK + OVERLAP


def _fetch_newest(api: FhirApi, resource_type: str) -> datetime | None:
    query = f"{resource_type}?_sort=-_lastUpdated&_count=1"
    result = api.fetch_search(query, follow_pages=False)
    seen = [_last_updated(resource) for resource in result.resources]
    if not result.resources and not result.complete:
        raise FhirError(
            f"The newest {resource_type} could not be read, so polling of it has not "
            "begun; nothing is lost; check that our client may search it"
        )
    return max([moment for moment in seen if moment], default=None)


def _poll(context: StageContext, endpoint: Endpoint, resource_type: str) -> None:
    now = context.clock.now()
    if endpoint.is_app_alone and _is_refused(context, endpoint, resource_type, now):
        return
    failed: list[CareCueError] = []
    api = attempt("reconcile", partial(context.fhir, endpoint), failed.append)
    if api is None:
        with context.database.tx() as tx:
            fault = write_fault(failed[0], endpoint, resource_type)
            inbox.note_fault(tx, endpoint.id, resource_type, fault, now)
        return
    read_changes(Look(context, api, endpoint, resource_type, "poll", now))
    with context.database.tx() as tx:
        completeness.judge_found(tx, endpoint.id, resource_type, now)


def _is_refused(
    context: StageContext, endpoint: Endpoint, resource_type: str, now: datetime
) -> bool:
    """Tell whether a server that nobody has us read refused it within the hour."""
    with context.database.tx() as tx:
        polls = inbox.list_polls(tx, endpoint.id, (resource_type,))
    return any(
        poll.read_at is None and now - poll.polled_at < ASK_AGAIN for poll in polls
    )


def read_changes(look: Look) -> str | None:
    """Read what changed into the inbox and move the cursor; return why not, if so.

    Before there is a cursor that only notes where the server stands.
    """
    failed: list[CareCueError] = []
    found = attempt("reconcile", partial(_read, look), failed.append)
    if found is None:
        fault = write_fault(failed[0], look.endpoint, look.resource_type)
        found = Changed((), None, fault)
    keep_changes(look, found, found.resources)
    return found.fault


def _read(look: Look) -> Changed:
    cursor = look.read_cursor()
    if cursor is None:
        return Changed((), fetch_beginning(look.api, look.resource_type))
    return fetch_changed(look, cursor)


def keep_changes(
    look: Look, found: Changed, resources: Iterable[dict[str, Any]]
) -> None:
    """Put resources into the inbox and move the cursor to where the look came."""
    items = look.write_items(resources)
    with look.context.database.tx() as tx:
        inbox.insert_inbox(tx, items)
        name, kind = look.endpoint.id, look.resource_type
        if found.since is not None:
            inbox.advance_cursor(tx, name, kind, found.since, look.now, back=found.back)
        elif found.fault is not None:
            inbox.note_fault(tx, name, kind, found.fault, look.now)
    for shard in {item.shard for item in items}:
        look.context.wake("resolve", shard)


def fetch_changed(look: Look, cursor: inbox.PollCursor | None) -> Changed:
    """Search one type for what changed since its cursor, to the last page.

    Before there is a cursor that is what changed last. Raises FhirError; pages that
    are missing leave the cursor where it is.
    """
    api, resource_type = look.api, look.resource_type
    since = cursor.since if cursor else _fetch_newest(api, resource_type)
    if since is None:
        return Changed((), None)
    start = since - OVERLAP
    result = _fetch_since(api, resource_type, start)
    earlier = _find_earlier(api, resource_type, result, cursor, look.now)
    if earlier is not None:
        start = min(start, earlier - OVERLAP)
        result = _fetch_since(api, resource_type, start)
    resources = tuple(
        resource
        for resource in result.resources
        if resource.get("resourceType") == resource_type
        and resource.get("id")
        and _is_since(resource, start - OVERLAP)
    )
    if not result.complete:
        return Changed(resources, None, "a page of the search could not be read")
    seen = [moment for moment in map(_last_updated, resources) if moment]
    newest = max(seen, default=since if earlier is None else earlier)
    limit = _limit(newest, result.server_time)
    return Changed(resources, limit, None, earlier is not None)


def _fetch_since(api: FhirApi, resource_type: str, start: datetime) -> SearchResult:
    """Search by _lastUpdated, or read the type's history where that is refused."""
    told = write_instant(start)
    query = f"{resource_type}?_lastUpdated=ge{told}&_sort=_lastUpdated&_count=200"
    try:
        return api.fetch_search(query)
    except FhirError as error:
        if error.status not in _UNSEARCHABLE:
            raise
        refused = error
    try:
        return api.fetch_search(f"{resource_type}/_history?_since={told}&_count=200")
    except FhirError:
        raise refused from None


def _find_earlier(
    api: FhirApi,
    resource_type: str,
    result: SearchResult,
    cursor: inbox.PollCursor | None,
    now: datetime,
) -> datetime | None:
    """Return from when to read where the server's clock stands before the cursor.

    A version that was written since the last read then bears at least the server's
    time less what passed since. Without a Date header the newest version there is
    tells. None where the clock was not set back.
    """
    if cursor is None:
        return None
    shown = result.server_time
    if shown is not None:
        behind = cursor.since - OVERLAP - shown
        if not timedelta(0) < behind <= LONGEST_STEP:
            return None
        return shown - max(now - (cursor.read_at or now), timedelta(0))
    if result.resources or not result.complete or cursor.since == EPOCH:
        return None
    newest = _fetch_newest(api, resource_type)
    if newest is None or newest + TICK + OVERLAP >= cursor.since:
        return None
    return newest


def _limit(newest: datetime, shown: datetime | None) -> datetime:
    """Keep the cursor from running ahead of the server's clock with a version of then.

    The Date header has whole seconds.
    """
    if shown is None or newest - shown > LONGEST_STEP + OVERLAP:
        return newest
    return min(newest, shown + _DATE_UNIT)


def _is_since(resource: dict[str, Any], start: datetime) -> bool:
    """Tell whether a resource changed since; one without a time may have."""
    moment = _last_updated(resource)
    return moment is None or moment >= start


def _item(look: Look, resource: dict[str, Any]) -> inbox.NewItem:
    endpoint = look.endpoint
    focus = f"{resource['resourceType']}/{resource['id']}"
    meta = resource.get("meta") or {}
    version = str(meta.get("versionId") or meta.get("lastUpdated") or "")
    known = version or hashlib.sha256(orjson.dumps(resource)).hexdigest()[:32]
    return inbox.NewItem(
        key=f"{endpoint.id}|{focus}|{known}",
        endpoint_id=endpoint.id,
        subscription_id=None,
        notification_id=None,
        source=look.source,
        focus=focus,
        version=version or None,
        event_number=None,
        resource_type=str(resource["resourceType"]),
        interaction="delete" if resource.get("_deleted") else "update",
        shard=shard_of(endpoint.id, focus),
        received_at=look.now,
    )


def _last_updated(resource: dict[str, Any]) -> datetime | None:
    moment = find_instant((resource.get("meta") or {}).get("lastUpdated"))
    return moment.astimezone(UTC) if moment else None
