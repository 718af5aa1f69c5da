"""Notifications in the shapes of the specification, made by hand."""

from __future__ import annotations

from typing import Any

BASE = "https://ehr.example.org/fhir"
SUBSCRIPTION = f"{BASE}/Subscription/s1"
# The implementation guide's own examples have seven digits of a second.
INSTANT = "2026-03-01T08:30:15.1234567Z"
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e1",
    "meta": {"versionId": "3", "lastUpdated": "2026-03-01T08:30:15.123Z"},
    "status": "finished",
}


def r4_event(number: object = "7", focus: object = f"{BASE}/Encounter/e1") -> Any:
    parts: list[dict[str, Any]] = [
        {"name": "event-number", "valueString": number},
        {"name": "timestamp", "valueInstant": INSTANT},
    ]
    if focus is not None:
        parts.append({"name": "focus", "valueReference": {"reference": focus}})
    return {"name": "notification-event", "part": parts}


def r4_status(kind: str = "event-notification", *events: Any, **changes: Any) -> Any:
    values = {
        "subscription": ("valueReference", {"reference": SUBSCRIPTION}),
        "topic": ("valueCanonical", "http://example.org/topic"),
        "status": ("valueCode", "active"),
        "type": ("valueCode", kind),
        "events-since-subscription-start": ("valueString", "7"),
        **changes,
    }
    parameters = [
        {"name": name, value[0]: value[1]} for name, value in values.items() if value
    ]
    return {"resourceType": "Parameters", "parameter": [*parameters, *events]}


def r5_event(number: object = "7", focus: object = f"{BASE}/Encounter/e1") -> Any:
    event: dict[str, Any] = {"eventNumber": number, "timestamp": INSTANT}
    if focus is not None:
        event["focus"] = {"reference": focus}
    return event


def r5_status(kind: str = "event-notification", *events: Any, **changes: Any) -> Any:
    return {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": kind,
        "eventsSinceSubscriptionStart": "7",
        "notificationEvent": list(events),
        "subscription": {"reference": SUBSCRIPTION},
        "topic": "http://example.org/topic",
        **changes,
    }


def bundle(status: Any, *entries: Any, kind: str = "history") -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [{"fullUrl": "urn:uuid:1", "resource": status}, *entries],
    }


def entry(resource: Any = None, method: str = "PUT", **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "fullUrl": f"{BASE}/Encounter/e1",
        "request": {"method": method, "url": "Encounter/e1"},
        "response": {"status": "200", "etag": 'W/"3"'},
        **changes,
    }
    if resource is not None:
        made["resource"] = resource
    return made
