"""Reading instants, references, resources, codes and contact points."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.bases import read_base_keys
from mappings.codes import encounter_class, has_member, status_word
from mappings.instants import (
    age_on,
    find_instant,
    read_bounds,
    read_instant,
    write_instant,
)
from mappings.recipient import contact_points, read_addresses, read_email, read_phone
from mappings.reference import (
    bring_references_home,
    concerns,
    focus_patient,
    may_be_of,
    named_patients,
    of_another,
    read_reference,
    version_of,
)
from mappings.resource import codings_of, human_name, in_period, values_at

BASE = "https://ehr.example.org/fhir"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00Z", "2027-01-01T00:00Z"),
        ("2026-02", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("2026-12-31", "2026-12-31T00:00Z", "2027-01-01T00:00Z"),
        ("2026-11-20T16:30:00-06:00", "2026-11-20T22:30Z", "2026-11-20T22:30Z"),
        ("2026-11-20T16:30:00.123Z", "2026-11-20T16:30:00.123Z", None),
    ],
)
def test_bounds_of_dates(text: str, first: str, last: str | None) -> None:
    wanted = datetime.fromisoformat(first), datetime.fromisoformat(last or first)
    assert read_bounds(text) == wanted


def test_local_time_is_read_in_the_zone_given() -> None:
    found = read_instant("2026-11-20T09:00:00", ZoneInfo("America/Chicago"))
    assert found == datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13", "2026-02-30", "0001-01-01", "0001-01-01T00:00:00Z", 7, {}],
)
def test_what_is_no_date_is_none(text: object) -> None:
    assert find_instant(text) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_instants_survive_writing(moment: datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert read_instant(write_instant(whole)) == whole


@pytest.mark.parametrize(
    ("birth", "age"),
    [
        ("1981-11-20", 45),
        ("1981-11-21", 44),
        ("1980-02-29", 46),
        ("1981", 44),
        ("1981-11", 44),
        ("1981-10", 45),
        (None, None),
        ("long ago", None),
        ("1981-14", None),
    ],
)
def test_age_is_the_one_reached_for_certain(birth: str | None, age: int | None) -> None:
    assert age_on(birth, date(2026, 11, 20)) == age


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"reference": "Patient/p1"}, "Patient/p1"),
        ("Patient/p1/_history/4", "Patient/p1"),
        (f"{BASE}/Patient/p1", "Patient/p1"),
        ("https://other.example.org/fhir/Patient/p1", None),
        (f"{BASE}.evil.example/Patient/p1", None),
        ("urn:uuid:6c2c", None),
        ("#contained", None),
        ("Patient/../Admin", None),
        ("Patient/p1?x=1", None),
        (None, None),
        ({"identifier": {"value": "p1"}}, None),
    ],
)
def test_references_stay_under_the_base(value: object, expected: str | None) -> None:
    assert read_reference(value, BASE) == expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"resourceType": "Patient", "id": "p1"}, "Patient/p1"),
        ({"subject": {"reference": "Patient/p1"}}, "Patient/p1"),
        ({"subject": {"reference": f"{BASE}/Patient/p1"}}, None),
        ({"subject": {"reference": "Group/g"}}, None),
        ({"for": {"reference": "Patient/p1"}}, "Patient/p1"),
        (
            {
                "participant": [
                    {"actor": {"reference": "Location/l"}},
                    {"actor": {"reference": "Patient/p1"}},
                ]
            },
            "Patient/p1",
        ),
        ({"participant": ["odd"]}, None),
        ({}, None),
    ],
)
def test_who_a_resource_is_about(
    resource: dict[str, Any], expected: str | None
) -> None:
    assert focus_patient(resource) == expected


def test_version_falls_back_to_the_instant() -> None:
    assert version_of({"meta": {"versionId": "2", "lastUpdated": "x"}}) == "2"
    assert version_of({"meta": {"lastUpdated": "x"}}) == "x"
    assert version_of({}) is None


def test_looking_into_misshapen_resources_finds_nothing() -> None:
    assert values_at({"a": [{"b": 1}, "odd", {"b": [2, 3]}]}, "a.b") == [1, 2, 3]
    assert values_at(None, "a.b") == []
    assert codings_of([{"coding": [{"code": "x"}]}, "odd", {"code": {}}]) == (
        ("", "x"),
    )
    assert codings_of({"concept": {"coding": [{"system": "s", "code": "x"}]}}) == (
        ("s", "x"),
    )


def test_periods_have_open_ends() -> None:
    now = "2026-11-20T00:00:00Z"
    assert in_period(None, now)
    assert in_period({"start": "2026-01-01"}, now)
    assert not in_period({"end": "2026-11-19"}, now)
    assert not in_period({"start": "2026-11-21"}, now)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([{"given": ["Rosa", "M."], "family": "Delgado"}], ("Rosa M. Delgado", "Rosa")),
        (
            [
                {"use": "old", "given": ["X"]},
                {"use": "official", "text": "Rosa Delgado", "given": ["Rosa"]},
                {"use": "nickname", "given": ["Rosie"]},
            ],
            ("Rosa Delgado", "Rosie"),
        ),
        ([{"text": "Sukarno"}], ("Sukarno", "Sukarno")),
        ([{"family": "Delgado"}], ("Delgado", "Delgado")),
        ([], ("", "")),
    ],
)
def test_names_as_the_chart_gives_them(
    names: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    assert human_name({"name": names}) == expected


def test_r4_and_r5_encounters_read_alike() -> None:
    assert encounter_class({"class": {"code": "IMP"}}) == "IMP"
    assert encounter_class({"class": [{"coding": [{"code": "IMP"}]}]}) == "IMP"
    assert encounter_class({}) == ""
    assert status_word({"status": "finished"}) == status_word({"status": "completed"})
    assert status_word({"status": "nonsense"}) == "other"


def test_branch_members_cover_what_is_below_them() -> None:
    members = {("icd", "F1*"), ("icd", "B20")}
    assert has_member(members, [("icd", "F10.20")]) == ("icd", "F10.20")
    assert has_member(members, [("icd", "B20.1"), ("snomed", "F10.20")]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(312) 555-0142", "+13125550142"),
        ("+1 312 555 0142", "+13125550142"),
        ("555-01", None),
        ("ask her son", None),
        ("", None),
    ],
)
def test_phones_become_e164(text: str, expected: str | None) -> None:
    assert read_phone(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Rosa@Example.ORG ", "rosa@example.org"),
        ("rosa@localhost", None),
        ("rosa@b@example.org", None),
        ("rosa example.org", None),
        ("a@x.org\nBcc: b@x.org", None),
    ],
)
def test_email_addresses_are_checked(text: str, expected: str | None) -> None:
    assert read_email(text) == expected


def test_addresses_are_ordered_and_filtered() -> None:
    ended = {"end": "2024-01-01"}
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "telecom": [
            {"system": "phone", "value": "312-555-0101", "use": "home"},
            {"system": "phone", "value": "312-555-0102", "use": "mobile"},
            {"system": "phone", "value": "312-555-0103", "use": "old"},
            {"system": "sms", "value": "312-555-0104", "rank": 1},
            {"system": "sms", "value": "312-555-0105", "period": ended},
            {"system": "email", "value": "a@x.org", "use": "work"},
            {"system": "email", "value": "b@x.org", "use": "home"},
            "odd",
        ],
    }
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert [item.value for item in read_addresses(patient, now)] == [
        "+13125550104",
        "+13125550102",
        "b@x.org",
        "a@x.org",
    ]
    assert contact_points(patient)[1] == ("sms", "+13125550102")
    assert len(contact_points(patient)) == 5
    later = read_addresses(patient, now - timedelta(days=1500))
    assert "+13125550105" in {item.value for item in later}


def test_references_come_home_from_our_bases_alone_and_however_deep() -> None:
    homes = read_base_keys((BASE, "http://inner:8080/fhir/", "no base"))
    written = [f"{BASE}/Patient/1", "http://inner:8080/fhir/Task/2/_history/3"]
    written += [f"{BASE}.evil.example/Patient/1", "urn:uuid:1", "#p", "Patient/1"]
    value: Any = [{"reference": text, "display": BASE} for text in written]
    deep: Any = value
    for _ in range(3000):
        deep = {"reference": deep}
    bring_references_home(deep, homes)
    found = [item["reference"] for item in value]
    assert found == ["Patient/1", "Task/2/_history/3", *written[2:]]
    assert {item["display"] for item in value} == {BASE}


def test_a_reference_of_many_parts_takes_no_longer_than_as_many_references() -> None:
    """Whoever answers or asks us must not keep a worker busy with one long text."""

    def seconds(value: Any) -> float:
        began = time.process_time()
        bring_references_home(value, frozenset())
        return time.process_time() - began

    parts = 1000
    long = {"reference": f"{BASE}{'/Ab/c/_history' * parts} x"}
    short = [{"reference": f"{BASE}/Ab/c/_history/1"} for _ in range(parts)]
    assert seconds(long) <= 20 * seconds(short)


@pytest.mark.parametrize("rest", ["", "/_history/3", "/_history/", "/_history/3 x"])
def test_whoever_is_named_elsewhere_is_named_whatever_version_is_asked(
    rest: str,
) -> None:
    far = {"subject": {"reference": f"https://elsewhere.example/fhir/Patient/b{rest}"}}
    assert of_another(far, "Patient/a")
    near = {"subject": {"reference": f"{BASE}/Patient/b{rest}"}}
    bring_references_home(near, read_base_keys((BASE,)))
    assert of_another(near, "Patient/a")


def test_another_servers_patient_is_counted_among_the_named() -> None:
    far = "https://elsewhere.example/fhir/Patient/a"
    people = [{"actor": {"reference": name}} for name in ("Patient/a", far)]
    visit = {"resourceType": "Appointment", "participant": people}
    assert named_patients(visit) == {"Patient/a", far}
    assert (concerns(visit, "Patient/a"), of_another(visit, "Patient/a")) == (1, 0)
    assert not may_be_of(visit, "Patient/a")
    alone = {"resourceType": "Appointment", "participant": people[1:]}
    assert (concerns(alone, "Patient/a"), of_another(alone, "Patient/a")) == (0, 1)
    assert may_be_of(alone, "Patient/a")
    assert not may_be_of(alone, "Patient/b")
    logical = {"subject": {"reference": "urn:uuid:1", "identifier": {"value": "a"}}}
    assert not of_another(logical, "Patient/a")


def test_a_visit_of_two_concerns_both_and_nobody_else() -> None:
    people = [{"actor": {"reference": f"Patient/{name}"}} for name in ("a", "b")]
    visit = {"resourceType": "Appointment", "participant": people}
    assert [concerns(visit, f"Patient/{name}") for name in "abc"] == [True, True, False]
    assert not concerns({"resourceType": "Encounter"}, "Patient/a")
    far = {"subject": {"reference": "http://elsewhere.example/fhir/Patient/a"}}
    assert not concerns(far, "Patient/a", "http://here.example/fhir")


def test_a_name_changes_nothing_around_it() -> None:
    name = {"given": ["Ann\u202egnp.exe\x00\n"], "family": "x" * 1_000_000}
    whole, first = human_name({"name": [name]})
    assert first == "Anngnp.exe"
    assert (whole[:12], len(whole), whole[-1]) == ("Anngnp.exe x", 100, "…")


def test_a_name_keeps_the_signs_that_its_script_needs() -> None:
    name = {"given": ["نازنین\u200cزهرا"], "family": "Müller-O’Brien"}
    assert human_name({"name": [name]}) == (
        "نازنین\u200cزهرا Müller-O’Brien",
        "نازنین\u200cزهرا",
    )
