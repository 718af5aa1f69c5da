"""Consents as a chart holds them."""

from __future__ import annotations

from typing import Any

from mappings.plan import NS


def resource(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "resourceType": "Consent",
        "id": "k1",
        "meta": {"versionId": "7"},
        "status": "active",
        "category": [
            {
                "coding": [
                    {
                        "system": f"{NS}/CodeSystem/consent-category",
                        "code": "outreach-communication",
                    }
                ]
            }
        ],
        "patient": {"reference": "Patient/rosa"},
        "dateTime": "2026-11-02T15:04:00Z",
        "extension": [
            {
                "url": f"{NS}/StructureDefinition/consent-contact-point",
                "valueContactPoint": {"system": "sms", "value": "(312) 555-0142"},
            }
        ],
        "provision": {"type": "permit", "provision": [_nested("deny", "marketing")]},
    }
    return values | changes


def _nested(kind: str, topic: str) -> dict[str, Any]:
    coding = {"system": f"{NS}/CodeSystem/topic", "code": topic}
    return {"type": kind, "code": [{"coding": [coding]}]}
