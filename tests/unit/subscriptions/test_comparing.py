"""What was accepted beside what was asked, in each form, and what refusals mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.dialects.dialect import Form
from subscriptions.comparing import compare, is_acceptable, redact
from subscriptions.refusing import Refusal, read_refusal
from subscriptions.wanting import Way, write_way

END = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
URL = "https://listener.example.org/hooks/abc"
SECRET = "0123456789abcdef0123456789abcdef"
FILTERS = (("patient", "Patient/1"), ("trigger", "a,b"))
FORMS: tuple[Form, ...] = ("criteria", "backport", "r5")


def asked(form: Form) -> dict[str, Any]:
    topic = None if form == "criteria" else "http://e.org/t"
    filters = () if form == "criteria" else FILTERS
    return write_way(Way(form, topic, filters=filters), "Encounter", URL, SECRET, END)


def sentences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [item.sentence for item in compare(ours, theirs)]


@pytest.mark.parametrize("form", FORMS)
def test_what_the_server_adds_of_itself_is_no_difference(form: Form) -> None:
    ours = asked(form)
    theirs = {**ours, "id": "1", "status": "active", "end": "2026-03-01", "tag": []}
    assert compare(ours, theirs) == ()


@pytest.mark.parametrize("form", FORMS)
def test_another_address_or_channel_is_wrong(form: Form) -> None:
    ours = asked(form)
    text = json.dumps(ours).replace("/hooks/abc", "/hooks/abd")
    assert [d.weight for d in compare(ours, json.loads(text))] == ["wrong"]
    text = json.dumps(ours).replace("rest-hook", "email")
    assert [d.weight for d in compare(ours, json.loads(text))] == ["wrong"]


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        ("Bearer another-secret-0123456789", ["wrong"]),
        ("Bearer ********", ["harmless"]),
        ("hidden", ["harmless"]),
        (None, ["harmless"]),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_header_may_be_masked_but_not_another(
    form: Form, value: str | None, weight: list[str]
) -> None:
    ours, theirs = asked(form), asked(form)
    if form == "r5":
        named = {"name": "Authorization", "value": value}
        theirs["parameter"] = [named] if value else []
    else:
        theirs["channel"]["header"] = [f"authorization:{value}"] if value else []
    found = compare(ours, theirs)
    assert [item.weight for item in found] == weight
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("text", "acceptable"),
    [
        ("Encounter?patient=Patient/1&trigger=b,a", True),
        ("Encounter.trigger=a,b,c", True),
        ("trigger=a,b", True),
        ("Encounter?patient=Patient/1&trigger=a", False),
        ("Encounter?patient=Patient/2&trigger=a,b", False),
        ("Encounter?patient=Patient/1&trigger=a,b&class=IMP", False),
    ],
)
def test_adjusted_filters_may_tell_more_and_not_less(
    text: str, *, acceptable: bool
) -> None:
    ours, theirs = asked("backport"), asked("backport")
    theirs["_criteria"]["extension"][0]["valueString"] = text
    found = compare(ours, theirs)
    assert is_acceptable(found) == acceptable
    assert "Patient/" not in str(found)


def test_criteria_are_compared_by_what_they_mean() -> None:
    ours = asked("criteria")
    theirs = {**ours, "criteria": "/" + ours["criteria"]}
    assert compare(ours, theirs) == ()
    theirs = {**ours, "criteria": "Encounter?status=finished"}
    assert [item.weight for item in compare(ours, theirs)] == ["narrower"]
    theirs = {**ours, "criteria": "Patient?"}
    assert compare(ours, theirs)[0].weight == "wrong"


def test_pace_and_content_are_named() -> None:
    ours, theirs = asked("backport"), asked("backport")
    theirs["channel"]["extension"] = [
        {**item, "valueUnsignedInt": 60} if "heartbeat" in item["url"] else item
        for item in theirs["channel"]["extension"]
    ]
    theirs["channel"]["payload"] = "application/json"
    theirs["channel"]["_payload"]["extension"][0]["valueCode"] = "empty"
    assert sentences(ours, theirs) == [
        "The content is empty instead of id-only.",
        "The payload is application/json instead of application/fhir+json.",
        "The heartbeat is 60 instead of 300.",
    ]
    ours, theirs = asked("r5"), asked("r5")
    del theirs["heartbeatPeriod"], theirs["maxCount"]
    assert sentences(ours, theirs) == [
        "The heartbeat is not kept.",
        "The most events is not kept.",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_no_secret_is_kept(form: Form) -> None:
    way = Way(form, "http://e.org/t", secret_extension="http://e.org/secret")
    written = write_way(way, "Encounter", URL, SECRET, END)
    shown = redact(written)
    assert SECRET in str(written)
    assert SECRET not in str(shown)
    assert "Authorization" in str(shown)


def test_odd_resources_are_read_without_a_fault() -> None:
    ours = asked("backport")
    for odd in (
        {},
        {"channel": [], "_criteria": "x", "criteria": 1},
        {"topic": "t", "filterBy": "x", "parameter": {}, "channelType": []},
        {"channel": {"header": "x", "extension": [1], "_payload": []}},
    ):
        assert not is_acceptable(compare(ours, odd))


def said(text: str, code: str = "processing") -> dict[str, Any]:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@pytest.mark.parametrize(
    ("status", "outcome", "refusal"),
    [
        (None, None, Refusal.UNSURE),
        (500, None, Refusal.UNSURE),
        (408, None, Refusal.UNSURE),
        (503, None, Refusal.BUSY),
        (429, None, Refusal.BUSY),
        (412, None, Refusal.CONFLICT),
        (401, None, Refusal.RIGHTS),
        (403, None, Refusal.RIGHTS),
        (404, None, Refusal.ABSENT),
        (405, None, Refusal.ABSENT),
        (501, None, Refusal.ABSENT),
        (400, said("heartbeatPeriod is not supported"), Refusal.HEARTBEAT),
        (400, said("", "not-supported"), Refusal.HEARTBEAT),
        (422, said("Unknown SubscriptionTopic"), Refusal.FORM),
        (422, said("unsupported filter"), Refusal.FORM),
        (400, said("the endpoint must be https"), Refusal.ENDPOINT),
        (400, None, Refusal.FORM),
        (400, {"issue": ["x"]}, Refusal.FORM),
    ],
)
def test_refusals_of_a_create(
    status: int | None, outcome: dict[str, Any] | None, refusal: Refusal
) -> None:
    found = read_refusal(status, outcome, writing=False, heartbeat=True)
    assert found is refusal


def test_a_heartbeat_that_was_not_asked_for_was_not_refused() -> None:
    text = said("heartbeat", "not-supported")
    found = read_refusal(400, text, writing=False, heartbeat=False)
    assert found is Refusal.FORM
    assert read_refusal(404, None, writing=True, heartbeat=False) is Refusal.GONE
