"""Notifications as clouds and FHIR messaging wrap them."""

from __future__ import annotations

import base64
import json
from typing import Any

AZURE = "Microsoft.HealthcareApis.FhirResource"


STORE = "projects/p/locations/l/datasets/d/fhirStores/s/fhir"


def data(**changes: Any) -> dict[str, Any]:
    fields = {"resourceType": "Encounter", "resourceFhirId": "e1"}
    return {**fields, "resourceVersionId": 2, **changes}


def cloud(kind: str = "Updated", **changes: Any) -> dict[str, Any]:
    fields = {"specversion": "1.0", "id": "c1", "type": f"{AZURE}{kind}"}
    return {**fields, "source": "/x", "data": data(), **changes}


def pubsub(payload: Any = None, **attributes: str) -> dict[str, Any]:
    content = payload if isinstance(payload, str) else json.dumps(payload)
    message = {
        "data": base64.b64encode(content.encode()).decode() if payload else "",
        "attributes": {"action": "UpdateResource", **attributes},
        "messageId": "m1",
        "publishTime": "2026-03-01T08:30:15Z",
    }
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


ALERTS = "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event"


def message(*entries: Any, **header: Any) -> dict[str, Any]:
    head = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": ALERTS, "code": "notification-admit"},
        "focus": [{"reference": "urn:uuid:2"}],
        **header,
    }
    return {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": head}, *entries],
    }
