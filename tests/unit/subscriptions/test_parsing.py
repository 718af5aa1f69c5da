from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import NotificationError
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.parsing import parse_notification
from tests.unit.subscriptions.wire import (
    BASE,
    ENCOUNTER,
    SUBSCRIPTION,
    bundle,
    entry,
    r4_event,
    r4_status,
    r5_event,
    r5_status,
)

AT = datetime(2026, 3, 1, 8, 30, 15, 123456, tzinfo=UTC)
UPDATED = datetime(2026, 3, 1, 8, 30, 15, 123000, tzinfo=UTC)


def parse(body: Any, method: str = "POST", tail: str = "", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_notification(method, tail, headers, raw)


def event(**changes: Any) -> NotificationEvent:
    fields: dict[str, Any] = {
        "focus": "Encounter/e1",
        "version": "3",
        "number": 7,
        "timestamp": AT,
        "focus_base": BASE,
        **changes,
    }
    return NotificationEvent(**fields)


def notification(
    kind: NotificationType, form: str, *events: NotificationEvent
) -> Notification:
    return Notification(
        kind,
        form,
        events,
        count=7,
        status="active",
        topic="http://example.org/topic",
        subscription=SUBSCRIPTION,
    )


FORMS = {
    "r4-backport": (r4_status, r4_event, "history"),
    "r4b": (r5_status, r5_event, "history"),
    "r5": (r5_status, r5_event, "subscription-notification"),
}


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "query-status"])
def test_a_notification_without_events(form: str, kind: str) -> None:
    status, _, bundle_type = FORMS[form]
    found = parse(bundle(status(kind), kind=bundle_type))
    assert found == notification(NotificationType(kind), form)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("form", FORMS)
def test_an_event_with_empty_content(form: str) -> None:
    status, make, bundle_type = FORMS[form]
    body = bundle(status("event-notification", make("7", None)), kind=bundle_type)
    expected = event(focus=None, version=None, focus_base=None)
    assert parse(body) == notification(NotificationType.EVENT, form, expected)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("form", FORMS)
def test_an_event_with_ids_only(form: str) -> None:
    status, make, bundle_type = FORMS[form]
    body = bundle(status("event-notification", make()), entry(), kind=bundle_type)
    assert parse(body) == notification(NotificationType.EVENT, form, event())


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@71")
@pytest.mark.parametrize("form", FORMS)
def test_an_event_with_the_resource(form: str) -> None:
    status, make, bundle_type = FORMS[form]
    made = entry(ENCOUNTER, "POST", response={"status": "201"})
    body = bundle(status("event-notification", make()), made, kind=bundle_type)
    expected = event(interaction="create", resource=ENCOUNTER)
    assert parse(body) == notification(NotificationType.EVENT, form, expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_events_inside_a_handshake_or_heartbeat_are_read(form: str, kind: str) -> None:
    status, make, bundle_type = FORMS[form]
    found = parse(bundle(status(kind, make()), entry(), kind=bundle_type))
    assert found.type == NotificationType(kind)
    assert found.events == (event(),)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [7, "7", 7.0, " 7"])
def test_a_number_may_be_a_number_or_a_text(form: str, number: object) -> None:
    status, make, bundle_type = FORMS[form]
    body = bundle(status("event-notification", make(number)), kind=bundle_type)
    assert parse(body).events[0].number == 7


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", ["abc", "-1", "1.5", True, 1.5, "9" * 30, {}, "٣"])
def test_a_number_that_is_none_is_set_aside(form: str, number: object) -> None:
    status, make, bundle_type = FORMS[form]
    body = bundle(status("event-notification", make(number)), kind=bundle_type)
    with pytest.raises(NotificationError) as caught:
        parse(body)
    assert caught.value.quarantine


def test_several_events_keep_their_order() -> None:
    events = [r4_event("6", f"{BASE}/Encounter/e0"), r4_event("7")]
    other = entry(fullUrl=f"{BASE}/Encounter/e0", response={"etag": 'W/"1"'})
    body = bundle(r4_status("event-notification", *events), entry(), other)
    found = parse(body)
    assert [(e.number, e.focus, e.version) for e in found.events] == [
        (6, "Encounter/e0", "1"),
        (7, "Encounter/e1", "3"),
    ]


def test_events_of_one_resource_keep_their_versions() -> None:
    events = [r4_event(number) for number in ("6", "7", "8")]
    entries = [
        entry(response={"etag": 'W/"3"'}),
        entry(method="DELETE", response={"status": "204", "etag": 'W/"4"'}),
    ]
    found = parse(bundle(r4_status("event-notification", *events), *entries)).events
    assert [(e.number, e.version, e.interaction) for e in found] == [
        (6, "3", "update"),
        (7, "4", "delete"),
        (8, "4", "delete"),
    ]


def test_a_deletion_is_told_by_its_entry() -> None:
    body = bundle(
        r4_status("event-notification", r4_event()),
        entry(method="DELETE", response={"status": "204", "etag": 'W/"4"'}),
    )
    assert parse(body).events == (event(version="4", interaction="delete"),)


@pytest.mark.parametrize(
    ("focus", "expected"),
    [
        ("Encounter/e1", ("Encounter/e1", None, None)),
        ("Encounter/e1/_history/9", ("Encounter/e1", "9", None)),
        (f"{BASE}/Encounter/e1/_history/9", ("Encounter/e1", "9", BASE)),
        (
            "http://169.254.169.254/latest/Encounter/e1",
            ("Encounter/e1", None, "http://169.254.169.254/latest"),
        ),
        ("urn:uuid:5fe62cd5-bfcf-4d3b-a1e9-80d6f75d6f82", (None, None, None)),
        ("Encounter/..", (None, None, None)),
        ("nonsense", (None, None, None)),
        (7, (None, None, None)),
    ],
)
def test_a_focus_is_taken_apart_and_never_followed(
    focus: object, expected: tuple[str | None, ...]
) -> None:
    body = bundle(r5_status("event-notification", r5_event("7", focus)))
    found = parse(body).events[0]
    assert (found.focus, found.version, found.focus_base) == expected


def test_a_focus_by_full_url_is_found_in_the_bundle() -> None:
    body = bundle(
        r5_status("event-notification", r5_event("7", "urn:uuid:2")),
        {"fullUrl": "urn:uuid:2", "resource": ENCOUNTER},
    )
    found = parse(body).events[0]
    assert (found.focus, found.version) == ("Encounter/e1", "3")


def test_a_focus_by_identifier_alone_leaves_the_event() -> None:
    made = {**r5_event(), "focus": {"identifier": {"value": "1"}}, "id": "audit-1"}
    found = parse(bundle(r5_status("event-notification", made))).events[0]
    assert (found.focus, found.event_id, found.number) == (None, "audit-1", 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"subscription": ("valueString", SUBSCRIPTION)},
        {"topic": ("valueUri", "http://example.org/topic")},
        {"status": ("valueCode", "Active")},
        {"unknown": ("valueCoding", {"code": "x"})},
    ],
)
def test_other_spellings_of_the_status_are_read(changes: dict[str, Any]) -> None:
    found = parse(bundle(r4_status("heartbeat", **changes)))
    assert found == notification(NotificationType.HEARTBEAT, "r4-backport")


def test_what_is_missing_is_none() -> None:
    nothing = {"topic": None, "status": None, "events-since-subscription-start": None}
    found = parse(bundle(r4_status("heartbeat", **nothing)))
    assert (found.topic, found.status, found.count) == (None, None, None)


def test_errors_are_kept() -> None:
    concept = {"coding": [{"code": "no-response", "display": "No response"}]}
    found = parse(bundle(r5_status("heartbeat", status="error", error=[concept])))
    assert (found.status, found.errors) == ("error", ("No response",))


def test_several_status_entries_are_one_notification() -> None:
    body = bundle(
        r5_status("heartbeat"), {"resource": r5_status("heartbeat", r5_event())}
    )
    found = parse(body)
    assert (found.type, len(found.events)) == (NotificationType.HEARTBEAT, 1)


def test_an_event_notification_without_events_reads_its_entries() -> None:
    found = parse(bundle(r4_status(), entry(ENCOUNTER)))
    assert [(e.focus, e.version) for e in found.events] == [("Encounter/e1", "3")]


def test_an_event_notification_with_nothing_is_one_event_without_focus() -> None:
    assert parse(bundle(r4_status())).events == (NotificationEvent(None, number=7),)


def test_a_status_without_a_bundle_is_read() -> None:
    found = parse(r4_status("event-notification", r4_event("7", "Encounter/e1")))
    assert found.events == (event(version=None, focus_base=None),)


def test_a_notification_inside_a_message_is_read() -> None:
    inner = bundle(r5_status("event-notification", r5_event()), entry())
    message = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [{"resource": {"resourceType": "MessageHeader"}}, {"resource": inner}],
    }
    assert parse(message).events == (event(),)


def test_a_message_about_a_resource_is_read() -> None:
    header = {"resourceType": "MessageHeader", "focus": [{"reference": "urn:uuid:2"}]}
    message = {
        "resourceType": "Bundle",
        "type": "message",
        "entry": [
            {"resource": header},
            {"fullUrl": "urn:uuid:2", "resource": ENCOUNTER},
        ],
    }
    found = parse(message)
    assert (found.type, found.form) == (NotificationType.RESOURCE, "message")
    assert found.events[0].focus == "Encounter/e1"


def test_a_transaction_of_resources_is_read() -> None:
    body = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry(ENCOUNTER)],
    }
    found = parse(body)
    assert (found.type, found.form) == (NotificationType.RESOURCE, "transaction")
    assert (found.events[0].focus, found.events[0].version) == ("Encounter/e1", "3")


@pytest.mark.parametrize(
    ("method", "tail", "form"),
    [("PUT", "Encounter/e1", "r4-criteria"), ("POST", "", "r4-resource")],
)
def test_a_bare_resource_is_read(method: str, tail: str, form: str) -> None:
    expected = NotificationEvent(
        "Encounter/e1", "3", timestamp=UPDATED, resource=ENCOUNTER
    )
    found = parse(ENCOUNTER, method, tail)
    assert found == Notification(NotificationType.RESOURCE, form, (expected,))


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_empty_body_with_a_path_names_the_focus(method: str) -> None:
    found = parse(b"", method, "Encounter/e1")
    assert found.events == (NotificationEvent("Encounter/e1"),)


@pytest.mark.parametrize("body", [b"", b"  \r\n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_a_ping(body: bytes) -> None:
    found = parse(body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert found == Notification(
        NotificationType.PING, "r4-empty", (NotificationEvent(None),)
    )


def test_a_delete_names_the_focus() -> None:
    found = parse(b"", "DELETE", "Encounter/e1/_history/4")
    assert found.events == (
        NotificationEvent("Encounter/e1", "4", interaction="delete"),
    )


def test_a_delete_told_by_a_header() -> None:
    found = parse(b"{}", **{"X-Medplum-Deleted-Resource": "Encounter/e1"})
    assert found.events == (NotificationEvent("Encounter/e1", interaction="delete"),)


def test_a_cloud_event_is_read() -> None:
    item = {
        "id": "c1",
        "specversion": "1.0",
        "type": "Microsoft.HealthcareApis.FhirResourceDeleted",
        "time": "2026-03-01T08:30:15.123Z",
        "data": {
            "resourceType": "Encounter",
            "resourceFhirId": "e1",
            "resourceVersionId": 3,
        },
    }
    expected = NotificationEvent(
        "Encounter/e1", "3", event_id="c1", timestamp=UPDATED, interaction="delete"
    )
    assert parse(item).events == (expected,)
    assert parse([item, item]).events == (expected, expected)


def test_a_byte_order_mark_is_read_over() -> None:
    raw = b"\xef\xbb\xbf" + json.dumps(bundle(r4_status("heartbeat"))).encode()
    assert parse(raw).type == NotificationType.HEARTBEAT


def deep(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"resourceType": "Encounter", "id": "e1"}
    for _ in range(depth):
        made = {"resourceType": "Encounter", "id": "e1", "contained": [made]}
    return made


SET_ASIDE: dict[str, tuple[Any, str, str]] = {
    "cut off": (b'{"resourceType":"Bundle"', "POST", ""),
    "no entry": ({"resourceType": "Bundle", "type": "history"}, "POST", ""),
    "status not first": (
        {
            "resourceType": "Bundle",
            "type": "history",
            "entry": [entry(ENCOUNTER), {"resource": r4_status("heartbeat")}],
        },
        "POST",
        "",
    ),
    "no subscription": (
        bundle(r4_status("heartbeat", subscription=None)),
        "POST",
        "",
    ),
    "unknown type": (bundle(r4_status("greeting")), "POST", ""),
    "our own type": (bundle(r4_status("ping")), "POST", ""),
    "outcome": ({"resourceType": "OperationOutcome"}, "POST", ""),
    "searchset": (
        {"resourceType": "Bundle", "type": "searchset", "entry": [entry(ENCOUNTER)]},
        "POST",
        "",
    ),
    "other path": (ENCOUNTER, "PUT", "Encounter/e2"),
    "no id": ({"resourceType": "Encounter"}, "POST", ""),
    "odd path": (b"", "PUT", "../../x"),
    "delete of nothing": (b"", "DELETE", ""),
    "too deep": (deep(200), "POST", ""),
    "far too deep": (b'{"a":' * 50_000, "POST", ""),
    "message in message": (
        {
            "resourceType": "Bundle",
            "type": "message",
            "entry": [{}, {"resource": {"resourceType": "Bundle", "type": "message"}}],
        },
        "POST",
        "",
    ),
    "other cloud event": ({"specversion": "1.0", "type": "x"}, "POST", ""),
}


@pytest.mark.parametrize(("body", "method", "tail"), SET_ASIDE.values(), ids=SET_ASIDE)
def test_what_is_not_understood_is_set_aside(body: Any, method: str, tail: str) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(body, method, tail)
    assert caught.value.quarantine


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"<html></html>", "text/html", 415),
        (b"\x89PNG", "image/png", 415),
        (b"[]", "application/json", 400),
        (b"7", "application/json", 400),
        (b'{"ok":true}', "application/json", 400),
        (b'{"resourceType":7}', "application/json", 400),
    ],
)
def test_what_is_not_fhir_is_refused(
    body: bytes, content_type: str, status: int
) -> None:
    with pytest.raises(NotificationError) as caught:
        parse(body, **{"Content-Type": content_type})
    assert (caught.value.quarantine, caught.value.status) == (False, status)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceType",
                    "type",
                    "entry",
                    "resource",
                    "parameter",
                    "name",
                    "valueCode",
                    "part",
                    "focus",
                    "reference",
                    "request",
                    "notificationEvent",
                    "id",
                    "specversion",
                ]
            ),
            inner
            | st.sampled_from(
                [
                    "Bundle",
                    "Parameters",
                    "SubscriptionStatus",
                    "message",
                    "history",
                    "type",
                    "event-notification",
                ]
            ),
            max_size=5,
        )
    ),
    max_leaves=25,
)


def try_to_parse(body: Any) -> Notification | NotificationError:
    try:
        found: Notification = parse(body)
    except NotificationError as error:
        return error
    return found


@settings(max_examples=60, deadline=None)
@given(JUNK)
def test_no_json_is_worse_than_a_notification_error(junk: Any) -> None:
    assert isinstance(try_to_parse(junk), Notification | NotificationError)


def list_places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    places = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            places += list_places(value[key])
    return places


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("junk", [None, 7, "x", [], {}, [None], {"reference": []}])
def test_no_change_of_a_notification_is_worse(form: str, junk: Any) -> None:
    status, make, kind = FORMS[form]
    body = bundle(status("event-notification", make()), entry(ENCOUNTER), kind=kind)
    count = len(list_places(body))
    for index in range(count):
        copy = json.loads(json.dumps(body))
        holder, key = list_places(copy)[index]
        holder[key] = junk
        assert isinstance(try_to_parse(copy), Notification | NotificationError)
