"""Every wire form, again and again, in any order: one effect for each thing once."""

from __future__ import annotations

import base64
import random
from datetime import timedelta
from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from middleware.stages.reconcile import poll_endpoints
from middleware.stages.recover import recover_subscriptions
from middleware.stages.track import track_subscriptions
from middleware.storage.intake import IntakeDatabase
from tests.stages.listening import FHIR, SECRET, listen, notification, subscribe
from tests.stages.world import ENDPOINT, World, appointment, encounter

BASE = ENDPOINT.fhir_base
Delivery = tuple[str, str, dict[str, str], bytes]
INSTANT = "2026-11-20T23:00:00.1234567Z"


@pytest.fixture
def hook(world: World, intake: IntakeDatabase) -> Client:
    subscribe(world)
    return listen(world, intake)


def post(body: Any, **headers: str) -> Delivery:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return "POST", "", named, text


def bundle(kind: str, *entries: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def status(kind: str, *events: Any, **changes: Any) -> dict[str, Any]:
    """A SubscriptionStatus as R4B and R5 write it."""
    return {
        "resource": {
            "resourceType": "SubscriptionStatus",
            "status": "active",
            "type": kind,
            "subscription": {"reference": f"{BASE}/Subscription/1"},
            "notificationEvent": list(events),
            **changes,
        }
    }


def told(number: Any, focus: str, **changes: Any) -> dict[str, Any]:
    return {"eventNumber": number, "focus": {"reference": focus}, **changes}


def entry(resource: dict[str, Any]) -> dict[str, Any]:
    name = f"{resource['resourceType']}/{resource['id']}"
    return {
        "fullUrl": f"{BASE}/{name}",
        "resource": resource,
        "request": {"method": "PUT", "url": name},
        "response": {"status": "200", "etag": f'W/"{resource["meta"]["versionId"]}"'},
    }


def parameters(kind: str, *more: Any) -> dict[str, Any]:
    """A status as HAPI and others write it for R4: relative, and by the day."""
    named = [
        {"name": "subscription", "valueString": "1"},
        {"name": "type", "valueCode": kind},
        *more,
    ]
    return {"resource": {"resourceType": "Parameters", "parameter": named}}


def part(focus: dict[str, Any], *more: Any) -> dict[str, Any]:
    return {"name": "notification-event", "part": [{"name": "focus", **focus}, *more]}


def numbered_forms(stay: str, first: Any, last: Any) -> list[Delivery]:
    """Topic notifications in R4, R4B and R5, with everything that they may hold."""
    place = f"{BASE}/{stay}"
    own = told("2", place, id="audit-1", timestamp=INSTANT)
    return [
        post(notification(1, stay, resource=first)),
        post(notification(2, stay, resource=last)),
        post(notification(3, stay)),
        post(bundle("history", status("handshake", eventsSinceSubscriptionStart="0"))),
        post(bundle("history", status("heartbeat", told("3", place)))),
        post(bundle("history", status("event-notification", told("1", place), own))),
        post(bundle("history", status("event-notification", told("0", place)))),
        post(
            bundle(
                "subscription-notification",
                status("event-notification", told(4, place), topic="t"),
                entry(last),
            )
        ),
        post(
            bundle("history", parameters("event-notification", part({}), entry(last)))
        ),
        post(
            bundle(
                "history",
                parameters(
                    "event-notification",
                    part(
                        {"valueReference": {"reference": stay}},
                        {"name": "timestamp", "valueDate": "2026-11-20"},
                    ),
                ),
            )
        ),
        post(
            bundle(
                "history", parameters("event-notification", part({"valueUri": place}))
            )
        ),
    ]


def other_forms(stay: str, visit: str, last: Any, booked: Any) -> list[Delivery]:
    """What is no topic notification: criteria, vendors, messages, cloud events."""
    inner = bundle("history", status("event-notification", told(5, f"{BASE}/{stay}")))
    header = {"resource": {"resourceType": "MessageHeader", "id": "m1"}}
    cloud = {
        "specversion": "1.0",
        "id": "cloud-1",
        "type": "Microsoft.HealthcareApis.FhirResourceUpdated",
        "time": INSTANT,
        "data": {
            "resourceType": "Encounter",
            "resourceFhirId": "stay",
            "resourceVersionId": 2,
        },
    }
    return [
        ("PUT", visit, {}, orjson.dumps(booked)),
        ("PUT", stay, {"If-Match": '"2"'}, orjson.dumps(last)),
        ("PUT", stay, {}, b""),
        ("POST", "", {}, b""),
        ("DELETE", "Encounter/gone", {}, b""),
        post(booked),
        post(last, X_Medplum_Subscription="1", X_Medplum_Interaction="update"),
        post(b"{}", X_Medplum_Deleted_Resource="Encounter/gone"),
        post(bundle("transaction", entry(last), entry(booked))),
        post(bundle("message", header, {"resource": inner})),
        post(cloud),
        post([cloud]),
    ]


def pubsub_forms(stay: str, last: Any) -> list[Delivery]:
    """Google's Pub/Sub: a name or a resource, wrapped and, as headers, unwrapped."""
    store = "projects/p/locations/l/datasets/d/fhirStores/s/fhir"
    attributes = {
        "action": "UpdateResource",
        "resourceType": "Encounter",
        "lastUpdatedTime": INSTANT,
        "versionId": "2",
    }
    whole = orjson.dumps(last)

    def push(data: bytes, number: int) -> Delivery:
        message = {
            "data": base64.b64encode(data).decode(),
            "attributes": attributes,
            "messageId": f"pubsub-{number}",
            "publishTime": INSTANT,
        }
        return post({"message": message, "subscription": "projects/p/subscriptions/s"})

    unwrapped = {"X-Goog-Pubsub-Message-Id": "pubsub-3", **attributes}
    return [
        push(f"{store}/{stay}/_history/2".encode(), 1),
        push(whole, 2),
        ("POST", "", unwrapped, f"{store}/{stay}".encode()),
        ("POST", "", {**unwrapped, "X-Goog-Pubsub-Message-Id": "pubsub-4"}, whole),
    ]


def message_forms(stay: str, last: Any) -> list[Delivery]:
    """Da Vinci's alerts by $process-message, bare and in Parameters."""
    header = {
        "resource": {
            "resourceType": "MessageHeader",
            "id": "m2",
            "eventCoding": {
                "system": "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/"
                "notification-event",
                "code": "notification-discharge",
            },
            "source": {"endpoint": "https://ehr.example.org"},
            "focus": [{"reference": f"{BASE}/{stay}"}],
        }
    }
    message = bundle("message", header, entry(last))
    asked = {
        "resourceType": "Parameters",
        "parameter": [{"name": "content", "resource": message}],
    }
    return [
        ("POST", "$process-message", {}, orjson.dumps(message)),
        ("POST", "$process-message", {}, orjson.dumps(asked)),
    ]


def isik_form(stay: str) -> Delivery:
    """ISiK: R4 history, references relative, a day where an instant belongs."""
    return post(
        bundle(
            "history",
            parameters(
                "event-notification",
                {"name": "topic", "valueCanonical": "https://gematik.example/topic"},
                {"name": "status", "valueCode": "active"},
                {"name": "events-since-subscription-start", "valueString": "1"},
                part(
                    {"valueReference": {"reference": stay}},
                    {"name": "event-number", "valueString": "1"},
                    {"name": "timestamp", "valueDate": "2026-11-20"},
                ),
            ),
        )
    )


def socket_forms(stay: str, last: Any) -> list[Delivery]:
    """What comes by WebSocket: several heartbeats in one, events numbered nought."""
    second = {"subscription": {"reference": "Subscription/2"}}
    event = status("event-notification", told("0", stay), timestamp=INSTANT)
    return [
        post(bundle("history", status("heartbeat"), status("heartbeat", **second))),
        post(bundle("history", event, entry(last))),
    ]


def corpus(world: World) -> list[Delivery]:
    """Tell of a stay that ended, a visit and a stay that was deleted, in every form."""
    stay = world.fhir.put(encounter(status="in-progress", hospitalization=...))
    world.fhir.put(encounter())
    visit = world.fhir.put(appointment())
    world.fhir.put(encounter(id="gone", status="planned", hospitalization=...))
    world.fhir.put({"resourceType": "Encounter", "id": "gone", "_deleted": True})
    first, last = world.fhir.versions[stay]
    booked = world.fhir.versions[visit][-1]
    return [
        *numbered_forms(stay, first, last),
        *other_forms(stay, visit, last, booked),
        *pubsub_forms(stay, last),
        *message_forms(stay, last),
        isik_form(stay),
        *socket_forms(stay, last),
    ]


def play(hook: Client, deliveries: list[Delivery]) -> None:
    for method, tail, headers, body in deliveries:
        answer = hook.open(
            f"/hooks/hook-1/{tail}".rstrip("/"),
            method=method,
            data=body,
            content_type=FHIR,
            headers={**SECRET, **headers},
        )
        assert answer.status_code == 200


def settle(world: World) -> None:
    """Let every stage do what it has to, the poll and the recovery, too."""
    for _ in range(2):
        track_subscriptions(world.context)
        recover_subscriptions(world.context)
        poll_endpoints(world.context)
        world.run()
        world.clock.instant += timedelta(seconds=11)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_whole_corpus_again_three_times_changes_nothing(
    hook: Client, world: World, seed: int
) -> None:
    deliveries = corpus(world)
    play(hook, deliveries)
    settle(world)
    rows = world.rows("SELECT state FROM notification WHERE state <> 'stored'")
    assert rows == []
    kinds = world.rows("SELECT focus, kind FROM event ORDER BY focus, kind")
    told = {f"{row['focus']} {row['kind']}" for row in kinds}
    assert {
        "Appointment/visit appointment-booked",
        "Encounter/stay encounter-admitted",
        "Encounter/stay encounter-discharged",
    } <= told
    before = world.snapshot()

    again = deliveries * 3
    random.Random(seed).shuffle(again)
    for start in range(0, len(again), 23):
        play(hook, again[start : start + 23])
        settle(world)
        assert world.snapshot() == before


@pytest.mark.parametrize("seed", [4, 5])
def test_whatever_comes_first_the_same_comes_of_it(
    hook: Client, world: World, seed: int
) -> None:
    deliveries = corpus(world) * 3
    random.Random(seed).shuffle(deliveries)
    play(hook, deliveries)
    settle(world)
    rows = world.rows("SELECT focus, kind FROM event WHERE focus <> 'Encounter/gone'")
    assert sorted(f"{row['focus']} {row['kind']}" for row in rows) == [
        "Appointment/visit appointment-booked",
        "Encounter/stay encounter-admitted",
        "Encounter/stay encounter-discharged",
    ]
    before = world.snapshot()
    play(hook, deliveries)
    settle(world)
    assert world.snapshot() == before
