"""The checks of Inferno's client suite, and the habits of its server, by HTTP.

Each of them was read in the suite's code (subscriptions-test-kit 0.12): the server
creates one Subscription, shakes hands, sends one event, and judges what it saw.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.conformance.rules import CONTENTS, notification_faults, subscription_faults
from tests.conformance.server import FhirServer, Rules
from tests.product import Product

TOPIC = "http://example.org/SubscriptionTopic/encounter-change"
ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "status": "in-progress"}


def begin(
    product: Product, serve: Any, content: Any = "id-only", **rules: Any
) -> FhirServer:
    """Connect a server that only creates, and ask it for the topic."""
    server: FhirServer = serve("r4", Rules(only_creates=True, **rules))
    product.subscribe(product.connect(server.url), TOPIC, content)
    return server


def status(product: Product) -> str:
    """Return where our subscription stands once everything is counted."""
    product.track()
    (row,) = product.rows("SELECT status FROM subscription")
    return str(row["status"])


@pytest.mark.peer("Inferno client suite", "R4: handshake, then an event")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@23")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@24")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@68")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@76")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@86")
@pytest.mark.parametrize("content", CONTENTS)
def test_workflow_from_the_create_to_the_event(
    product: Product, serve: Any, content: str
) -> None:
    server = begin(product, serve, content)
    event = server.happen(ENCOUNTER)
    handshake = server.shake_hands()
    told = server.tell(event)

    check_create(product, server, content)
    # 202 or 204 would end the suite's run: nothing but 200 is a handshake's answer.
    assert handshake.status == 200
    assert 200 <= told.status < 300
    assert notification_faults(server.write("handshake", []), "1", content) == []
    bundle = server.write("event-notification", [event])
    assert notification_faults(bundle, "1", content) == []
    kept = product.kept()
    assert [row["type"] for row in kept] == ["handshake", "event-notification"]
    assert {(row["form"], row["state"]) for row in kept} == {("r4-backport", "stored")}
    focus = None if content == "empty" else "Encounter/e1"
    assert [row["focus"] for row in product.told()] == [focus]


def check_create(product: Product, server: FhirServer, content: str) -> None:
    """Hold what was created against R4, the profile, and what we want."""
    (sent,) = [body for method, _, body in server.calls if method == "POST"]
    assert subscription_faults(sent) == []
    assert server.content == content
    assert sent["criteria"] == TOPIC
    assert sent["channel"]["endpoint"].startswith(f"{product.url}/hooks/")
    # The server splits each header at a colon and a space.
    (line,) = sent["channel"]["header"]
    assert line.count(":") == 1
    assert line.startswith("Authorization: Bearer ")


def test_one_subscription_is_created_however_often_it_is_asked_for(
    product: Product, serve: Any
) -> None:
    server: FhirServer = serve("r4", Rules(only_creates=True))
    endpoint = product.connect(server.url)
    for _ in range(3):
        product.subscribe(endpoint, TOPIC, "id-only")

    assert [call[:2] for call in server.calls if call[0] != "GET"] == [
        ("POST", "/fhir/Subscription")
    ]
    assert len(product.rows("SELECT 1 FROM subscription")) == 1


def test_a_media_type_that_the_server_chose_itself_is_taken(
    product: Product, serve: Any
) -> None:
    server = begin(product, serve, payload="application/json")

    assert server.shake_hands().status == 200
    assert server.tell(server.happen(ENCOUNTER)).status == 200
    assert [row["focus"] for row in product.told()] == ["Encounter/e1"]


def test_it_is_active_only_once_the_handshake_was_answered(
    product: Product, serve: Any
) -> None:
    server = begin(product, serve)
    one = f"{server.url}/Subscription/1"
    before = requests.get(one, timeout=30).json()["status"], status(product)
    server.shake_hands()
    server.tell(server.happen(ENCOUNTER))
    after = requests.get(one, timeout=30).json()["status"], status(product)

    assert (before, after) == (("requested", "requested"), ("active", "active"))


def test_a_handshake_before_the_answer_to_the_create_finds_its_hook(
    product: Product, serve: Any
) -> None:
    server = begin(product, serve, hasty=True)

    assert server.status == "active"
    assert [row["type"] for row in product.kept()] == ["handshake"]


def test_a_refused_heartbeat_is_asked_for_no_more(product: Product, serve: Any) -> None:
    server = begin(product, serve, takes_heartbeat=False)

    tries = [body for method, _, body in server.calls if method == "POST"]
    assert [len(body["channel"]["extension"]) for body in tries] == [3, 2]
    assert subscription_faults(tries[-1]) == []
    assert server.shake_hands().status == 200
    assert len(product.rows("SELECT 1 FROM subscription")) == 1


def test_a_server_that_only_creates_does_not_keep_us_from_leaving(
    product: Product, serve: Any
) -> None:
    server = begin(product, serve)
    server.shake_hands()
    product.leave()

    assert ("DELETE", "/fhir/Subscription/1") in [call[:2] for call in server.calls]
    # It goes on sending, as it never took the deletion.
    assert server.tell(server.happen(ENCOUNTER)).status == 200
