"""What is inside a Bundle that a FHIR server answered: pure reading, no network.

A malformed entry is never fatal: it is left out and the result says that it is not
complete. Sources: FHIR R4 bundle.html, http.html (history, batch).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from middleware.fhir.addresses import Reference
from middleware.fhir.faults import is_serious
from middleware.ports import SearchResult

_VERSION = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})$")
_DELETED = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$")


@dataclass(frozen=True)
class Pages:
    """The entries of all pages, in order, whether none is missing, and how many there are."""

    entries: tuple[Any, ...]
    complete: bool
    outcomes: tuple[dict[str, Any], ...] = ()
    count: int = 1


def list_entries(bundle: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the entries of a Bundle; none when there is no list."""
    entries = bundle.get("entry")
    return tuple(entries) if isinstance(entries, list) else ()


def read_next(bundle: Mapping[str, Any]) -> str | None:
    """Return the URL of the ``next`` link, as it stands there."""
    links = bundle.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            return url if isinstance(url, str) else None
    return None


def read_searchset(pages: Pages) -> SearchResult:
    """Sort the entries of a search into resources and outcomes.

    A resource that stands on two pages is kept once, as it was read last.
    """
    resources: dict[tuple[Any, Any], dict[str, Any]] = {}
    outcomes = list(pages.outcomes)
    complete = pages.complete
    for entry in pages.entries:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not _is_resource(resource):
            complete = False
        elif _is_outcome(entry, resource):
            outcomes.append(resource)
            complete = complete and not is_serious(resource)
        elif isinstance(resource.get("id"), str):
            resources[(resource["resourceType"], resource["id"])] = resource
        else:
            complete = False
    found, told = tuple(resources.values()), tuple(outcomes)
    return SearchResult(found, complete, told, pages=pages.count)


def read_history(pages: Pages) -> SearchResult:
    """Return every version, oldest first; deleted ones marked ``_deleted``."""
    versions: list[dict[str, Any]] = []
    outcomes = list(pages.outcomes)
    complete = pages.complete
    for entry in pages.entries:
        version = _read_version(entry) if isinstance(entry, dict) else None
        if version is None:
            complete = False
        elif version["resourceType"] == "OperationOutcome":
            outcomes.append(version)
            complete = complete and not is_serious(version)
        else:
            versions.append(version)
    return SearchResult(_order(versions), complete, tuple(outcomes))


def read_single(resource: dict[str, Any]) -> SearchResult:
    """Return the result of a read."""
    return SearchResult((resource,), pages=1)


def names(resource: Mapping[str, Any], reference: Reference) -> bool:
    """Tell whether a resource is the one that the reference names."""
    return (resource.get("resourceType"), resource.get("id")) == (
        reference.type,
        reference.id,
    )


def _is_resource(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def _is_outcome(entry: Mapping[str, Any], resource: Mapping[str, Any]) -> bool:
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, dict) else None
    return mode == "outcome" or resource["resourceType"] == "OperationOutcome"


def _read_version(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    resource = entry.get("resource")
    if _is_resource(resource):
        return resource
    request = entry.get("request")
    request = request if isinstance(request, dict) else {}
    if request.get("method") != "DELETE":
        return None
    full, url = str(entry.get("fullUrl") or ""), str(request.get("url") or "")
    for address in (url, full):
        match = _DELETED.search(address)
        if match:
            meta = _deleted_meta(entry, (full, url))
            return {
                "resourceType": match.group(1),
                "id": match.group(2),
                "meta": meta,
                "_deleted": True,
            }
    return None


def _deleted_meta(entry: Mapping[str, Any], addresses: Iterable[str]) -> dict[str, str]:
    response = entry.get("response")
    response = response if isinstance(response, dict) else {}
    version = str(response.get("etag") or "").removeprefix("W/").strip('"')
    for address in addresses:
        match = _VERSION.search(address)
        version = version or (match.group(1) if match else "")
    meta = {"versionId": version} if version else {}
    updated = response.get("lastModified")
    if isinstance(updated, str):
        meta["lastUpdated"] = updated
    return meta


def _order(versions: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return oldest first: by number where all are numbers, else as sent, reversed."""
    numbers = [_number(version) for version in versions]
    turned = list(reversed(versions))
    one = {f"{version['resourceType']}/{version.get('id')}" for version in versions}
    if None in numbers or len(one) > 1:
        return tuple(turned)
    return tuple(sorted(turned, key=lambda version: _number(version) or 0))


def _number(version: Mapping[str, Any]) -> int | None:
    meta = version.get("meta")
    text = meta.get("versionId") if isinstance(meta, dict) else None
    return int(text) if isinstance(text, str) and text.isdecimal() else None
