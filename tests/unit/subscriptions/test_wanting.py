"""Which Subscriptions are asked for, and how each server wants them spelt."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.dialects.dialect import TopicRule
from mappings.dialects.registry import DIALECTS
from mappings.dialects.uscore import FEED
from middleware.sandbox.topics import topic_basics
from subscriptions.comparing import read_terms
from subscriptions.topics import CANONICAL, list_canonicals, read_topics
from subscriptions.wanting import (
    Wanted,
    Way,
    Wish,
    choose_wanted,
    dump_wanted,
    load_wanted,
    write_way,
)

END = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
URL = "https://listener.example.org/hooks/abc"
SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = TopicRule("http://example.org/encounters", ("Encounter",))
TYPES = ("Encounter", "Appointment")
ELEMENT = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."


def choose(
    name: str,
    version: str = "4.0.1",
    *,
    topics: tuple[TopicRule, ...] = (TOPIC,),
    wish: Wish | None = None,
    **profile: Any,
) -> dict[tuple[str, str], list[tuple[str, str | None]]]:
    chosen = choose_wanted(DIALECTS[name], version, topics, TYPES, profile, wish)
    return {
        (item.resource_type, item.slot): [(way.form, way.topic) for way in item.ways]
        for item in chosen
    }


BY_TOPIC = ("backport", TOPIC.canonical)
BY_CRITERIA = ("criteria", None)


@pytest.mark.parametrize(
    ("name", "version", "encounter", "appointment"),
    [
        ("standard", "4.0.1", [BY_TOPIC, BY_CRITERIA], [BY_CRITERIA]),
        ("standard", "4.3.0", [BY_TOPIC, BY_CRITERIA], [BY_CRITERIA]),
        ("standard", "5.0.0", [("r5", TOPIC.canonical)], []),
        ("hapi", "4.0.1", [BY_CRITERIA], [BY_CRITERIA]),
        ("hapi", "4.3.0", [BY_TOPIC, BY_CRITERIA], [BY_CRITERIA]),
        ("medplum", "4.0.1", [BY_CRITERIA], [BY_CRITERIA]),
        ("firely", "4.0.1", [BY_CRITERIA], [BY_CRITERIA]),
        ("aidbox", "4.0.1", [BY_TOPIC], []),
        ("epic", "4.0.1", [], []),
    ],
)
def test_the_best_form_comes_first(
    name: str, version: str, encounter: list[Any], appointment: list[Any]
) -> None:
    assert choose(name, version) == {
        ("Encounter", ""): encounter,
        ("Appointment", ""): appointment,
    }


def test_a_wish_is_asked_for_alone() -> None:
    wished = Wish("backport", "http://example.org/mine", "empty")
    chosen = choose("epic", wish=wished)
    assert chosen[("Encounter", "")] == [("backport", "http://example.org/mine")]
    assert choose("standard", wish=Wish("criteria"))[("Encounter", "")] == [BY_CRITERIA]


def test_the_patient_feed_is_asked_for_patient_by_patient() -> None:
    assert choose("uscore", topics=()) == {
        ("Encounter", ""): [BY_CRITERIA],
        ("Appointment", ""): [BY_CRITERIA],
    }
    patients = ["Patient/1", "Patient/2"]
    chosen = choose("uscore", topics=(), subscription_patients=patients)
    feed = [("backport", FEED)]
    assert chosen == {
        ("Encounter", "Patient/1"): feed,
        ("Encounter", "Patient/2"): feed,
        ("Appointment", ""): [BY_CRITERIA],
    }


def test_each_practice_and_event_has_its_own() -> None:
    chosen = choose("athena", topics=(), practices=["a-1.Practice-195900"])
    slots = [slot for kind, slot in chosen if kind == "Appointment"]
    assert len(slots) == 8
    assert "Appointment.schedule|a-1.Practice-195900" in slots
    assert choose("athena", topics=())[("Appointment", "")] == []


def test_why_nothing_can_be_asked_for_is_said() -> None:
    (first, *_) = choose_wanted(DIALECTS["athena"], "4.0.1", (), ("Encounter",), {})
    assert first.note == "[profile] practices names nothing to subscribe to"
    (plan,) = choose_wanted(DIALECTS["aidbox"], "4.0.1", (), ("CarePlan",), {})
    assert plan.note == "Aidbox publishes no topic that tells of every CarePlan"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@64")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@96")
def test_filters_are_spelt_as_the_server_reads_them() -> None:
    (wanted, *_) = choose_wanted(
        DIALECTS["athena"],
        "4.0.1",
        (),
        ("Appointment",),
        {"practices": ["a-1.Practice-195900"]},
    )
    written = write_way(wanted.ways[0], "Appointment", URL, SECRET, END)
    (extension,) = written["_criteria"]["extension"]
    assert extension["valueString"] == ("ah-practice=Organization/a-1.Practice-195900")
    assert wanted.secret_header == "X-Hub-Secret"
    way = Way("backport", FEED, filters=(("patient", "P/1"), ("trigger", "x")))
    spelt = {
        "query": ["Encounter?patient=P/1&trigger=x"],
        "dotted": ["Encounter.patient=P/1", "Encounter.trigger=x"],
        "bare": ["patient=P/1", "trigger=x"],
    }
    for spelling, texts in spelt.items():
        way = Way("backport", FEED, filters=way.filters, spelling=spelling)  # type: ignore[arg-type]
        written = write_way(way, "Encounter", URL, SECRET, END)
        found = [item["valueString"] for item in written["_criteria"]["extension"]]
        assert found == texts


def test_one_event_at_a_time_where_more_would_wait() -> None:
    (wanted,) = choose_wanted(DIALECTS["aidbox"], "4.0.1", (TOPIC,), ("Encounter",), {})
    assert (wanted.ways[0].batch, wanted.ways[0].heartbeat) == (1, 300)


def test_a_signing_secret_goes_where_the_server_looks_for_it() -> None:
    (wanted,) = choose_wanted(DIALECTS["medplum"], "4.0.1", (), ("Encounter",), {})
    written = write_way(wanted.ways[0], "Encounter", URL, SECRET, END)
    assert written["extension"][0]["valueString"] == SECRET
    assert "heartbeat" not in str(written)


def test_deletes_are_asked_for_where_that_is_an_extension() -> None:
    (wanted,) = choose_wanted(DIALECTS["hapi"], "4.0.1", (), ("Encounter",), {})
    written = write_way(wanted.ways[0], "Encounter", URL, SECRET, END)
    (extension,) = written["channel"]["extension"]
    assert extension["url"].endswith("send-delete-messages")


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@68")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@86")
def test_nothing_is_said_by_cross_version_extensions() -> None:
    for dialect in DIALECTS.values():
        for item in choose_wanted(dialect, "4.0.1", (TOPIC,), TYPES, {}):
            for way in item.ways:
                text = str(write_way(way, item.resource_type, URL, SECRET, END))
                assert "/fhir/5.0/StructureDefinition/" not in text
                assert ("payload-content" in text) == (way.form == "backport")


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@61")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@88")
def test_no_other_channel_and_no_other_version_is_asked_for() -> None:
    for dialect in DIALECTS.values():
        for item in choose_wanted(dialect, "4.0.1", (TOPIC,), TYPES, {}):
            for way in item.ways:
                written = write_way(way, item.resource_type, URL, SECRET, END)
                assert written["channel"]["type"] == "rest-hook"
                assert "channel-type" not in str(written)
                assert "fhirVersion" not in written["channel"]["payload"]


@pytest.mark.parametrize("version", ["4.0.1", "5.0.0"])
def test_a_socket_is_asked_for_where_the_server_cannot_reach_us(version: str) -> None:
    profile = {"channel": "websocket"}
    dialect = DIALECTS["standard"]
    (wanted,) = choose_wanted(dialect, version, (TOPIC,), ("Encounter",), profile)
    for way in wanted.ways:
        written = write_way(way, "Encounter", URL, SECRET, END)
        assert "websocket" in str(written)
        assert SECRET not in str(written)
        assert read_terms(written).endpoint == URL


def test_what_is_wanted_is_kept_as_json() -> None:
    extension = {"url": "http://example.org/x", "valueCode": "y"}
    way = Way("backport", "t", filters=(("a", "b"),), extensions=(extension,))
    wanted = Wanted("Encounter", (way, Way("criteria")), slot="s", note="n")
    assert load_wanted(json.loads(json.dumps(dump_wanted(wanted)))) == wanted


def basic(url: str, resource: str, *codes: str, **more: str) -> dict[str, Any]:
    trigger: list[dict[str, str]] = [{"url": "resource", "valueUri": resource}]
    trigger += [{"url": "supportedInteraction", "valueCode": code} for code in codes]
    trigger += [{"url": name, "valueString": value} for name, value in more.items()]
    return {
        "resourceType": "Basic",
        "extension": [
            {"url": f"{ELEMENT}url", "valueUri": url},
            {"url": f"{ELEMENT}resourceTrigger", "extension": trigger},
        ],
    }


def topic(url: str, *triggers: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "SubscriptionTopic",
        "url": url,
        "resourceTrigger": [*triggers],
    }


def test_topics_are_found_wherever_a_server_says_them() -> None:
    named = {
        "instantiates": [f"{FEED}|8.0.0"],
        "rest": [
            {
                "resource": [
                    {"type": "Patient", "extension": []},
                    {
                        "type": "Subscription",
                        "extension": [
                            {"url": CANONICAL, "valueCanonical": "http://e.org/a|1"},
                            {"url": "http://e.org/other", "valueCanonical": "no"},
                        ],
                    },
                ]
            }
        ],
    }
    assert list_canonicals(named) == (FEED, "http://e.org/a")
    full = {"resource": "Encounter", "supportedInteraction": ["create", "update"]}
    resources = [
        topic("http://e.org/b|2", full),
        topic("http://e.org/part", {**full, "queryCriteria": {"current": "x"}}),
        topic("http://e.org/start", {**full, "supportedInteraction": ["create"]}),
        basic("http://e.org/c", "http://hl7.org/fhir/StructureDefinition/CarePlan"),
        basic("http://e.org/d", "Task", "create", "update", fhirPathCriteria="x"),
    ]
    found = read_topics(named, resources)
    assert {rule.canonical: rule.types for rule in found} == {
        "http://e.org/b": ("Encounter",),
        "http://e.org/c": ("CarePlan",),
        FEED: ("Encounter", "CarePlan"),
    }


def test_the_topics_of_the_sandbox_are_understood() -> None:
    found = {rule.canonical: rule.types for rule in read_topics({}, topic_basics())}
    base = "http://sandbox.example.org/SubscriptionTopic"
    assert found[f"{base}/patient-change"] == ("Patient",)
    assert found[f"{base}/encounter-change"] == ("Encounter",)


@pytest.mark.parametrize("odd", [{}, {"rest": [1]}, {"rest": {}, "instantiates": "x"}])
def test_a_statement_that_says_nothing_has_no_topics(odd: dict[str, Any]) -> None:
    assert read_topics(odd, [{"resourceType": "Basic"}, {}]) == ()
