"""The server and the checks of these tests are held to the guide themselves."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from middleware.sandbox.wire import Event, Standing, write_notification
from subscriptions.definition import write_subscription
from tests.conformance.rules import CONTENTS, notification_faults, subscription_faults
from tests.conformance.server import BACKPORT, FhirServer, Rules

ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "status": "in-progress"}
TOPIC = "http://example.org/SubscriptionTopic/encounter-change"


def ask(content: Any = "id-only") -> dict[str, Any]:
    return write_subscription(
        "backport",
        "Encounter",
        "https://listener.example.org/hooks/hook",
        "0123456789abcdef",
        datetime(2027, 1, 1, tzinfo=UTC),
        content=content,
        topic=TOPIC,
        filters=[("patient", "Patient/1")],
    )


def create(server: FhirServer, resource: dict[str, Any]) -> requests.Response:
    return requests.post(f"{server.url}/Subscription", json=resource, timeout=30)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "event-notification"])
def test_what_the_server_sends_conforms(serve: Any, content: str, kind: Any) -> None:
    server = serve()
    create(server, ask(content))
    events = [server.happen(ENCOUNTER)] if kind == "event-notification" else []

    assert notification_faults(server.write(kind, events), "1", content) == []


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("interaction", ["create", "update", "delete"])
def test_what_the_sandbox_sends_conforms(content: str, interaction: str) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    resource = None if interaction == "delete" else ENCOUNTER
    event = Event(1, interaction, "Encounter", "e1", 3, now, resource)
    standing = Standing("http://ehr/fhir", "7", "backport", TOPIC, "active", 1)
    bundle = write_notification(standing, "event-notification", content, [event], now)

    assert notification_faults(bundle, "7", content) == []


def spoil(bundle: dict[str, Any], what: str) -> None:
    status = bundle["entry"][0]
    parameters = status["resource"]["parameter"]
    event = next(part for part in parameters if part["name"] == "notification-event")
    if what == "type":
        bundle["type"] = "transaction"
    elif what == "status":
        status["resource"]["resourceType"] = "SubscriptionStatus"
    elif what == "request":
        del bundle["entry"][1]["request"]
    elif what == "url":
        status["request"]["url"] = "Subscription/2/$status"
    elif what == "subscription":
        parameters[0] = {"name": "subscription", "valueString": "Subscription/1"}
    elif what == "count":
        parameters[:] = [part for part in parameters if "events-" not in part["name"]]
    elif what == "event":
        parameters.remove(event)
    elif what == "number":
        del event["part"][0]
    elif what == "focus":
        del event["part"][2]
    elif what == "resource":
        bundle["entry"][1]["resource"] = ENCOUNTER
    else:
        del bundle["entry"][1]["fullUrl"]


FAULTS = (
    *("type", "status", "request", "url", "subscription", "count", "event"),
    *("number", "focus", "resource", "fullUrl"),
)


@pytest.mark.parametrize("what", FAULTS)
def test_the_check_finds_what_is_wrong_with_a_notification(
    serve: Any, what: str
) -> None:
    server = serve()
    create(server, ask())
    bundle = server.write("event-notification", [server.happen(ENCOUNTER)])
    spoil(bundle, what)

    assert len(notification_faults(bundle, "1", "id-only")) == 1


def test_the_check_finds_content_that_was_not_asked_for(serve: Any) -> None:
    server = serve()
    create(server, ask("full-resource"))
    bundle = server.write("event-notification", [server.happen(ENCOUNTER)])

    assert notification_faults(bundle, "1", "full-resource") == []
    assert len(notification_faults(bundle, "1", "id-only")) == 1
    assert len(notification_faults(bundle, "1", "empty")) == 2
    del bundle["entry"][1]
    assert len(notification_faults(bundle, "1", "full-resource")) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "active"),
        ("reason", None),
        ("end", "tomorrow"),
        ("criteria", "Encounter?patient=Patient/1"),
        ("meta.profile", []),
        ("channel.type", "websocket"),
        ("channel.endpoint", "/hooks/hook"),
        ("channel.header", ["Authorization:Bearer x"]),
        ("channel._payload", {}),
        ("channel.extension.2.valuePositiveInt", 0),
        ("_criteria.extension.0.valueString", "patient"),
        (
            "_criteria.extension.0.url",
            "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.filterBy",
        ),
    ],
)
def test_the_check_finds_what_is_wrong_with_a_subscription(
    path: str, value: object
) -> None:
    good = ask()
    bad = copy.deepcopy(good)
    *way, last = path.split(".")
    holder: Any = bad
    for step in way:
        holder = holder[int(step) if step.isdigit() else step]
    if value is None:
        del holder[last]
    else:
        holder[last] = value

    assert subscription_faults(good) == []
    assert subscription_faults(bad)


def test_the_server_takes_one_subscription_and_no_heartbeat(serve: Any) -> None:
    server = serve("r4", Rules(takes_heartbeat=False, only_creates=True))
    refused = create(server, asked := ask())
    url = f"{BACKPORT}backport-heartbeat-period"
    extensions = asked["channel"]["extension"]
    asked["channel"]["extension"] = [e for e in extensions if e["url"] != url]

    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "not-supported"
    assert create(server, asked).json()["status"] == "requested"
    assert create(server, asked).status_code == 400
    one = f"{server.url}/Subscription/1"
    assert requests.put(one, json=asked, timeout=30).status_code == 405
    assert requests.delete(one, timeout=30).status_code == 405


def test_the_server_tells_status_and_past_events(serve: Any) -> None:
    server = serve("r4", Rules(events_faults=[503], keeps=2))
    create(server, ask())
    for _ in range(3):
        server.happen(ENCOUNTER)
    one = f"{server.url}/Subscription/1"
    status = requests.get(f"{one}/$status", timeout=30).json()
    first = requests.get(f"{one}/$events", timeout=30)
    since = {"eventsSinceNumber": "1", "eventsUntilNumber": "2"}
    told = requests.get(f"{one}/$events", params=since, timeout=30).json()

    assert (status["type"], status["total"]) == ("searchset", 1)
    assert first.status_code == 503
    parameters = told["entry"][0]["resource"]["parameter"]
    events = [part for part in parameters if part["name"] == "notification-event"]
    assert [event["part"][0]["valueString"] for event in events] == ["2"]


@pytest.mark.parametrize(("kind", "found"), [("valueString", 1), ("valueId", 0)])
def test_the_server_knows_a_subscription_by_text_alone(
    serve: Any, kind: str, found: int
) -> None:
    server = serve()
    create(server, ask())
    asked = {"resourceType": "Parameters", "parameter": [{"name": "id", kind: "1"}]}
    told = requests.post(f"{server.url}/Subscription/$status", json=asked, timeout=30)

    assert told.json()["total"] == found
