"""Reconcile: search each resource type for what changed, also while push is healthy.

What a poll finds enters the same inbox as what was pushed; what is already known
changes nothing. The cursor moves only after the last page was read, and only by the
server's own timestamps: its clock need not be ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.event import FOCUS_TYPES
from mappings.instants import read_instant, write_instant
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.storage import endpoints, inbox
from middleware.storage.ids import shard_of

OVERLAP = timedelta(seconds=120)
TICK = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Changed:
    """What a poll found, where the cursor may move, and why it must stay."""

    items: tuple[inbox.NewItem, ...]
    since: datetime | None
    fault: str | None = None


def poll_endpoints(context: StageContext) -> None:
    """Poll every endpoint and type once; a fault of one stops no other."""
    with context.database.tx() as tx:
        known = endpoints.list_endpoints(tx)
    for endpoint in known:
        for resource_type in FOCUS_TYPES:
            _poll(context, endpoint, resource_type)


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
    with context.database.tx() as tx:
        cursor = inbox.read_cursor(tx, endpoint.id, resource_type)
    since = cursor.since if cursor else EPOCH
    try:
        api = context.fhir(endpoint)
        if cursor is None:
            found = Changed((), fetch_beginning(api, resource_type))
        else:
            found = fetch_changed(context, api, endpoint, resource_type, "poll", now)
    except CareCueError as error:
        if cursor is None:
            return
        found = Changed((), None, error.message)
    with context.database.tx() as tx:
        inbox.insert_inbox(tx, found.items)
        inbox.advance_cursor(
            tx, endpoint.id, resource_type, found.since or since, now, found.fault
        )
    for shard in {item.shard for item in found.items}:
        context.wake("resolve", shard)


def fetch_changed(
    context: StageContext,
    api: FhirApi,
    endpoint: Endpoint,
    resource_type: str,
    source: str,
    now: datetime,
) -> Changed:
    """Search one type for what changed since its cursor, to the last page.

    ``source`` is poll, or empty for a notification that named no focus; before there
    is a cursor that is what changed last. Raises FhirError; pages that are missing
    leave the cursor where it is.
    """
    with context.database.tx() as tx:
        cursor = inbox.read_cursor(tx, endpoint.id, resource_type)
    since = cursor.since if cursor else _fetch_newest(api, resource_type)
    if since is None:
        return Changed((), None)
    start = write_instant(since - OVERLAP)
    result = api.fetch_search(
        f"{resource_type}?_lastUpdated=ge{start}&_sort=_lastUpdated&_count=200"
    )
    items = tuple(
        _item(endpoint, resource, source, now)
        for resource in result.resources
        if resource.get("resourceType") == resource_type and resource.get("id")
    )
    if not result.complete:
        return Changed(items, None, "a page of the search could not be read")
    seen = [_last_updated(resource) for resource in result.resources]
    return Changed(items, max([moment for moment in seen if moment], default=since))


def _item(
    endpoint: Endpoint, resource: dict[str, Any], source: str, now: datetime
) -> inbox.NewItem:
    focus = f"{resource['resourceType']}/{resource['id']}"
    meta = resource.get("meta") or {}
    version = str(meta.get("versionId") or meta.get("lastUpdated") or "")
    return inbox.NewItem(
        key=f"{endpoint.id}|{focus}|{version}",
        endpoint_id=endpoint.id,
        subscription_id=None,
        notification_id=None,
        source=source,
        focus=focus,
        version=version or None,
        event_number=None,
        resource_type=str(resource["resourceType"]),
        interaction="update",
        shard=shard_of(endpoint.id, focus),
        received_at=now,
    )


def _last_updated(resource: dict[str, Any]) -> datetime | None:
    text = (resource.get("meta") or {}).get("lastUpdated")
    return read_instant(text).astimezone(UTC) if text else None
