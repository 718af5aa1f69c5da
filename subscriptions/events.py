"""Notifications as events of a cloud: CloudEvents, and Event Grid's own schema.

Pure. One event names one version of one resource; what else the same topic carries is
passed over. Sources: CloudEvents 1.0, JSON format and HTTP binding (structured and
binary mode); the event schema of Azure Health Data Services.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from mappings.errors import NotificationError
from mappings.instants import find_instant
from subscriptions.focusing import (
    read_focus,
    read_resource_focus,
    read_text,
    read_type,
)
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)

FORM = "cloud-events"
_TYPE = re.compile(r".*\.FhirResource(Created|Updated|Deleted)")
_INTERACTIONS = {"Created": "create", "Updated": "update", "Deleted": "delete"}
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_ENVELOPES = {"Bundle", "Parameters", "SubscriptionStatus"}
_ATTRIBUTES = ("id", "source", "specversion", "type", "subject", "time")


def join_binary(headers: Mapping[str, str], data: Any) -> dict[str, Any] | None:
    """Put a binary-mode event together; None when the headers (lower case) are none."""
    if "ce-specversion" not in headers:
        return None
    found = {
        name: unquote(headers[f"ce-{name}"])
        for name in _ATTRIBUTES
        if f"ce-{name}" in headers
    }
    return {**found, "data": data}


def parse_cloud_events(parsed: Any) -> Notification | None:
    """Read one event or a list of them; None when it is something else."""
    items = parsed if isinstance(parsed, list) else [parsed]
    read = [_spell_alike(item) for item in items if isinstance(item, dict)]
    events = [item for item in read if item is not None]
    if not items or len(events) != len(items):
        return None
    for item in events:
        code = read_text(_data(item).get("validationCode"))
        if item.get("type") == _VALIDATION and code:
            return Notification(NotificationType.HANDSHAKE, FORM, echo=code)
    found = tuple(event for event in map(_read_event, events) if event is not None)
    if not found:
        raise NotificationError(
            "A cloud event does not tell of a FHIR resource; it was set aside"
        )
    return Notification(NotificationType.EVENT, FORM, found)


def _spell_alike(item: dict[str, Any]) -> dict[str, Any] | None:
    """Return either schema in the words of CloudEvents; None for anything else."""
    if "specversion" in item:
        return item
    if "eventType" in item and "data" in item:
        return {**item, "type": item["eventType"], "time": item.get("eventTime")}
    return None


def _data(item: Mapping[str, Any]) -> Mapping[str, Any]:
    data = item.get("data")
    return data if isinstance(data, dict) else {}


def _read_event(item: Mapping[str, Any]) -> NotificationEvent | None:
    """Read one event; None when it is about something else than a FHIR resource.

    One that does not say which resource changed stays an event without focus.
    """
    data = _data(item)
    kind = _TYPE.fullmatch(str(item.get("type")))
    name = read_type(data.get("resourceType"))
    identifier = data.get("resourceFhirId")
    focus = read_focus(f"{name}/{identifier}") if name and identifier else None
    if focus is None and name not in _ENVELOPES:
        focus = read_resource_focus(data)
    if kind is None and focus is None:
        return None
    version = data.get("resourceVersionId")
    version = read_text(str(version)) if isinstance(version, str | int) else None
    return NotificationEvent(
        focus.reference if focus else None,
        version or (focus.version if focus else None),
        event_id=read_text(item.get("id")),
        timestamp=find_instant(item.get("time")),
        interaction=_INTERACTIONS[kind.group(1)] if kind else "update",
        focus_type=None if focus else name,
    )
