"""The spellings of a notification, and what a Subscription asks for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from middleware.sandbox.definition import (
    BACKPORT,
    BACKPORT_PROFILE,
    RefusedError,
    is_loopback,
    read_definition,
)
from middleware.sandbox.topics import find_topic, topic_basics, topic_canonicals
from middleware.sandbox.wire import (
    Event,
    Standing,
    write_instant,
    write_notification,
    write_status_bundle,
)

NOW = datetime(2026, 11, 2, 15, 4, 5, 678901, UTC)
BASE = "http://127.0.0.1:8090/fhir"
TOPIC = "http://sandbox.example.org/SubscriptionTopic/encounter-change"
RESOURCE = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "IMP"},
}


def event(number: int, interaction: str = "update") -> Event:
    resource = None if interaction == "delete" else RESOURCE
    return Event(number, interaction, "Encounter", "e1", 3, NOW, resource)


def standing(form: Any = "backport", count: int = 2) -> Standing:
    return Standing(BASE, "s1", form, TOPIC, "active", count)


def subscription(**channel: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "criteria": "Encounter?status=finished",
        "channel": {
            "type": "rest-hook",
            "endpoint": "http://127.0.0.1:9/hook",
            "payload": "application/fhir+json",
            **channel,
        },
    }


def backport(*filters: str) -> dict[str, Any]:
    url = f"{BACKPORT}backport-filter-criteria"
    return {
        **subscription(),
        "meta": {"profile": [BACKPORT_PROFILE]},
        "criteria": TOPIC,
        "_criteria": {"extension": [{"url": url, "valueString": f} for f in filters]},
    }


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "event-notification"])
def test_r4_notification_is_a_valid_bundle(content, kind):
    from fhirclient.models.bundle import Bundle

    events = [event(1, "create"), event(2)] if kind == "event-notification" else []
    bundle = write_notification(standing(), kind, content, events, NOW)
    read = Bundle(bundle, strict=True)
    assert read.as_json() == bundle
    assert len({entry.fullUrl for entry in read.entry}) == (
        1 if content == "empty" or not events else 2
    )


def test_r4_status_names_its_parts_in_order():
    bundle = write_notification(
        standing(), "event-notification", "id-only", [event(2)], NOW
    )
    assert bundle["entry"][0]["resource"]["parameter"] == [
        {
            "name": "subscription",
            "valueReference": {"reference": f"{BASE}/Subscription/s1"},
        },
        {"name": "topic", "valueCanonical": TOPIC},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": "2"},
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": "2"},
                {"name": "timestamp", "valueInstant": "2026-11-02T15:04:05.678Z"},
                {
                    "name": "focus",
                    "valueReference": {"reference": f"{BASE}/Encounter/e1"},
                },
            ],
        },
    ]


def test_full_resource_of_a_delete_has_no_resource():
    bundle = write_notification(
        standing(), "event-notification", "full-resource", [event(2, "delete")], NOW
    )
    entry = bundle["entry"][1]
    assert entry["request"] == {"method": "DELETE", "url": "Encounter/e1"}
    assert entry["response"]["status"] == "204"
    assert "resource" not in entry


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_r5_status_is_valid_and_spells_integer64_as_text(content):
    from fhir.resources.subscriptionstatus import SubscriptionStatus

    bundle = write_notification(
        standing("r5"), "event-notification", content, [event(2)], NOW
    )
    status = bundle["entry"][0]["resource"]
    SubscriptionStatus.model_validate(status)
    assert bundle["type"] == "subscription-notification"
    assert status["eventsSinceSubscriptionStart"] == "2"
    assert status["notificationEvent"][0]["eventNumber"] == "2"
    assert ("topic" in status) is (content != "empty")


def test_status_bundle_is_a_valid_searchset():
    from fhirclient.models.bundle import Bundle

    bundle = write_status_bundle([standing()], f"{BASE}/Subscription/$status")
    assert Bundle(bundle, strict=True).as_json() == bundle
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert "entry" not in write_status_bundle([], BASE)


def test_instants_are_utc_milliseconds():
    assert write_instant(NOW) == "2026-11-02T15:04:05.678Z"


def test_topics_are_found_by_canonical():
    assert topic_canonicals()[0] == TOPIC
    assert find_topic(f"{TOPIC}|1.0").resource == "Encounter"
    assert find_topic("http://example.org/other") is None
    assert [basic["id"] for basic in topic_basics()] == [
        "encounter-change",
        "appointment-change",
        "careplan-change",
        "patient-change",
        "procedure-change",
    ]


def test_topics_are_valid_basics():
    from fhirclient.models.basic import Basic

    for basic in topic_basics():
        assert Basic(basic, strict=True).as_json() == basic


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Encounter?status=finished&class=IMP", "status class"),
        ("Encounter.patient=Patient/1", "patient"),
        ("patient=Patient/1", "patient"),
        ("status:not=planned", "status:not"),
    ],
)
def test_filters_are_read_in_every_spelling(text, expected):
    definition = read_definition(backport(text))
    assert [name for name, _ in definition.queries] == expected.split()


@pytest.mark.parametrize("text", ["Patient?active=true", "", "nonsense"])
def test_filters_that_cannot_hold_are_refused(text):
    with pytest.raises(RefusedError):
        read_definition(backport(text))


def test_criteria_may_begin_with_a_slash():
    definition = read_definition(
        {**subscription(), "criteria": "/Encounter?status=a,b"}
    )
    assert (definition.type, definition.queries) == ("Encounter", (("status", "a,b"),))


@pytest.mark.parametrize(
    "channel",
    [
        {"type": "websocket"},
        {"payload": "application/fhir+xml"},
        {"header": ["no colon"]},
        {"header": ["Host: example.org"]},
        {"header": ["X: a\r\nY: b"]},
        {"endpoint": "ftp://127.0.0.1/x"},
        {"extension": [{"url": f"{BACKPORT}backport-timeout", "valueUnsignedInt": 0}]},
    ],
)
def test_channels_that_cannot_be_served_are_refused(channel):
    with pytest.raises(RefusedError):
        read_definition(subscription(**channel))


def test_end_without_zone_is_refused():
    with pytest.raises(RefusedError):
        read_definition({**subscription(), "end": "2026-11-02T15:00:00"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080/hook", True),
        ("http://127.9.9.9/hook", True),
        ("https://localhost/hook", True),
        ("http://[::1]:80/hook", True),
        ("http://localhost.example.org/", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://127.0.0.1:99999/", False),
        ("http://192.0.2.7/", False),
        ("http://0.0.0.0/", False),
        ("/hook", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url, expected):
    assert is_loopback(url) is expected
