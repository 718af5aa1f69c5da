"""Servers that prove themselves in another way than by a header that we chose.

By emulation, as in `test_peers`: signatures over the body, a secret in the query, and
messages that are answered as their senders want.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
import requests

from tests.conformance.told import CURRENT, in_2xx, told
from tests.pace import Pace
from tests.product import SECRET, Product, deliver
from tests.unit.subscriptions.wire import (
    BASE,
    ENCOUNTER,
    bundle,
    entry,
    r4_status,
    r5_status,
)

UNSIGNED = {"Authorization": None}
ATHENA = "https://api.platform.athenahealth.com/fhir/r4/SubscriptionTopic"


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def athena_sends(
    product: Product, focus: dict[str, Any], secret: str = SECRET
) -> requests.Response:
    """Send two events, numbered within the Bundle, signed over the raw bytes."""
    events = [
        {"id": f"audit-{number}", "eventNumber": str(number), "focus": focus}
        for number in (1, 2)
    ]
    status = r5_status(
        "event-notification", *events, topic=f"{ATHENA}/Appointment.schedule"
    )
    audit = {"resource": {"resourceType": "AuditEvent", "id": "audit-1"}}
    body = orjson.dumps(bundle(status, audit))
    headers = {**UNSIGNED, "X-Hub-Signature": f"sha256={sign(body, secret)}"}
    return deliver(f"{product.url}/hooks/hook", body, headers=headers)


@pytest.fixture
def athena(product: Product) -> Product:
    product.open_hook(product.connect(BASE), "backport", proof="hmac")
    return product


@pytest.mark.peer(
    "athenahealth", "R4B history Bundle, numbers within the Bundle, ids of events"
)
def test_athena(athena: Product) -> None:
    focus = {"reference": f"{BASE}/Appointment/a-1"}
    for _ in range(2):
        with Pace() as granted:
            assert in_2xx(athena_sends(athena, focus))
        assert granted.seconds < 2.0
    # Repeated is repeated: the server's ids of its events tell, not their numbers.
    assert [row["event_number"] for row in athena.told()] == [1, 2]
    assert {row[0] for row in told(athena)} == {"Appointment/a-1"}


@pytest.mark.peer("athenahealth", "focus by identifier alone")
def test_athena_without_a_reference(athena: Product) -> None:
    identifier = {"system": "urn:athena:appointment", "value": "1"}

    assert in_2xx(athena_sends(athena, {"identifier": identifier}))
    assert {row[0] for row in told(athena)} == {None}


def test_athena_with_another_secret(athena: Product) -> None:
    focus = {"reference": f"{BASE}/Appointment/a-1"}

    assert athena_sends(athena, focus, "x" * 32).status_code == 401
    assert athena.kept() == []


@pytest.mark.peer("Medplum", "POST of the resource")
def test_medplum_signs(athena: Product) -> None:
    body = orjson.dumps(ENCOUNTER)
    headers = {**UNSIGNED, "X-Signature": sign(body)}
    hook = f"{athena.url}/hooks/hook"

    assert in_2xx(deliver(hook, body, headers=headers))
    assert deliver(hook, body + b" ", headers=headers).status_code == 401
    assert told(athena) == CURRENT


@pytest.mark.peer(
    "Microsoft FHIR Server, subscription engine",
    "R4 history Bundle as text, bare id, focus as URI, no number",
)
def test_microsoft(product: Product) -> None:
    hook = product.open_hook(product.connect(BASE), "backport", proof="query")
    parts = [{"name": "focus", "valueUri": f"{BASE}/Encounter/e1"}]
    status = r4_status(
        "event-notification",
        {"name": "notification-event", "part": parts},
        subscription=("valueReference", {"reference": "1"}),
        topic=("valueUri", "http://example.org/topic"),
    )
    headers = {**UNSIGNED, "Content-Type": "text/plain"}
    answer = deliver(
        hook,
        bundle(status, entry(ENCOUNTER)),
        headers=headers,
        params={"token": SECRET},
    )

    assert answer.status_code in {200, 202}
    assert told(product) == CURRENT


@pytest.mark.peer("Google Pub/Sub", "push envelope")
@pytest.mark.parametrize("whole", [False, True])
def test_google(product: Product, whole: bool) -> None:
    hook = product.open_hook(product.connect(BASE), "criteria", proof="query")
    name = "projects/p/locations/l/datasets/d/fhirStores/s/fhir/Encounter/e1"
    data = orjson.dumps(ENCOUNTER) if whole else f"{name}/_history/3".encode()
    message = {
        "messageId": "1",
        "publishTime": "2026-03-01T08:30:15.123Z",
        "attributes": {
            "action": "UpdateResource",
            "resourceType": "Encounter",
            "payloadType": "FullResource" if whole else "NameOnly",
        },
        "data": base64.b64encode(data).decode(),
    }
    body = {"message": message, "subscription": "projects/p/subscriptions/s"}
    headers = {**UNSIGNED, "Content-Type": "application/json"}

    assert in_2xx(deliver(hook, body, headers=headers, params={"token": SECRET}))
    assert told(product) == CURRENT


@pytest.mark.peer("Da Vinci Alerts", "message of an admission, discharge or transfer")
def test_da_vinci_at_its_operation(product: Product) -> None:
    hook = product.open_hook(product.connect(BASE), "criteria")
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {"code": "notification-discharge"},
        "focus": [{"reference": f"{BASE}/Encounter/e1"}],
    }
    message = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": header},
            {"fullUrl": f"{BASE}/Encounter/e1", "resource": ENCOUNTER},
        ],
    }
    answer = deliver(hook, message, "/$process-message")

    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert told(product) == CURRENT


@pytest.mark.peer("Azure Event Grid", "CloudEvents")
def test_azure_asks_for_leave_first(product: Product) -> None:
    hook = product.open_hook(product.connect(BASE), "criteria")
    headers = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    answer = deliver(hook, method="OPTIONS", headers=headers)

    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert product.kept() == []
