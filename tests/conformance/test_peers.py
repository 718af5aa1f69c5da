"""Each server's own way of sending, and its own rule for what we answer.

By emulation: bodies, headers and rules are written after the server's code or
documentation. What is kept of each is what a poll of that server would have found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from fhirclient.models.bundle import Bundle

from tests.conformance.told import CURRENT, in_2xx, told
from tests.product import Product, deliver
from tests.unit.subscriptions.wire import (
    BASE,
    ENCOUNTER,
    bundle,
    entry,
    r4_event,
    r4_status,
    r5_event,
    r5_status,
)

FHIR_JSON = "application/fhir+json"
Accepts = Callable[[requests.Response], bool]
UNKNOWN_VERSION = [("Encounter/e1", None, "update")]


def for_hapi(answer: requests.Response) -> bool:
    """HAPI reads what says that it is FHIR or JSON, and fails unless it is a Bundle."""
    if answer.status_code == 204:
        return True
    kind = answer.headers["Content-Type"].partition(";")[0]
    known = kind in {FHIR_JSON, "application/json+fhir", "application/json"}
    return in_2xx(answer) and known and Bundle(answer.json(), strict=True).type != ""


def for_candle(answer: requests.Response) -> bool:
    """fhir-candle takes three codes alone."""
    return answer.status_code in {200, 202, 204}


def for_medplum(answer: requests.Response) -> bool:
    """Medplum takes redirects for a success, too."""
    return 200 <= answer.status_code < 400


@pytest.fixture
def send(product: Product) -> Callable[..., requests.Response]:
    """Send to a hook of ours, by POST unless said otherwise."""
    hook = product.open_hook(product.connect(BASE), "criteria")

    return partial(deliver, hook)


@pytest.mark.peer("HAPI FHIR 8.8", "R4 criteria: POST of a transaction Bundle")
def test_hapi_with_search_criteria_for_its_payload(product: Product, send: Any) -> None:
    changed = entry(ENCOUNTER)
    del changed["response"]
    body = {"resourceType": "Bundle", "type": "transaction", "entry": [changed]}

    assert for_hapi(send(body))
    assert told(product) == CURRENT


@pytest.mark.parametrize(
    "body", [bundle(r4_status("event-notification", r4_event()), entry()), ENCOUNTER]
)
def test_hapi_takes_our_answer_to_a_topic_and_to_a_resource(
    product: Product, send: Any, body: dict[str, Any]
) -> None:
    assert for_hapi(send(body))
    assert told(product) == CURRENT


MEDPLUM = {
    "X-Medplum-Subscription": "Subscription/1",
    "x-trace-id": "00000000-0000-4000-8000-000000000001",
}


@pytest.mark.peer("Medplum", "POST of the resource")
@pytest.mark.parametrize("interaction", ["create", "update"])
def test_medplum(product: Product, send: Any, interaction: str) -> None:
    headers = {**MEDPLUM, "X-Medplum-Interaction": interaction}

    assert for_medplum(send(ENCOUNTER, headers=headers))
    assert told(product) == [("Encounter/e1", "3", interaction)]


@pytest.mark.peer("Medplum", "deletion told by a header")
def test_medplum_deletes(product: Product, send: Any) -> None:
    headers = {
        **MEDPLUM,
        "X-Medplum-Interaction": "delete",
        "X-Medplum-Deleted-Resource": "Encounter/e1",
    }

    assert for_medplum(send({}, headers=headers))
    assert told(product) == [("Encounter/e1", None, "delete")]


@pytest.mark.peer("Aidbox", "R5 notification, numbers as JSON numbers")
def test_aidbox(product: Product, send: Any) -> None:
    status = r5_status(
        "event-notification",
        r5_event(3),
        eventsSinceSubscriptionStart=3,
        subscription={"reference": "https://ehr.example.org/Subscription/s1"},
    )
    body = bundle(
        status, entry(ENCOUNTER, response={}), kind="subscription-notification"
    )

    assert in_2xx(send(body))
    assert told(product) == CURRENT
    assert [row["event_number"] for row in product.told()] == [3]


@pytest.mark.peer(
    "fhir-candle", "R4 history Bundle, subscription as a string, no requests"
)
def test_candle(product: Product, send: Any) -> None:
    subscription = ("valueString", "Subscription/1")
    handshake = bundle(r4_status("handshake", subscription=subscription))
    context = {"reference": f"{BASE}/Patient/p1"}
    event = r4_event()
    event["part"].append({"name": "additional-context", "valueReference": context})
    status = r4_status("event-notification", event, subscription=subscription)
    focus = {"fullUrl": f"{BASE}/Encounter/e1"}
    patient = {"fullUrl": f"{BASE}/Patient/p1"}

    assert for_candle(send(handshake))
    assert for_candle(send(bundle(status, focus, patient)))
    assert told(product) == UNKNOWN_VERSION


@pytest.mark.peer("Firely Server", "R4 criteria: PUT of the resource")
def test_firely_puts(product: Product, send: Any) -> None:
    assert in_2xx(send(ENCOUNTER, "/Encounter/e1", method="PUT"))
    assert told(product) == CURRENT


@pytest.mark.peer("Firely Server", "R4 criteria: POST of the resource")
def test_firely_posts(product: Product, send: Any) -> None:
    assert in_2xx(send(ENCOUNTER))
    assert told(product) == CURRENT


@pytest.mark.peer("Azure Event Grid", "CloudEvents")
@pytest.mark.parametrize("several", [False, True])
def test_azure(product: Product, send: Any, several: bool) -> None:
    event = {
        "id": "c1",
        "source": "/subscriptions/1/workspaces/w/fhirservices/f",
        "specversion": "1.0",
        "type": "Microsoft.HealthcareApis.FhirResourceUpdated",
        "subject": "f.fhir.azurehealthcareapis.com/Encounter/e1",
        "time": "2026-03-01T08:30:15.1234567Z",
        "data": {
            "resourceType": "Encounter",
            "resourceFhirAccount": "f.fhir.azurehealthcareapis.com",
            "resourceFhirId": "e1",
            "resourceVersionId": 3,
        },
    }
    kind = "application/cloudevents" + ("-batch+json" if several else "+json")

    assert in_2xx(send([event] if several else event, headers={"Content-Type": kind}))
    assert told(product) == CURRENT


@pytest.mark.peer("ISiK (gematik)", "R4 history Bundle, dates for instants")
def test_isik(product: Product, send: Any) -> None:
    event = r4_event("1", "Patient/p1")
    event["part"][1] = {"name": "timestamp", "valueDate": "2026-03-01"}
    status = r4_status("event-notification", event)
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"versionId": "4"},
        "active": False,
        "link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}],
    }
    merged = {"fullUrl": "Patient/p1/_history/4", "resource": patient}

    assert for_hapi(send(bundle(status, merged)))
    assert told(product) == [("Patient/p1", "4", "update")]


@pytest.mark.peer("FHIR Works on AWS", "PUT without a body")
def test_fhir_works_puts(product: Product, send: Any) -> None:
    assert in_2xx(send(b"", "/Encounter/e1", method="PUT"))
    assert told(product) == UNKNOWN_VERSION


@pytest.mark.peer("FHIR Works on AWS", "POST without a body")
@pytest.mark.parametrize("kind", [None, "text/plain", "application/json"])
def test_fhir_works_posts(product: Product, send: Any, kind: str | None) -> None:
    assert in_2xx(send(b"", headers={"Content-Type": kind}))
    assert told(product) == [(None, None, "update")]


@pytest.mark.peer("US Core patient-data-feed", "R4 history Bundle with triggers")
def test_us_core(product: Product, send: Any) -> None:
    event = r4_event()
    trigger = {
        "system": "http://hl7.org/fhir/us/core/CodeSystem/trigger",
        "code": "feed-event",
    }
    event["part"].append({"name": "trigger", "valueCoding": trigger})
    status = r4_status("event-notification", event)

    assert in_2xx(send(bundle(status, entry())))
    assert told(product) == CURRENT


@pytest.mark.peer("Da Vinci Alerts", "message of an admission, discharge or transfer")
@pytest.mark.parametrize("code", ["admit", "discharge", "transfer"])
def test_da_vinci(product: Product, send: Any, code: str) -> None:
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {
            "system": "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event",
            "code": f"notification-{code}",
        },
        "focus": [{"reference": f"{BASE}/Encounter/e1"}],
    }
    body = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": header},
            {"fullUrl": f"{BASE}/Encounter/e1", "resource": ENCOUNTER},
            {"fullUrl": f"{BASE}/Patient/p1", "resource": {"resourceType": "Patient"}},
        ],
    }

    assert in_2xx(send(body))
    assert told(product) == CURRENT
