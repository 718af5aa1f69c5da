from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mappings.errors import BadInputError
from subscriptions.definition import Pace, write_criteria, write_subscription

END = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
URL = "https://listener.example.org/hooks/abc"
SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = "http://example.org/topic"
EXTENSIONS = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def test_criteria_form() -> None:
    assert write_subscription("criteria", "CarePlan", URL, SECRET, END) == {
        "resourceType": "Subscription",
        "status": "requested",
        "end": "2026-04-01T09:00:00.000Z",
        "reason": "Patient outreach",
        "criteria": "CarePlan?status=active,on-hold,revoked,completed,entered-in-error",
        "channel": {
            "type": "rest-hook",
            "endpoint": URL,
            "payload": "application/fhir+json",
            "header": [f"Authorization: Bearer {SECRET}"],
        },
    }


def test_criteria_of_a_type_without_statuses() -> None:
    assert write_criteria("Patient") == "Patient?"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@23")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@64")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@68")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@76")
def test_backport_form() -> None:
    shape = {"url": "http://example.org/shape", "valueCode": "r5"}
    written = write_subscription(
        "backport",
        "Encounter",
        URL,
        SECRET,
        END,
        content="empty",
        topic=TOPIC,
        filters=[("patient", "Patient/1"), ("trigger", "feed-event")],
        extra_extensions=[shape],
    )
    assert written == {
        "resourceType": "Subscription",
        "extension": [shape],
        "meta": {"profile": [f"{EXTENSIONS}backport-subscription"]},
        "status": "requested",
        "end": "2026-04-01T09:00:00.000Z",
        "reason": "Patient outreach",
        "criteria": TOPIC,
        "_criteria": {
            "extension": [
                {
                    "url": f"{EXTENSIONS}backport-filter-criteria",
                    "valueString": "Encounter?patient=Patient/1&trigger=feed-event",
                }
            ]
        },
        "channel": {
            "extension": [
                {
                    "url": f"{EXTENSIONS}backport-heartbeat-period",
                    "valueUnsignedInt": 300,
                },
                {"url": f"{EXTENSIONS}backport-timeout", "valueUnsignedInt": 10},
                {"url": f"{EXTENSIONS}backport-max-count", "valuePositiveInt": 20},
            ],
            "type": "rest-hook",
            "endpoint": URL,
            "payload": "application/fhir+json",
            "_payload": {
                "extension": [
                    {
                        "url": f"{EXTENSIONS}backport-payload-content",
                        "valueCode": "empty",
                    }
                ]
            },
            "header": [f"Authorization: Bearer {SECRET}"],
        },
    }


def test_a_server_that_refuses_heartbeats_is_not_asked_for_them() -> None:
    pace = Pace(heartbeat=None, batch=1)
    backport = write_subscription(
        "backport", "Encounter", URL, SECRET, END, topic=TOPIC, pace=pace
    )
    urls = [e["url"].rpartition("/")[2] for e in backport["channel"]["extension"]]
    assert urls == ["backport-timeout", "backport-max-count"]
    r5 = write_subscription("r5", "Encounter", URL, SECRET, END, topic=TOPIC, pace=pace)
    assert ("heartbeatPeriod" in r5, r5["maxCount"]) == (False, 1)


def test_r5_form() -> None:
    written = write_subscription(
        "r5",
        "Encounter",
        URL,
        SECRET,
        END,
        topic=TOPIC,
        filters=[("patient", "Patient/1")],
    )
    assert written == {
        "resourceType": "Subscription",
        "status": "requested",
        "topic": TOPIC,
        "end": "2026-04-01T09:00:00.000Z",
        "reason": "Patient outreach",
        "filterBy": [
            {
                "resourceType": "Encounter",
                "filterParameter": "patient",
                "value": "Patient/1",
            }
        ],
        "channelType": {
            "system": "http://terminology.hl7.org/CodeSystem/subscription-channel-type",
            "code": "rest-hook",
        },
        "endpoint": URL,
        "parameter": [{"name": "Authorization", "value": f"Bearer {SECRET}"}],
        "heartbeatPeriod": 300,
        "timeout": 10,
        "contentType": "application/fhir+json",
        "content": "id-only",
        "maxCount": 20,
    }


@pytest.mark.parametrize(
    "secret", ["", "short", "has:colon-0123456789", "x" * 20 + "\n"]
)
def test_a_secret_that_servers_would_break_is_refused(secret: str) -> None:
    with pytest.raises(BadInputError):
        write_subscription("criteria", "Encounter", URL, secret, END)


@pytest.mark.parametrize("url", ["", "/hooks/abc", "ftp://x/y", f"{URL}?a=b"])
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInputError):
        write_subscription("criteria", "Encounter", url, SECRET, END)


@pytest.mark.parametrize("form", ["backport", "r5"])
def test_a_topic_form_without_a_topic_is_refused(form: Any) -> None:
    with pytest.raises(BadInputError):
        write_subscription(form, "Encounter", URL, SECRET, END)


FOLDER = Path(__file__).parents[3].parent / "shared/fixtures/subscriptions-to-send"
PATIENT = [("patient", "Patient/123")]
CATEGORY = (
    "category",
    "http://hl7.org/fhir/us/core/CodeSystem/careplan-category|assess-plan",
)
US_CORE = "http://hl7.org/fhir/us/core/SubscriptionTopic/patient-data-feed"
TEMPLATES: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "encounter-r4-criteria": ("criteria", "Encounter", []),
    "appointment-r4-criteria": ("criteria", "Appointment", []),
    "careplan-r4-criteria": ("criteria", "CarePlan", []),
    "encounter-backport-us-core": (
        "backport",
        "Encounter",
        [*PATIENT, ("trigger", "feed-event")],
    ),
    "careplan-backport-us-core": (
        "backport",
        "CarePlan",
        [*PATIENT, CATEGORY, ("trigger", "feed-event")],
    ),
    "encounter-r5": ("r5", "Encounter", [*PATIENT, ("trigger", "feed-event")]),
    "careplan-r5": ("r5", "CarePlan", [*PATIENT, ("trigger", "feed-event")]),
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the templates are not at hand")
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_are_what_is_written(name: str) -> None:
    form, kind, filters = TEMPLATES[name]
    text = (FOLDER / f"{name}.json").read_text()
    text = text.replace("{now+30d, instant}", "2026-04-01T09:00:00.000Z")
    text = text.replace("{random-64-hex-no-colon}", SECRET).replace("{id}", "abc")
    made: Any = form
    topic = None if form == "criteria" else US_CORE
    written = write_subscription(
        made, kind, URL, SECRET, END, topic=topic, filters=filters
    )
    assert written == json.loads(text)
