"""Notifications as CloudEvents: one event names one version of one resource.

Pure. Source: CloudEvents 1.0 with the event schema of Azure Health Data Services.
"""

from __future__ import annotations

import re
from typing import Any

from mappings.errors import NotificationError
from mappings.instants import find_instant
from subscriptions.focusing import read_focus
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)

_TYPE = re.compile(r"Microsoft\.HealthcareApis\.FhirResource(Created|Updated|Deleted)")
_INTERACTIONS = {"Created": "create", "Updated": "update", "Deleted": "delete"}


def parse_cloud_events(parsed: Any) -> Notification | None:
    """Read one CloudEvent or a list of them; None when it is something else."""
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items or not all(
        isinstance(item, dict) and "specversion" in item for item in items
    ):
        return None
    events = tuple(_read_event(item) for item in items)
    return Notification(NotificationType.EVENT, "cloud-events", events)


def _read_event(item: dict[str, Any]) -> NotificationEvent:
    kind = _TYPE.fullmatch(str(item.get("type")))
    data = item.get("data")
    data = data if isinstance(data, dict) else {}
    focus = read_focus(f"{data.get('resourceType')}/{data.get('resourceFhirId')}")
    if kind is None or focus is None:
        raise NotificationError(
            "A cloud event does not tell of a FHIR resource; it was set aside"
        )
    version = data.get("resourceVersionId")
    identifier = item.get("id")
    return NotificationEvent(
        focus.reference,
        str(version) if isinstance(version, str | int) else None,
        event_id=identifier if isinstance(identifier, str) else None,
        timestamp=find_instant(item.get("time")),
        interaction=_INTERACTIONS[kind.group(1)],
    )
