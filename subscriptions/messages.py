"""FHIR messages: what a MessageHeader is about, or a notification within.

Pure. Sources: FHIR R4 messaging.html; Subscriptions R5 Backport IG 1.1, message channel;
Da Vinci Unsolicited Notifications.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.errors import NotificationError
from subscriptions.entries import EntryIndex, read_resource
from subscriptions.focusing import read_focus, read_text, read_type
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)


def find_inner(entries: Sequence[Any]) -> dict[str, Any] | None:
    """Return the Bundle that a message carries, unless that is a message again."""
    for entry in entries[1:]:
        resource = read_resource(entry)
        if resource is not None and resource.get("resourceType") == "Bundle":
            return resource if resource.get("type") != "message" else None
    return None


def parse_message(entries: Sequence[Any]) -> Notification:
    """Read what a message's header is about; its event is kept as the topic."""
    header = (read_resource(entries[0]) if entries else None) or {}
    if header.get("resourceType") != "MessageHeader":
        raise NotificationError(
            "The message does not begin with its header; it was set aside"
        )
    index = EntryIndex(entries[1:])
    named = header.get("focus")
    events = tuple(
        _read_event(item, index)
        for item in (named if isinstance(named, list) else [])
        if isinstance(item, dict)
    )
    if not any(event.focus or event.focus_type for event in events):
        raise NotificationError("The message names no resource; it was set aside")
    topic = _read_topic(header)
    return Notification(NotificationType.RESOURCE, "message", events, topic=topic)


def _read_event(reference: Mapping[str, Any], index: EntryIndex) -> NotificationEvent:
    """Read one focus; one whose entry has no id is an event of a type alone."""
    text = reference.get("reference")
    entry = index.find(text)
    focus = read_focus(text) or (entry.focus if entry else None)
    resource = entry.resource if entry else None
    kind = (resource or {}).get("resourceType") or reference.get("type")
    known = entry.focus if entry else None
    return NotificationEvent(
        focus=focus.reference if focus else None,
        version=(focus.version if focus else None)
        or (known.version if known else None),
        interaction=(entry.interaction if entry else None) or "update",
        resource=resource,
        focus_base=focus.base if focus else None,
        focus_type=None if focus else read_type(kind),
    )


def _read_topic(header: Mapping[str, Any]) -> str | None:
    """Return the message's event: a URI, or ``system|code`` (STU3 has ``event``)."""
    coding = header.get("eventCoding") or header.get("event")
    if isinstance(coding, dict):
        parts = [read_text(coding.get(name)) for name in ("system", "code")]
        return "|".join(part for part in parts if part) or None
    return read_text(header.get("eventUri"))
