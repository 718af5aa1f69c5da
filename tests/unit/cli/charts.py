"""A chart as a Bundle: Rosa, her stay and her yes to texts."""

from __future__ import annotations

from typing import Any

from mappings.resource import Resource
from tests.unit.decisions.story import encounter, patient

NOW = "2026-11-20T17:00:00-06:00"
MODE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
OUTREACH = "https://carecue.example.org/fhir/CodeSystem/consent-category"


def permit(**changes: Any) -> Resource:
    values: Resource = {
        "resourceType": "Consent",
        "id": "yes",
        "meta": {"versionId": "4"},
        "status": "active",
        "category": [
            {"coding": [{"system": OUTREACH, "code": "outreach-communication"}]}
        ],
        "patient": {"reference": "Patient/rosa"},
        "dateTime": "2026-10-01T10:00:00Z",
        "provision": {
            "type": "permit",
            "code": [{"coding": [{"system": MODE, "code": "SMSWRIT"}]}],
        },
    }
    return values | changes


def bundle(*resources: Resource, kind: str = "collection") -> Resource:
    entries = [{"resource": item} for item in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


ROSA = (patient(), encounter(), permit())
