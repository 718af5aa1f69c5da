"""Result Bundles of searches and histories, and the pages of a stable snapshot.

It may not search or check scopes; it is handed what was found.
Source: https://hl7.org/fhir/R4/http.html#paging and bundle.html.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.state import Change, Resource

KEPT = 500

Entry = dict[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """What one search or history found, in order, and how a page of it is made.

    `make` turns found items into Bundle entries, for the reader whose grant it
    holds; `owner` is that reader's client, and no other may turn the pages.
    """

    kind: str
    found: list[Any]
    make: Callable[[list[Any]], list[Entry]]
    count: int
    self_url: str
    total: bool
    owner: str | None


class Pages:
    """The snapshots that next links refer to; the oldest go when there are many."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()

    def first(self, snapshot: Snapshot) -> dict[str, Any]:
        """Answer the first page; the snapshot is kept only if there are more."""
        key = ""
        if len(snapshot.found) > snapshot.count > 0:
            key = secrets.token_urlsafe(16)
            with self._lock:
                self._kept[key] = snapshot
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return self._page(key, snapshot, 0)

    def turn(self, key: str, offset: str, owner: str | None) -> dict[str, Any]:
        """Answer a later page; FhirFault 410 when the snapshot is gone."""
        with self._lock:
            snapshot = self._kept.get(key)
        if snapshot is None or snapshot.owner != owner:
            raise FhirFault(410, "These pages are gone. Send the search again.")
        if not offset.isdecimal():
            raise FhirFault(400, "_offset takes a number of at least 0.")
        return self._page(key, snapshot, int(offset))

    def _page(self, key: str, snapshot: Snapshot, offset: int) -> dict[str, Any]:
        end = offset + snapshot.count
        links = [{"relation": "self", "url": snapshot.self_url}]
        if key:
            links[0]["url"] = self._url(key, offset) if offset else snapshot.self_url
            if end < len(snapshot.found):
                links.append({"relation": "next", "url": self._url(key, end)})
            if offset:
                before = max(0, offset - snapshot.count)
                links.append({"relation": "previous", "url": self._url(key, before)})
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "id": secrets.token_hex(8),
            "type": snapshot.kind,
            "link": links,
        }
        if snapshot.total:
            bundle["total"] = len(snapshot.found)
        entries = snapshot.make(snapshot.found[offset:end])
        if entries:
            bundle["entry"] = entries
        return bundle

    def _url(self, key: str, offset: int) -> str:
        return f"{self._base}?{urlencode({'_pages': key, '_offset': offset})}"


def search_entry(resource: Resource, mode: str, base: str) -> Entry:
    """Make the entry of a found or an included resource."""
    return {
        "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
        "search": {"mode": mode},
    }


def history_entry(change: Change, base: str) -> Entry:
    """Make the history entry of one version: what was asked and what came of it."""
    url = f"{change.type}/{change.id}"
    method = {"create": "POST", "update": "PUT", "delete": "DELETE"}
    status = {"create": "201 Created", "update": "200 OK", "delete": "204 No Content"}
    entry: Entry = {
        "fullUrl": f"{base}/{url}",
        "request": {
            "method": method[change.interaction],
            "url": change.type if change.interaction == "create" else url,
        },
        "response": {
            "status": status[change.interaction],
            "etag": f'W/"{change.version}"',
            "lastModified": change.instant.isoformat(timespec="milliseconds"),
        },
    }
    if change.resource is not None:
        entry["resource"] = change.resource
    return entry


def subset(resource: Resource, elements: frozenset[str]) -> Resource:
    """Answer only the named elements and those that make it a resource."""
    if not elements:
        return resource
    kept = {"resourceType", "id", "meta"} | elements
    part = {name: value for name, value in resource.items() if name in kept}
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
    meta = dict(part["meta"])
    tags = meta.get("tag", [])
    meta["tag"] = [*tags, {"system": system, "code": "SUBSETTED"}]
    part["meta"] = meta
    return part
