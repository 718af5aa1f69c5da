"""What goes back to the EHR is valid R4 and says what was said."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirclient.models import fhirelementfactory

from mappings.communication import (
    write_communication,
    write_communication_request,
    write_task,
    write_task_status,
)
from mappings.delivery import Delivery, DeliveryState
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.nudge import Nudge, NudgeState
from mappings.plan import NS

NOW = datetime(2026, 11, 21, 16, 0, tzinfo=UTC)
SITE = Site(
    "Northside Clinic",
    "(312) 555-0100",
    "https://northside.example.org",
    "America/Chicago",
    organization="Organization/north",
)
ENDPOINT = Endpoint(
    "north",
    "North",
    EndpointKind.SANDBOX,
    "http://localhost/fhir",
    BackendClient(),
    AppClient(),
    SITE,
)
NUDGE = Nudge(
    id="n-1",
    key="k",
    endpoint_id="north",
    event_id="e-1",
    patient="Patient/rosa",
    shard=1,
    plan=f"{NS}/PlanDefinition/post-discharge",
    plan_version="1.0.0",
    action="check-in",
    topic="post-discharge",
    focus="Encounter/stay",
    occasion="once",
    recipient="Patient/rosa",
    state=NudgeState.SENT,
    reason="due",
    due_at=NOW,
    expires_at=NOW + timedelta(hours=48),
    created_at=NOW - timedelta(days=1),
)
DELIVERY = Delivery(
    id="d-1",
    nudge_id="n-1",
    endpoint_id="north",
    patient="Patient/rosa",
    channel="sms",
    address="+13125550142",
    language="es",
    subject="",
    text="Northside Clinic: hola. STOP",
    state=DeliveryState.SENT,
    provider_id="SM1",
    sending_at=NOW,
    sent_at=NOW,
)


def check(resource: dict[str, Any]) -> None:
    kind = resource["resourceType"]
    get_fhir_model_class(kind).model_validate(resource)
    found = fhirelementfactory.FHIRElementFactory.instantiate(kind, resource)
    assert found.as_json() == resource


@pytest.mark.parametrize("focus", ["Encounter/stay", "Appointment/v", "Patient/rosa"])
@pytest.mark.parametrize("organization", [None, "Organization/north"])
def test_request_and_communication_are_valid_r4(
    focus: str, organization: str | None
) -> None:
    nudge = replace(NUDGE, focus=focus)
    where = replace(ENDPOINT, site=replace(SITE, organization=organization))
    for state in DeliveryState:
        delivery = replace(DELIVERY, state=state)
        check(write_communication(nudge, delivery, where, NOW))
        check(write_communication_request(nudge, delivery, where))


def test_communication_says_what_was_said() -> None:
    found = write_communication(NUDGE, DELIVERY, ENDPOINT, NOW)
    identifiers = found.pop("identifier")
    assert identifiers[:2] == [
        {"system": f"{NS}/identifier/delivery", "value": "d-1"},
        {"system": f"{NS}/identifier/provider-sms", "value": "SM1"},
    ]
    assert found == {
        "resourceType": "Communication",
        "instantiatesCanonical": [f"{NS}/PlanDefinition/post-discharge|1.0.0"],
        "status": "completed",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/"
                        "communication-category",
                        "code": "reminder",
                    }
                ]
            },
            {
                "coding": [
                    {"system": f"{NS}/CodeSystem/topic", "code": "post-discharge"}
                ]
            },
        ],
        "medium": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/"
                        "v3-ParticipationMode",
                        "code": "SMSWRIT",
                    }
                ]
            }
        ],
        "subject": {"reference": "Patient/rosa"},
        "recipient": [{"reference": "Patient/rosa"}],
        "payload": [
            {
                "contentString": "Northside Clinic: hola. STOP",
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/language",
                        "valueCode": "es",
                    }
                ],
            }
        ],
        "encounter": {"reference": "Encounter/stay"},
        "sender": {"reference": "Organization/north"},
        "sent": "2026-11-21T16:00:00.000Z",
    }


def test_address_never_goes_into_the_resource() -> None:
    found = write_communication(NUDGE, DELIVERY, ENDPOINT, NOW)
    request = write_communication_request(NUDGE, DELIVERY, ENDPOINT)
    assert "5550142" not in repr(found) + repr(request)


@pytest.mark.parametrize(
    ("state", "reason", "status", "code"),
    [
        (DeliveryState.DELIVERED, None, "completed", None),
        (DeliveryState.UNKNOWN, "delivery-unknown", "unknown", None),
        (DeliveryState.FAILED, "address-invalid", "not-done", "invalid-phone-number"),
        (DeliveryState.FAILED, "opted-out", "not-done", "patient-objection"),
        (DeliveryState.FAILED, "provider-refused", "not-done", "system-error"),
    ],
)
def test_status_follows_the_delivery(
    state: DeliveryState, reason: str | None, status: str, code: str | None
) -> None:
    delivery = replace(DELIVERY, state=state, reason=reason)
    found = write_communication(NUDGE, delivery, ENDPOINT, NOW)
    stated = found.get("statusReason", {"coding": [{"code": None}]})
    assert (found["status"], stated["coding"][0]["code"]) == (status, code)


def test_request_is_named_after_its_nudge_and_campaign() -> None:
    found = write_communication_request(NUDGE, DELIVERY, ENDPOINT)
    assert found["identifier"] == [{"system": f"{NS}/identifier/nudge", "value": "n-1"}]
    assert found["groupIdentifier"]["value"] == "post-discharge|Encounter/stay"
    assert found["occurrencePeriod"] == {
        "start": "2026-11-21T16:00:00.000Z",
        "end": "2026-11-23T16:00:00.000Z",
    }


@pytest.mark.parametrize("due", [None, NOW + timedelta(days=2)])
def test_task_is_valid_r4(due: datetime | None) -> None:
    found = write_task(
        identifier="t-1",
        patient="Patient/rosa",
        priority="stat",
        reason="reply",
        text="A reply needs a person.",
        endpoint=ENDPOINT,
        authored_on=NOW,
        due_at=due,
    )
    check(found)
    end = found.get("restriction", {}).get("period", {}).get("end")
    assert end == ("2026-11-23T16:00:00.000Z" if due else None)
    assert found["owner"] == {"reference": "Organization/north"}


def test_a_step_becomes_a_name_that_every_search_finds_again() -> None:
    """A bar in a token's value has to be escaped in FHIR; not every server undoes that."""
    step = "task-north|post-discharge|call|Encounter/stay|once|Patient/rosa"
    words = {"patient": None, "priority": "routine", "reason": "r", "text": "Call."}
    names = []
    for name in (step, step + "2", "task-chart-differs-1.rosa"):
        written = write_task(
            identifier=name, endpoint=ENDPOINT, authored_on=NOW, **words
        )
        amended = write_task_status(name, "completed")
        assert amended["identifier"] == written["identifier"]
        names.append(written["identifier"][0]["value"])
    assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,64}", name) for name in names)
    assert len(set(names)) == 3
    assert names[2] == "task-chart-differs-1.rosa"
