"""Notifications through Google Cloud Pub/Sub: one message names one resource.

Pure. The name in the data counts before the attributes; a message that tells only the
type is an event without focus. Sources: Pub/Sub push subscriptions, message format;
Cloud Healthcare API, FHIR notifications.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import orjson

from mappings.errors import NotificationError
from mappings.instants import find_instant
from subscriptions.focusing import (
    Focus,
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

# projects/*/locations/*/datasets/*/fhirStores/*/fhir/Type/id[/_history/version]
_NAME = re.compile(r"(?:.{1,500}/)?fhir/([^?#\s]{3,200})", re.DOTALL)
_VERB = re.compile(r"(create|update|patch|delete)", re.IGNORECASE)
_MESSAGE_ID = "x-goog-pubsub-message-id"
_ATTRIBUTES = ("action", "resourceType", "lastUpdatedTime", "versionId")
_INTERACTIONS = {"create": "create", "delete": "delete"}


def join_unwrapped(headers: Mapping[str, str], content: bytes) -> Any:
    """Put a message together whose envelope came as headers (lower case).

    None when the headers are none; Pub/Sub sends them so where that is configured.
    """
    if _MESSAGE_ID not in headers:
        return None
    message = {
        "data": base64.b64encode(content).decode(),
        "attributes": {
            name: headers[name.lower()]
            for name in _ATTRIBUTES
            if name.lower() in headers
        },
        "messageId": headers[_MESSAGE_ID],
    }
    return {"message": message}


def parse_pubsub(parsed: Any) -> Notification | None:
    """Read a push message; None when it is something else."""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    if not isinstance(message, dict) or "resourceType" in parsed:
        return None
    attributes = message.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    if not attributes and "data" not in message:
        return None
    event = _read_event(message, attributes)
    if event.focus is None and event.focus_type is None:
        raise NotificationError(
            "A Pub/Sub message does not tell of a FHIR resource; it was set aside"
        )
    topic = read_text(attributes.get("action"))
    return Notification(NotificationType.EVENT, "pubsub", (event,), topic=topic)


def _read_event(
    message: Mapping[str, Any], attributes: Mapping[str, Any]
) -> NotificationEvent:
    focus, resource = _read_data(message.get("data"))
    verb = _VERB.match(str(attributes.get("action")))
    identifier = message.get("messageId") or message.get("message_id")
    updated = attributes.get("lastUpdatedTime") or message.get("publishTime")
    version = read_text(attributes.get("versionId"))
    return NotificationEvent(
        focus.reference if focus else None,
        (focus.version if focus else None) or version,
        event_id=read_text(identifier),
        timestamp=find_instant(updated),
        interaction=_INTERACTIONS.get(verb.group(1).lower() if verb else "", "update"),
        resource=resource,
        focus_type=None if focus else read_type(attributes.get("resourceType")),
    )


def _read_data(data: object) -> tuple[Focus | None, dict[str, Any] | None]:
    """Read the payload: a resource, or its name in the store."""
    try:
        content = base64.b64decode(str(data or ""), validate=True)
    except (binascii.Error, ValueError):
        return None, None
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        parsed = content.decode(errors="replace").strip()
    if isinstance(parsed, dict):
        return read_resource_focus(parsed), parsed
    name = _NAME.fullmatch(parsed) if isinstance(parsed, str) else None
    return (read_focus(name.group(1)) if name else read_focus(parsed)), None
