"""The benchmark's notifications: Bundles as servers send them, every one new.

A template is a Bundle with a mark where its number stands; :func:`fill` puts ten
digits there, so that all bodies of a template have the same length.
"""

from __future__ import annotations

from typing import Any

import orjson

MARK = "0000000000"
FIRST = 1_000_000_000
# What a number's last digit makes its focus.
MIX = (*5 * ("Appointment",), *3 * ("Encounter",), *2 * ("CarePlan",))
_IG = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_SNOMED = "http://snomed.info/sct"


def id_only_template(base: str, kind: str = "Encounter") -> tuple[bytes, ...]:
    """Return a backport R4 Bundle of about 3 KB that names a focus by id."""
    named = [
        f"{kind}/{MARK}",
        f"Patient/p{MARK}",
        "Practitioner/attending-4711",
        "Location/ward-7-west",
        "PractitionerRole/hospitalist-0815",
        "Organization/northside-hospital",
    ]
    entries = [
        {
            "fullUrl": f"{base}/{reference}",
            "request": {"method": "PUT", "url": reference},
            "response": {
                "status": "200",
                "etag": 'W/"7"',
                "lastModified": "2026-11-16T14:59:58.120Z",
            },
        }
        for reference in named
    ]
    return _split(_bundle(base, named, entries))


def full_resource_template(base: str) -> tuple[bytes, ...]:
    """Return a backport R4 Bundle of about 60 KB that brings its resources along."""
    resources = [
        _encounter(),
        _patient(),
        *(_observation(index) for index in range(67)),
    ]
    named = [f"{item['resourceType']}/{item['id']}" for item in resources]
    entries = [
        {
            "fullUrl": f"{base}/{reference}",
            "resource": resource,
            "request": {"method": "PUT", "url": reference},
            "response": {"status": "200"},
        }
        for reference, resource in zip(named, resources, strict=True)
    ]
    return _split(_bundle(base, named[:2], entries))


def fill(template: tuple[bytes, ...], number: int) -> bytes:
    """Return the body with this number, which has ten digits."""
    return str(number).encode().join(template)


def _split(bundle: bytes) -> tuple[bytes, ...]:
    return tuple(bundle.split(MARK.encode()))


def _bundle(base: str, named: list[str], entries: list[dict[str, Any]]) -> bytes:
    status = {
        "fullUrl": "urn:uuid:0aaf1b0a-6a5b-4b2b-9bd4-6c1e5f0f7b11",
        "resource": _status(base, named),
        "request": {"method": "GET", "url": f"{base}/Subscription/17/$status"},
        "response": {"status": "200"},
    }
    bundle = {
        "resourceType": "Bundle",
        "id": f"64578ab3-2bf6-497a-a873-{MARK}aa",
        "meta": {"profile": [f"{_IG}/backport-subscription-notification-r4"]},
        "type": "history",
        "timestamp": "2026-11-16T15:00:00.251Z",
        "entry": [status, *entries],
    }
    return orjson.dumps(bundle)


def _status(base: str, named: list[str]) -> dict[str, Any]:
    focus, *others = [
        {"valueReference": {"reference": f"{base}/{reference}"}} for reference in named
    ]
    return {
        "resourceType": "Parameters",
        "id": "0aaf1b0a-6a5b-4b2b-9bd4-6c1e5f0f7b11",
        "meta": {"profile": [f"{_IG}/backport-subscription-status-r4"]},
        "parameter": [
            {
                "name": "subscription",
                "valueReference": {"reference": f"{base}/Subscription/17"},
            },
            {
                "name": "topic",
                "valueCanonical": "http://example.org/topic/encounter-end",
            },
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {"name": "events-since-subscription-start", "valueString": MARK},
            {
                "name": "notification-event",
                "part": [
                    {"name": "event-number", "valueString": MARK},
                    {"name": "timestamp", "valueInstant": "2026-11-16T15:00:00.120Z"},
                    {"name": "focus", **focus},
                    *({"name": "additional-context", **other} for other in others),
                ],
            },
        ],
    }


def _encounter() -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": MARK,
        "meta": {"versionId": "7", "lastUpdated": "2026-11-16T14:59:58.120Z"},
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
            "display": "inpatient encounter",
        },
        "type": [_concept(_SNOMED, "183452005", "Emergency hospital admission")],
        "subject": {"reference": f"Patient/p{MARK}"},
        "period": {"start": "2026-11-13T08:12:00Z", "end": "2026-11-16T14:59:00Z"},
        "hospitalization": {
            "dischargeDisposition": _concept(
                "http://terminology.hl7.org/CodeSystem/discharge-disposition",
                "home",
                "Home",
            )
        },
        "serviceProvider": {"reference": "Organization/northside-hospital"},
    }


def _patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"p{MARK}",
        "meta": {"versionId": "3", "lastUpdated": "2026-11-13T08:12:00.000Z"},
        "active": True,
        "name": [{"use": "official", "family": "Example", "given": ["Synthetic"]}],
        "telecom": [{"system": "phone", "use": "mobile", "value": "+14155550123"}],
        "gender": "female",
        "birthDate": "1961-05-04",
        "address": [{"line": ["1 Example Way"], "city": "Springfield", "state": "IL"}],
    }


def _observation(index: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{index:03d}-{MARK}",
        "meta": {"versionId": "1", "lastUpdated": "2026-11-15T06:30:00.000Z"},
        "status": "final",
        "category": [
            _concept(
                "http://terminology.hl7.org/CodeSystem/observation-category",
                "vital-signs",
                "Vital Signs",
            )
        ],
        "code": _concept("http://loinc.org", "8867-4", "Heart rate"),
        "subject": {"reference": f"Patient/p{MARK}"},
        "encounter": {"reference": f"Encounter/{MARK}"},
        "effectiveDateTime": f"2026-11-15T{index % 24:02d}:30:00Z",
        "issued": f"2026-11-15T{index % 24:02d}:31:07.000Z",
        "valueQuantity": {
            "value": 60 + index,
            "unit": "beats/minute",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [coding], "text": display}
