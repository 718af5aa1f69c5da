"""A focus is read where it belongs, held where it belongs to nobody, and replayed."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from mappings.endpoint import Endpoint
from middleware.stages.replaying import Replayed, replay_quarantined
from middleware.storage import endpoints
from middleware.storage.intake import IntakeDatabase
from tests.stages.listening import listen, post, subscribe
from tests.stages.world import ENDPOINT, START, World, encounter

SOUTH = replace(ENDPOINT, id="south", name="South", fhir_base="https://south.test/fhir")
ALERT = "http://hl7.org/fhir/us/davinci-alerts/CodeSystem/notification-event"


def configure(world: World, **profile: Any) -> None:
    """Give the first endpoint a profile, and connect a second one."""
    with world.database.tx() as tx:
        endpoints.update_endpoint(tx, replace(ENDPOINT, profile=profile))
        if endpoints.get_endpoint(tx, SOUTH.id) is None:
            endpoints.insert_endpoint(tx, SOUTH, START)


@pytest.fixture
def hook(world: World, intake: IntakeDatabase) -> Client:
    subscribe(world)
    return listen(world, intake)


def notification(*foci: str, topic: str = "http://x.test/topic") -> bytes:
    """An R5 event-notification about these references."""
    status = {
        "resourceType": "SubscriptionStatus",
        "type": "event-notification",
        "subscription": {"reference": "Subscription/1"},
        "topic": topic,
        "notificationEvent": [
            {"eventNumber": str(number), "focus": {"reference": focus}}
            for number, focus in enumerate(foci, 1)
        ],
    }
    bundle = {"resourceType": "Bundle", "type": "subscription-notification"}
    return orjson.dumps({**bundle, "entry": [{"resource": status}]})


def kept(world: World) -> list[str]:
    rows = world.rows("SELECT endpoint_id, focus FROM inbox ORDER BY id")
    return [f"{row['endpoint_id']} {row['focus']}" for row in rows]


def states(world: World) -> list[str]:
    rows = world.rows("SELECT state FROM notification ORDER BY id")
    return [row["state"] for row in rows]


HOME = ENDPOINT.fhir_base


@pytest.mark.parametrize("base", [HOME, HOME.replace("127.", "127.0.0.1.127.")])
def test_a_focus_under_our_own_base_alone_is_ours(
    hook: Client, world: World, base: str
) -> None:
    assert post(hook, notification(f"{base}/Encounter/1")).status_code == 200
    assert kept(world) == (["north Encounter/1"] if base == HOME else [])


def test_http_and_https_of_one_base_are_alike(hook: Client, world: World) -> None:
    with world.database.tx() as tx:
        home = replace(ENDPOINT, fhir_base="https://north.test/fhir")
        endpoints.update_endpoint(tx, home)
    foci = (
        "http://north.test/fhir/Encounter/1",
        "https://NORTH.test:443/fhir/Encounter/2",
    )
    assert post(hook, notification(*foci)).status_code == 200
    assert kept(world) == ["north Encounter/1", "north Encounter/2"]
    assert states(world) == ["stored"]


def test_a_focus_of_nobody_is_held_and_the_others_go_on(
    hook: Client, world: World
) -> None:
    configure(world)
    body = notification(
        "Encounter/1",
        "http://169.254.169.254/latest/Encounter/2",
        "https://south.test/fhir/Encounter/3",
        f"{HOME}/Encounter/4",
    )
    assert post(hook, body).status_code == 200
    assert kept(world) == ["north Encounter/1", "north Encounter/4"]
    (row,) = world.rows("SELECT state, error FROM notification")
    assert row["state"] == "quarantined"
    assert row["error"].startswith("2 of its events")


def test_a_focus_of_another_endpoint_is_read_there(hook: Client, world: World) -> None:
    configure(world, focus_bases=[SOUTH.fhir_base, "https://nobody.test/fhir"])
    asked: list[str] = []

    def open_client(endpoint: Endpoint) -> Any:
        asked.append(endpoint.id)
        return world.fhir

    world.context = replace(world.context, fhir=open_client)
    world.fhir.put(encounter(id="3"))
    body = notification(
        "http://south.test/fhir/Encounter/3", "https://nobody.test/fhir/Encounter/9"
    )
    assert post(hook, body).status_code == 200
    assert kept(world) == ["south Encounter/3"]
    assert states(world) == ["quarantined"]
    world.run("resolve")
    assert asked == ["south"]


def test_an_alias_is_our_own_base(hook: Client, world: World) -> None:
    configure(world, aliases=["http://internal:8080/fhir"])
    assert post(hook, notification("http://internal:8080/fhir/Encounter/1"))
    assert kept(world) == ["north Encounter/1"]


def test_what_was_held_is_replayed_once_its_base_is_allowed(
    hook: Client, world: World
) -> None:
    configure(world)
    body = notification("Encounter/1", "https://south.test/fhir/Encounter/3")
    post(hook, body)
    assert replay(world) == Replayed(read=0, kept=1)
    assert states(world) == ["quarantined"]
    configure(world, focus_bases=[SOUTH.fhir_base])
    assert replay(world) == Replayed(read=1, kept=0)
    assert kept(world) == ["north Encounter/1", "south Encounter/3"]
    (row,) = world.rows("SELECT state, error, type, form, topic FROM notification")
    assert row == {
        "state": "stored",
        "error": None,
        "type": "event-notification",
        "form": "r5",
        "topic": "http://x.test/topic",
    }
    assert replay(world) == Replayed()
    (entry,) = world.rows("SELECT who, subject, detail FROM audit")
    assert entry == {"who": "A. Mehta", "subject": "receive", "detail": {"rows": 1}}


def replay(world: World) -> Replayed:
    return replay_quarantined(
        world.database, world.context.wake, "A. Mehta", world.clock.now()
    )


def test_what_could_not_be_read_is_replayed_with_the_present_parser(
    hook: Client, world: World
) -> None:
    post(hook, b"<x/>")
    with world.database.tx() as tx:
        # As if a parser of an earlier release had not known this form.
        tx.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, state, error) VALUES ('s1', %s, 'POST', '', '{}', %s, "
            "'quarantined', 'not read')",
            (START, notification("Encounter/1")),
        )
    assert replay(world) == Replayed(read=1, kept=1)
    assert (states(world), kept(world)) == (
        ["quarantined", "stored"],
        ["north Encounter/1"],
    )
    assert ("resolve", world.one("SELECT shard FROM inbox")) in world.wakes
    post(hook, notification("Encounter/1"))
    assert kept(world) == ["north Encounter/1"]


def test_the_topic_is_kept_with_the_event(hook: Client, world: World) -> None:
    stay = world.fhir.put(encounter())
    topic = "https://api.test/SubscriptionTopic/Encounter.check-in"
    post(hook, notification(stay, topic=topic))
    world.run()
    rows = world.rows(
        "SELECT DISTINCT n.topic FROM event e JOIN inbox i ON i.id = e.inbox_id "
        "JOIN notification n ON n.id = i.notification_id"
    )
    assert rows == [{"topic": topic}]


def alert(**encounter: Any) -> bytes:
    """A Da Vinci admit notification."""
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": ALERT, "code": "notification-admit"},
        "focus": [{"reference": "urn:uuid:2"}],
    }
    resource = {"resourceType": "Encounter", **encounter}
    entries = [{"resource": header}, {"fullUrl": "urn:uuid:2", "resource": resource}]
    bundle = {"resourceType": "Bundle", "type": "message", "entry": entries}
    return orjson.dumps(bundle)


@pytest.mark.parametrize("encounter", [{"id": "e1"}, {}])
def test_an_alert_comes_to_the_same_inbox(
    hook: Client, world: World, encounter: dict[str, str]
) -> None:
    answer = hook.post(
        "/hooks/hook-1/$process-message",
        data=alert(**encounter),
        headers={"X-CareCue-Secret": "right"},
    )
    assert answer.json["resourceType"] == "OperationOutcome"
    wanted = "north Encounter/e1" if encounter else "north None"
    assert kept(world) == [wanted]
    assert world.one("SELECT topic FROM notification") == f"{ALERT}|notification-admit"


def test_an_identifier_alone_is_searched_for(hook: Client, world: World) -> None:
    stay = world.fhir.put(encounter())
    body = orjson.loads(notification("x"))
    event = body["entry"][0]["resource"]["notificationEvent"][0]
    event["focus"] = {"identifier": {"system": "urn:x", "value": "2"}}
    assert post(hook, orjson.dumps(body)).status_code == 200
    world.run()
    assert {row["focus"] for row in world.rows("SELECT focus FROM event")} == {stay}


def test_xml_is_set_aside_and_not_lost(hook: Client, world: World) -> None:
    body = b'<Bundle xmlns="http://hl7.org/fhir"><type value="history"/></Bundle>'
    answer = hook.post(
        "/hooks/hook-1",
        data=body,
        content_type="application/fhir+xml",
        headers={"X-CareCue-Secret": "right"},
    )
    assert answer.status_code == 200
    (row,) = world.rows("SELECT state, body FROM notification")
    assert (row["state"], bytes(row["body"])) == ("quarantined", body)


def test_a_signature_counts_where_the_subscription_was_registered_so(
    world: World, intake: IntakeDatabase
) -> None:
    subscribe(world, proof="hmac")
    hook = listen(world, intake)
    body = notification("Encounter/1")
    for secret in (b"right", b"old"):
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature": f"sha256={signature}"}
        assert post(hook, body, headers=headers).status_code == 200
    assert post(hook, body).status_code == 401
    assert states(world) == ["stored", "stored"]


def test_what_the_database_cannot_take_is_still_kept(
    hook: Client, world: World
) -> None:
    body = orjson.loads(notification("Encounter/1"))
    event = body["entry"][0]["resource"]["notificationEvent"][0]
    event |= {"id": "a\0b", "timestamp": "2026-11-20T23:00:00Z"}
    assert post(hook, orjson.dumps(body)).status_code == 200
    assert (states(world), kept(world)) == (["stored"], ["north Encounter/1"])
    odd = hook.put(
        "/hooks/hook-1/Encounter/e%00x", headers={"X-CareCue-Secret": "right"}
    )
    assert odd.status_code == 200
