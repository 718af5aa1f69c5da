"""Looking for our Subscription at its server: by its id, else by our address.

Not every server can be searched, and not every one knows the parameter ``url``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from mappings.errors import FhirError, NotificationError
from middleware.ports import FhirApi
from subscriptions.case import Found, Missing, Sight, Unreachable
from subscriptions.comparing import read_terms
from subscriptions.parsing import parse_notification

_GONE = {404, 410}
_REFUSED = {401, 403}
_UNABLE = {400, 404, 405, 410, 422, 501}


def look(
    api: FhirApi,
    server_id: str | None,
    url: str,
    *,
    skipped: Collection[str] = (),
    thorough: bool = False,
    heard: str | None = None,
) -> Sight:
    """Return what the server holds for one address of ours.

    ``skipped`` are ids that do not count. ``thorough``: a create may have gone out, so
    that a search by address that finds nothing is not believed alone. ``heard`` is the
    id that a notification named, for a server that cannot be searched.
    """
    if server_id is not None:
        return _read(api, server_id)
    queries = [f"Subscription?url={quote(url, safe='')}", "Subscription"]
    able = False
    for query in queries:
        if able and not thorough:
            break
        try:
            result = api.fetch_search(query)
        except FhirError as error:
            if error.status in _UNABLE:
                continue
            return _fault(error)
        mine = [
            item
            for item in result.resources
            if _is_ours(item, url) and item["id"] not in skipped
        ]
        if mine:
            return Found(_best(mine))
        able = able or result.complete
    if not able and heard is not None and heard not in skipped:
        return _read_heard(api, heard, url)
    return Missing(searched=able)


def read_heard(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id by which a notification names its Subscription, or nothing."""
    try:
        found = parse_notification(method, path, headers, body)
    except NotificationError:
        return ""
    return found.subscription_id or ""


def _read_heard(api: FhirApi, heard: str, url: str) -> Sight:
    """Believe a notification only where the server's own answer bears it out."""
    sight = _read(api, heard)
    if isinstance(sight, Found) and _is_ours(sight.resource, url):
        return sight
    return sight if isinstance(sight, Unreachable) else Missing(searched=False)


def _read(api: FhirApi, server_id: str) -> Sight:
    try:
        return Found(api.fetch(f"Subscription/{server_id}"))
    except FhirError as error:
        return Missing() if error.status in _GONE else _fault(error)


def _fault(error: FhirError) -> Unreachable:
    return Unreachable(error.message, refused=error.status in _REFUSED)


def _is_ours(resource: dict[str, Any], url: str) -> bool:
    if resource.get("resourceType") != "Subscription" or not resource.get("id"):
        return False
    return read_terms(resource).endpoint == url


def _best(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Prefer one that works; else the first that the server tells of."""
    working = [item for item in found if item.get("status") in {"active", "requested"}]
    return (working or found)[0]
