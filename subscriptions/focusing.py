"""What an event is about: references read into ``Type/id``, version and base.

Pure. A base is kept beside the reference and never followed from here. Sources: FHIR
R4 references.html; Subscriptions R5 Backport IG 1.1, notifications.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(
    r"(?:(https?://[^\s?#]+)/)?([A-Z][A-Za-z]{1,60})/([A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/([A-Za-z0-9\-.]{1,64}))?"
)
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,60}")
_INTERACTIONS = {"POST": "create", "PUT": "update", "PATCH": "update"}


@dataclass(frozen=True)
class Focus:
    """A reference taken apart; ``base`` is None when it is relative."""

    reference: str
    version: str | None = None
    base: str | None = None


@dataclass(frozen=True)
class Entry:
    """What one entry of a notification Bundle tells about a resource."""

    full_url: str
    focus: Focus | None
    interaction: str | None
    resource: dict[str, Any] | None


def read_focus(text: object) -> Focus | None:
    """Read ``Type/id``, with base and version if there; None for anything else."""
    if not isinstance(text, str):
        return None
    match = _REFERENCE.fullmatch(text)
    if match is None or match.group(3) in {".", ".."}:
        return None
    base, kind, identifier, version = match.groups()
    return Focus(f"{kind}/{identifier}", version, base)


def read_type(text: object) -> str | None:
    """Read a resource type, from a code or the last part of a profile's URL."""
    name = text.rpartition("/")[2] if isinstance(text, str) else ""
    return name if _TYPE.fullmatch(name) else None


def read_text(value: object) -> str | None:
    """Return a text without NUL, which no database takes; None for anything else."""
    return value.replace("\0", "") or None if isinstance(value, str) else None


def read_resource_focus(resource: Mapping[str, Any]) -> Focus | None:
    """Return the focus that a resource itself is."""
    kind, identifier = resource.get("resourceType"), resource.get("id")
    if not isinstance(identifier, str) or not isinstance(kind, str):
        return None
    focus = read_focus(f"{kind}/{identifier}")
    return Focus(focus.reference, read_version(resource)) if focus else None


def read_version(resource: Mapping[str, Any]) -> str | None:
    """Return ``meta.versionId``."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return read_text(str(version)) if isinstance(version, str | int) else None


def read_updated(resource: Mapping[str, Any]) -> str | None:
    """Return ``meta.lastUpdated`` as it is written."""
    meta = resource.get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return updated if isinstance(updated, str) else None


def read_entry(entry: object) -> Entry:
    """Read an entry; everything in it may be missing."""
    fields = entry if isinstance(entry, dict) else {}
    full_url = str(fields.get("fullUrl") or "")
    request = _dict(fields.get("request"))
    response = _dict(fields.get("response"))
    resource = fields.get("resource")
    resource = resource if isinstance(resource, dict) else None
    own = read_resource_focus(resource) if resource else None
    named = read_focus(full_url) or read_focus(request.get("url"))
    return Entry(
        full_url=full_url,
        focus=_merge(own, named, _read_etag(response.get("etag"))),
        interaction=_read_interaction(request, response),
        resource=resource,
    )


def _merge(own: Focus | None, named: Focus | None, etag: str | None) -> Focus | None:
    focus = own or named
    if focus is None:
        return None
    same = named if named and named.reference == focus.reference else None
    version = focus.version or etag or (same.version if same else None)
    return Focus(focus.reference, version, same.base if same else None)


def _read_etag(etag: object) -> str | None:
    return read_text(str(etag or "").removeprefix("W/").strip('"'))


def _read_interaction(
    request: Mapping[str, Any], response: Mapping[str, Any]
) -> str | None:
    method = str(request.get("method") or "").upper()
    if method == "DELETE":
        return "delete"
    status = str(response.get("status") or "")[:3]
    if status in {"201", "204", "410"}:
        return "create" if status == "201" else "delete"
    return _INTERACTIONS.get(method)


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
