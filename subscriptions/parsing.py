"""One Notification out of every wire form, told apart by shape alone.

It tolerates what real servers send and refuses the rest with NotificationError; it
never follows a reference and trusts no resource that came along. Pure. Sources:
FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1; FHIR R5 Subscription.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mappings.errors import NotificationError
from mappings.instants import find_instant
from subscriptions.bundling import parse_bundle, parse_status
from subscriptions.entries import read_resource
from subscriptions.events import join_binary, parse_cloud_events
from subscriptions.focusing import (
    Focus,
    read_focus,
    read_resource_focus,
    read_type,
    read_updated,
    read_version,
)
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.pubsub import join_unwrapped, parse_pubsub
from subscriptions.statuses import MOST_ENTRIES, is_status

DEEPEST = 100
MOST_PARTS = 250_000
_HEAD = 2000
_NAMESPACE = b"http://hl7.org/fhir"
_NO_BRACKETS = bytes(set(range(256)) - set(b'{}[]"'))
_ROUND = bytes.maketrans(b"{}[]", b"()()")
_BOM = b"\xef\xbb\xbf"
_DELETED_HEADER = "x-medplum-deleted-resource"
_INTERACTION_HEADER = "x-medplum-interaction"
_NOT_NOTIFICATIONS = {"OperationOutcome", "CapabilityStatement", "Binary"}


def parse_notification(
    method: str, path_tail: str, headers: Mapping[str, str], body: bytes
) -> Notification:
    """Read one delivery to a hook.

    ``path_tail`` is what follows the hook's key (``Type/id``, an operation or
    nothing). Raises NotificationError; its ``quarantine`` says whether it is FHIR's
    and set aside.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    tail = path_tail.strip("/")
    target = _read_target(tail)
    if method == "DELETE":
        return _parse_delete(target)
    deleted = read_focus(lower.get(_DELETED_HEADER))
    if deleted is not None:
        return _parse_delete(deleted)
    content = body.removeprefix(_BOM).strip()
    binary = join_binary(lower, None)
    if not content and binary is None:
        return _parse_empty(tail, target)
    unwrapped = parse_pubsub(join_unwrapped(lower, content))
    if unwrapped is not None:
        return unwrapped
    parsed = _parse_json(content, lower.get("content-type", "")) if content else None
    if binary is not None:
        parsed = {**binary, "data": parsed}
    elif parsed == {} and _INTERACTION_HEADER in lower:
        return _parse_empty(tail, target)
    found = _parse(method, target, parsed, lower)
    if len(found.events) > MOST_ENTRIES:
        raise NotificationError(
            f"The notification has more than {MOST_ENTRIES} events; it was set aside"
        )
    return found


def _parse(
    method: str, target: Focus | None, parsed: Any, headers: Mapping[str, str]
) -> Notification:
    """Read what came as JSON, by its shape."""
    envelope = parse_cloud_events(parsed) or parse_pubsub(parsed)
    if envelope is not None:
        return envelope
    kind = parsed.get("resourceType") if isinstance(parsed, dict) else None
    if not isinstance(parsed, dict) or not isinstance(kind, str) or not kind:
        raise NotificationError(
            "The body is JSON and no FHIR resource; nothing was kept",
            status=400,
            quarantine=False,
        )
    if kind == "Bundle":
        return parse_bundle(parsed)
    if is_status(parsed):
        return parse_status(parsed)
    message = _find_content(parsed) if kind == "Parameters" else None
    if message is not None:
        return parse_bundle(message)
    return _parse_resource(method, target, parsed, headers)


def _find_content(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the message that ``$process-message`` was given as a parameter."""
    listed = parameters.get("parameter")
    for part in listed if isinstance(listed, list) else []:
        resource = read_resource(part)
        if resource and part.get("name") == "content":
            return resource if resource.get("resourceType") == "Bundle" else None
    return None


def _read_target(tail: str) -> Focus | None:
    """Return the resource that the path names; a Bundle may come to any path."""
    target = read_focus(tail)
    return target if target is not None and target.base is None else None


def _parse_delete(target: Focus | None) -> Notification:
    if target is None:
        raise NotificationError("A DELETE names no resource; it was set aside")
    event = NotificationEvent(
        target.reference, target.version, interaction="delete", focus_base=target.base
    )
    return Notification(NotificationType.RESOURCE, "r4-criteria", (event,))


def _parse_empty(tail: str, target: Focus | None) -> Notification:
    """Read an empty body: the server tells that something matched, at best what."""
    if target is not None:
        event = NotificationEvent(target.reference, target.version)
        return Notification(NotificationType.RESOURCE, "r4-id-only", (event,))
    kind = read_type(tail) if "/" not in tail else None
    if tail and kind is None:
        raise NotificationError(
            "The path behind the hook does not name a resource; it was set aside"
        )
    event = NotificationEvent(None, focus_type=kind)
    return Notification(NotificationType.PING, "r4-empty", (event,))


def _parse_json(content: bytes, content_type: str) -> Any:
    # Making so many objects takes longer than there is time for the answer.
    many = len(content) > MOST_PARTS
    if many and content.count(b"{") + content.count(b"[") > MOST_PARTS:
        raise NotificationError("The body has too many parts; it was set aside")
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        kind = content_type.partition(";")[0].strip().lower()
        plain = not kind or kind == "text/plain" or "json" in kind or "fhir" in kind
        fhir = plain or ("xml" in kind and _NAMESPACE in content[:_HEAD])
        raise NotificationError(
            "The body is not JSON that can be read (XML is not); it was set aside"
            if fhir
            else "The body is not FHIR; nothing was kept",
            status=400 if fhir else 415,
            quarantine=fhir,
        ) from None
    if _is_deep(content):
        raise NotificationError("The body is nested too deeply; it was set aside")
    return parsed


def _is_deep(content: bytes) -> bool:
    """Tell whether valid JSON is nested deeper than DEEPEST.

    What stands in strings is taken out, then the innermost pairs of brackets, level by
    level; going through what was parsed would take ten times as long.
    """
    if b"\\" in content:
        content = content.replace(rb"\\", b"").replace(rb"\"", b"")
    # Strings that hold no bracket are two quotes now. To take out two is always right:
    # what stood inside of strings before stands there still.
    marks = content.translate(None, _NO_BRACKETS).replace(b'""', b"")
    outside = b"".join(marks.split(b'"')[::2]).translate(_ROUND)
    for _ in range(DEEPEST):
        if not outside:
            return False
        outside = outside.replace(b"()", b"")
    return bool(outside)


def _parse_resource(
    method: str,
    target: Focus | None,
    resource: dict[str, Any],
    headers: Mapping[str, str],
) -> Notification:
    """Read a bare resource: an R4 criteria subscription's update, by PUT or POST."""
    if resource["resourceType"] in _NOT_NOTIFICATIONS:
        raise NotificationError(
            f"The body is a resource of type {resource['resourceType'][:40]}, which is "
            "no notification; it was set aside"
        )
    own = read_resource_focus(resource)
    if own is None and target is not None and resource.get("id") is None:
        own = Focus(target.reference, read_version(resource))
    if own is None or (target is not None and target.reference != own.reference):
        raise NotificationError(
            "The resource does not name itself, or another than the path does; it was "
            "set aside"
        )
    interaction = headers.get(_INTERACTION_HEADER, "update")
    event = NotificationEvent(
        own.reference,
        own.version,
        timestamp=find_instant(read_updated(resource)),
        interaction=interaction if interaction in {"create", "delete"} else "update",
        resource=resource,
    )
    form = "r4-criteria" if method == "PUT" else "r4-resource"
    return Notification(NotificationType.RESOURCE, form, (event,))
