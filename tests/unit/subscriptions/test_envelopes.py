"""Notifications inside the envelopes of clouds and of FHIR messaging."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mappings.errors import NotificationError
from subscriptions.notification import Notification, NotificationType
from subscriptions.parsing import parse_notification
from subscriptions.statuses import MOST_ENTRIES
from tests.unit.subscriptions.envelopes import (
    ALERTS,
    AZURE,
    STORE,
    cloud,
    data,
    message,
    pubsub,
)
from tests.unit.subscriptions.wire import (
    ENCOUNTER,
    bundle,
    entry,
    r4_event,
    r4_status,
    r5_event,
    r5_status,
)


def parse(
    body: Any, method: str = "POST", tail: str = "", **headers: str
) -> Notification:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_notification(method, tail, named, raw)


def told(found: Notification) -> list[tuple[str | None, str | None, str]]:
    return [(e.focus, e.version, e.interaction) for e in found.events]


# --- CloudEvents and Event Grid ---------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "interaction"),
    [("Created", "create"), ("Updated", "update"), ("Deleted", "delete")],
)
def test_an_event_in_structured_mode(kind: str, interaction: str) -> None:
    found = parse(cloud(kind), Content_Type="application/cloudevents+json")
    assert told(found) == [("Encounter/e1", "2", interaction)]
    assert (found.events[0].event_id, found.form) == ("c1", "cloud-events")


def test_an_event_in_binary_mode() -> None:
    headers = {
        "Ce_Specversion": "1.0",
        "ce_id": "c%201",
        "ce_type": f"{AZURE}Deleted",
        "ce_time": "2026-03-01T08:30:15Z",
        "ce_source": "/x",
        "Content_Type": "application/json",
    }
    found = parse(data(), **headers)
    assert told(found) == [("Encounter/e1", "2", "delete")]
    assert found.events[0].event_id == "c 1"
    assert found.events[0].timestamp is not None


def test_a_whole_resource_in_binary_mode() -> None:
    found = parse(ENCOUNTER, ce_specversion="1.0", ce_type="org.example.changed")
    assert told(found) == [("Encounter/e1", "3", "update")]


def test_an_empty_event_in_binary_mode_is_set_aside() -> None:
    with pytest.raises(NotificationError) as caught:
        parse(b"", ce_specversion="1.0", ce_type=f"{AZURE[:-4]}DicomCreated")
    assert caught.value.quarantine


def test_a_batch_leaves_out_what_is_not_fhir_and_loses_no_event() -> None:
    dicom = cloud(type="Microsoft.HealthcareApis.DicomImageCreated", data={"x": 1})
    odd = cloud(data={"resourceType": "Appointment"}, id="c3")
    found = parse([dicom, cloud(), odd])
    assert told(found) == [("Encounter/e1", "2", "update"), (None, None, "update")]
    assert found.events[1].focus_type == "Appointment"


@pytest.mark.parametrize("inner", [None, {"resourceType": "Bundle", "id": "b1"}])
def test_an_event_about_something_else_is_set_aside(inner: Any) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(cloud(type="other", data=inner))
    assert caught.value.quarantine


def test_an_event_in_event_grids_own_schema() -> None:
    item = {"id": "g1", "eventType": f"{AZURE}Updated", "subject": "s", "data": data()}
    found = parse([{**item, "eventTime": "2026-03-01T08:30:15Z", "dataVersion": "1"}])
    assert told(found) == [("Encounter/e1", "2", "update")]
    assert found.events[0].event_id == "g1"


@pytest.mark.parametrize("shape", ["eventType", "type"])
def test_event_grid_gets_its_code_back(shape: str) -> None:
    item = {shape: "Microsoft.EventGrid.SubscriptionValidationEvent", "id": "v"}
    if shape == "type":
        item["specversion"] = "1.0"
    found = parse([{**item, "data": {"validationCode": "A-1"}}])
    assert (found.echo, found.events) == ("A-1", ())
    assert found.type is NotificationType.HANDSHAKE


# --- Pub/Sub ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "interaction"),
    [
        ("CreateResource", "create"),
        ("UpdateResource", "update"),
        ("PatchResource", "update"),
        ("DeleteResource", "delete"),
    ],
)
def test_a_message_with_the_name_only(action: str, interaction: str) -> None:
    body = pubsub(f"{STORE}/Encounter/e1", action=action, resourceType="Encounter")
    found = parse(body)
    assert told(found) == [("Encounter/e1", None, interaction)]
    event = found.events[0]
    assert (event.event_id, event.focus_base) == ("m1", None)
    assert (found.form, found.topic) == ("pubsub", action)


def test_a_message_with_a_version() -> None:
    name = f"{STORE}/Encounter/e1/_history/v-7"
    assert told(parse(pubsub(name))) == [("Encounter/e1", "v-7", "update")]
    attributed = pubsub(f"{STORE}/Encounter/e1", versionId="v-8")
    assert told(parse(attributed)) == [("Encounter/e1", "v-8", "update")]


def test_a_message_with_the_resource() -> None:
    found = parse(pubsub(ENCOUNTER, payloadType="FullResource"))
    assert told(found) == [("Encounter/e1", "3", "update")]
    assert found.events[0].resource == ENCOUNTER


def test_a_message_with_the_time_of_the_change() -> None:
    at = "2026-03-02T01:02:03.456Z"
    found = parse(pubsub(f"{STORE}/Encounter/e1", lastUpdatedTime=at))
    assert str(found.events[0].timestamp) == "2026-03-02 01:02:03.456000+00:00"


@pytest.mark.parametrize("payload", [None, "nonsense", {"resourceType": "Encounter"}])
def test_a_message_with_the_type_alone_is_searched_for(payload: Any) -> None:
    found = parse(pubsub(payload, resourceType="Appointment"))
    assert told(found) == [(None, None, "update")]
    assert found.events[0].focus_type == "Appointment"


@pytest.mark.parametrize(
    ("body", "version"), [(f"{STORE}/Encounter/e1".encode(), None), (ENCOUNTER, "3")]
)
def test_a_message_without_its_envelope(body: Any, version: str | None) -> None:
    headers = {
        "X_Goog_Pubsub_Message_Id": "m1",
        "action": "DeleteResource",
        "resourceType": "Encounter",
    }
    found = parse(body, **headers)
    assert told(found) == [("Encounter/e1", version, "delete")]
    assert (found.events[0].event_id, found.topic) == ("m1", "DeleteResource")


@pytest.mark.parametrize(
    "message", [{"data": "!!"}, {"attributes": {"a": "b"}}, {"data": None}]
)
def test_a_message_about_nothing_is_set_aside(message: Any) -> None:
    with pytest.raises(NotificationError) as caught:
        parse({"message": message})
    assert caught.value.quarantine


# --- messages ---------------------------------------------------------------------


@pytest.mark.parametrize("code", ["admit", "discharge", "transfer"])
def test_an_alert_keeps_its_kind(code: str) -> None:
    coding = {"system": ALERTS, "code": f"notification-{code}"}
    body = message({"fullUrl": "urn:uuid:2", "resource": ENCOUNTER}, eventCoding=coding)
    found = parse(body, tail="$process-message")
    assert told(found) == [("Encounter/e1", "3", "update")]
    assert (found.form, found.topic) == ("message", f"{ALERTS}|notification-{code}")


def test_an_alert_within_parameters() -> None:
    inner = message({"fullUrl": "urn:uuid:2", "resource": ENCOUNTER})
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "content", "resource": inner}],
    }
    assert told(parse(body, tail="$process-message"))[0][0] == "Encounter/e1"


def test_a_message_about_a_resource_without_id_is_searched_for() -> None:
    booked = {"resourceType": "Appointment", "status": "booked"}
    found = parse(message({"fullUrl": "urn:uuid:2", "resource": booked}))
    assert told(found) == [(None, None, "update")]
    assert found.events[0].focus_type == "Appointment"


def test_a_message_of_a_resource_elsewhere_keeps_its_base() -> None:
    focus = [{"reference": "https://other.example.org/fhir/Encounter/9"}]
    (event,) = parse(message(focus=focus, eventUri="urn:x", eventCoding=None)).events
    assert event.focus_base == "https://other.example.org/fhir"


@pytest.mark.parametrize(
    "body",
    [
        message(focus=[]),
        message(focus=[{"display": "?"}]),
        {"resourceType": "Bundle", "type": "message", "entry": []},
        {"resourceType": "Bundle", "type": "message", "entry": [entry(ENCOUNTER)]},
    ],
)
def test_a_message_about_nothing_is_quarantined(body: Any) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(body)
    assert caught.value.quarantine


# --- events that name no resource -------------------------------------------------


@pytest.mark.parametrize("kind", ["Appointment", "http://hl7.org/fhir/Appointment"])
def test_an_identifier_tells_at_least_the_type(kind: str) -> None:
    focus = {"type": kind, "identifier": {"system": "urn:x", "value": "2"}}
    r5 = {**r5_event(), "focus": focus, "id": "audit-1"}
    (event,) = parse(bundle(r5_status("event-notification", r5))).events
    assert (event.focus, event.focus_type) == (None, "Appointment")
    r4 = r4_event(focus=None)
    r4["part"].append({"name": "focus", "valueReference": focus})
    (event,) = parse(bundle(r4_status("event-notification", r4))).events
    assert (event.focus, event.focus_type) == (None, "Appointment")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_empty_body_is_a_ping_whatever_its_type(kind: str, method: str) -> None:
    assert parse(b"", method, Content_Type=kind).type is NotificationType.PING


def test_an_empty_body_at_a_type_tells_the_type() -> None:
    (event,) = parse(b"", tail="Appointment").events
    assert (event.focus, event.focus_type) == (None, "Appointment")


def test_an_empty_object_of_medplum_is_a_ping() -> None:
    found = parse(b"{}", X_Medplum_Interaction="delete")
    assert found.type is NotificationType.PING


@pytest.mark.parametrize("tail", ["Encounter", "Parameters/$x", "anything/else"])
def test_a_body_that_names_itself_may_come_to_any_path(tail: str) -> None:
    assert told(parse(ENCOUNTER, tail=tail))[0][0] == "Encounter/e1"
    assert parse(bundle(r4_status("heartbeat")), tail=tail).count == 7


def test_a_heartbeat_beside_an_event_is_an_event() -> None:
    second = {"resource": r5_status("event-notification", r5_event())}
    found = parse(bundle(r5_status("heartbeat"), second))
    assert (found.type, len(found.events)) == (NotificationType.EVENT, 1)


# --- XML and limits ---------------------------------------------------------------

XML = b'<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"><type value="x"/>'


@pytest.mark.parametrize(
    "kind",
    [
        "application/fhir+xml",
        "application/xml; charset=utf-8",
        "text/xml",
        "text/plain",
    ],
)
def test_xml_of_fhir_is_set_aside(kind: str) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(XML, Content_Type=kind)
    assert caught.value.quarantine


def test_other_xml_is_refused() -> None:
    with pytest.raises(NotificationError) as caught:
        parse(b"<soap:Envelope/>", Content_Type="text/xml")
    assert (caught.value.quarantine, caught.value.status) == (False, 415)


@pytest.mark.parametrize(
    "body",
    [
        bundle(r4_status("heartbeat"), *([{}] * MOST_ENTRIES)),
        bundle(r5_status("event-notification", *([r5_event()] * (MOST_ENTRIES + 1)))),
        [cloud() for _ in range(MOST_ENTRIES + 1)],
    ],
)
def test_more_entries_or_events_than_allowed_are_set_aside(body: Any) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(body)
    assert caught.value.quarantine


@pytest.mark.parametrize("number", ["0" * 5000 + "7", "0", "000"])
def test_leading_zeros_change_nothing(number: str) -> None:
    found = parse(bundle(r5_status("heartbeat", eventsSinceSubscriptionStart=number)))
    assert found.count == int(number[-1])


@pytest.mark.parametrize("number", ["1" * 5000, "9" * 20, 1e300])
def test_a_number_out_of_range_is_set_aside(number: Any) -> None:
    with pytest.raises(NotificationError):
        parse(bundle(r5_status("heartbeat", eventsSinceSubscriptionStart=number)))


def test_no_text_holds_what_no_database_takes() -> None:
    event = {**r5_event(), "id": "a\0b", "focus": {"reference": "Encounter/e1"}}
    status = r5_status("event-notification", event, topic="t\0", status="act\0ive")
    changed = {**ENCOUNTER, "meta": {"versionId": "\0004"}}
    found = parse(bundle(status, entry(changed)))
    assert "\0" not in repr((found.events[0].event_id, found.topic, found.status))
    assert found.events[0].version == "4"
