"""The profile: who said it, which zones and hours, what nobody said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.endpoint import EndpointKind
from mappings.preference import EngagementProfile, PreferenceRecord, Who
from middleware.decisions.preference import compile_profile
from middleware.decisions.prefetch import data_queries
from middleware.decisions.routing import is_reachable
from middleware.decisions.zones import phone_zone
from tests.unit.decisions.story import (
    EVERYTHING,
    LIBRARY,
    MAIL,
    NOW,
    NUMBER,
    SITE,
    chart,
    endpoint,
    extension,
    own,
    patient,
)

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
UK = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ContactPreference"
EMAIL_ONLY = [{"system": "email", "value": MAIL}]


def profile(
    *records: PreferenceRecord, person: dict[str, Any] | None = None, **site: Any
) -> EngagementProfile:
    mine = own(preferences=records)
    where = endpoint(site=replace(SITE, **site))
    return compile_profile(chart(person=person), mine, where, NOW)


def said(
    name: str, value: Any, who: Who = Who.PATIENT, days: int = 0
) -> PreferenceRecord:
    return PreferenceRecord(name, value, who, "asked", NOW + timedelta(days=days))


def test_nothing_said_leaves_the_sites_defaults() -> None:
    plain = [{"system": "sms", "value": NUMBER}, {"system": "email", "value": MAIL}]
    found = profile(person=patient(telecom=plain))
    assert (found.channels.value, found.channels.who) == (("sms", "email"), Who.SITE)
    assert (found.window.value, found.window.who) == ((9, 20), Who.SITE)
    assert (found.max_per_week.value, found.pause, found.matters) == (3, None, None)


def test_newest_answer_of_the_strongest_voice_counts() -> None:
    records = (
        said("language", "en", days=-9),
        said("language", "es", days=-5),
        said("language", "fr", Who.STAFF, days=-1),
    )
    found = profile(*records)
    assert found.language is not None
    assert (found.language.value, found.language.who) == ("es", Who.PATIENT)
    assert [
        (item.name, item.first.value, item.second.value, item.holds)
        for item in found.conflicts
    ] == [("language", "es", "fr", "es"), ("language", "es", "en", "es")]


def test_a_voice_that_took_its_answer_back_silences_no_other() -> None:
    staff = said("zone", "America/Denver", Who.STAFF, days=-9)
    found = profile(staff, said("zone", "America/Chicago"), said("zone", None, days=1))
    assert found.zones is not None
    assert found.zones.value == ("America/Denver",)
    gone = profile(staff, said("zone", None, Who.STAFF, days=1), person=patient())
    assert gone.zones == profile(person=patient()).zones


def test_an_interpreter_is_needed_where_somebody_says_so() -> None:
    assert not profile().interpreter_needed
    assert profile(said("interpreter", True)).interpreter_needed


def test_a_pause_by_anyone_counts_and_the_newest_ends_it() -> None:
    pause = {"until": None, "why": "away"}
    records = (said("pause", None, days=-2), said("pause", pause, Who.STAFF, days=-1))
    assert profile(*records).pause is not None
    resumed = said("pause", None, Who.STAFF)
    assert profile(*records, resumed).pause is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["email", "sms"], ("email", "sms")),
        (["pigeon", "email"], ("email",)),
        (["pigeon"], ("sms", "email")),
        ([], ("sms", "email")),
    ],
)
def test_channel_order_takes_known_channels(
    value: list[str], expected: tuple[str, ...]
) -> None:
    assert profile(said("channels", value)).channels.value == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [([17, 20], (17, 20)), ([20, 17], (9, 20)), ([9, 30], (9, 20)), ("late", (9, 20))],
)
def test_impossible_window_is_not_taken(value: Any, expected: tuple[int, int]) -> None:
    assert profile(said("window", value)).window.value == expected


def test_patient_may_ask_for_fewer_never_for_more() -> None:
    assert profile(said("max_per_week", 1)).max_per_week.value == 1
    assert profile(said("max_per_week", 9)).max_per_week.value == 3


def _contact_window(*parts: dict[str, Any]) -> dict[str, Any]:
    return patient(extension=[extension("contact-window", extension=list(parts))])


REPEAT = {
    "repeat": {
        "dayOfWeek": ["mon", "wed"],
        "timeOfDay": ["12:00:00"],
        "duration": 5,
        "durationUnit": "h",
    }
}


def test_contact_window_of_the_chart_is_read() -> None:
    found = profile(
        person=_contact_window(
            {"url": "timezone", "valueCode": "America/Denver"},
            {"url": "allowed", "valueTiming": REPEAT},
            {"url": "maxPerWeek", "valueUnsignedInt": 2},
        )
    )
    assert found.zones is not None
    assert (found.window.value, found.zones.value) == ((12, 17), ("America/Denver",))
    assert found.days is not None
    assert (found.max_per_week.value, found.days.value) == (2, (0, 2))


def test_uk_core_preference_is_read() -> None:
    timing = {"url": "PreferredContactTimes", "valueTiming": REPEAT}
    person = patient(extension=[{"url": UK, "extension": [timing]}])
    assert profile(person=person).window.value == (12, 17)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("America/Chicago",)),
        ({"address": [{"state": "NY"}]}, ("America/New_York", "America/Chicago")),
        ({"address": [{"state": "Illinois"}]}, ("America/Chicago",)),
        ({"address": [{"state": "TX"}]}, ("America/Chicago", "America/Denver")),
        ({"address": [{"state": "Texas", "postalCode": "77002-1234"}]},
            ("America/Chicago",)),
        ({"address": [{"state": "TX", "postalCode": "79901"}]},
            ("America/Denver", "America/Chicago")),
        ({"address": [{"postalCode": "85004"}], "telecom": EMAIL_ONLY},
            ("America/Phoenix",)),
        ({"address": [{"state": "AZ", "postalCode": "86033"}], "telecom": EMAIL_ONLY},
            ("America/Phoenix", "America/Denver")),
        ({"address": [{"state": "FL", "postalCode": "32401"}], "telecom": EMAIL_ONLY},
            ("America/New_York", "America/Chicago")),
        ({"address": [{"state": "Sonora", "country": "MX"}], "telecom": EMAIL_ONLY},
            None),
        ({"address": [{"state": "NY", "use": "old"}]}, ("America/Chicago",)),
        (
            {"address": [{"extension": [
                {"url": TIMEZONE, "valueCode": "America/Denver"}]}]},
            ("America/Denver", "America/Chicago"),
        ),
        (
            {"address": [{"extension": [
                {"url": TIMEZONE, "valueCode": "Mars/Base"}]}]},
            ("America/Chicago",),
        ),
        ({"address": [{"state": "TX"}], "telecom": EMAIL_ONLY},
            ("America/Chicago", "America/Denver")),
        ({"address": ..., "telecom": EMAIL_ONLY}, None),
    ],
)  # fmt: skip
def test_every_place_the_chart_points_to_is_a_zone(
    changes: dict[str, Any], expected: tuple[str, ...] | None
) -> None:
    found = profile(person=patient(**changes)).zones
    assert (found.value if found else None) == expected


def test_stated_zone_is_the_only_one() -> None:
    found = profile(said("zone", "America/Anchorage")).zones
    assert found is not None
    assert (found.value, found.who) == (("America/Anchorage",), Who.PATIENT)
    unknown = profile(said("zone", "Nowhere/Land")).zones
    assert unknown is not None
    assert unknown.value == ("America/Chicago",)


def test_toll_free_number_has_no_zone() -> None:
    assert (phone_zone("+18005550100"), phone_zone("+19285550100")) == (
        (),
        ("America/Phoenix",),
    )


def test_spoken_language_alone_is_not_the_written_one() -> None:
    verbal = {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-preferenceType",
        "valueCoding": {"code": "verbal"},
    }
    spoken = {
        "language": {"coding": [{"code": "es"}]},
        "preferred": True,
        "_preferred": {"extension": [verbal]},
    }
    written = {"language": {"coding": [{"code": "en"}]}}
    found = profile(person=patient(communication=[spoken, written])).language
    assert found is not None
    assert found.value == "en"


def test_identity_and_needs_are_read() -> None:
    person = patient(
        identifier=[
            {"value": "x"},
            {"type": {"coding": [{"code": "MR"}]}, "value": "M-77"},
        ],
        extension=[
            {
                "url": "http://hl7.org/fhir/us/core/StructureDefinition/"
                "us-core-interpreter-needed",
                "valueCoding": {"code": "373066001"},
            }
        ],
    )
    found = profile(person=person)
    assert (found.name, found.given, found.mrn, found.interpreter_needed) == (
        "Rosa Delgado",
        "Rosa",
        "M-77",
        True,
    )


def test_only_production_reaches_every_number() -> None:
    test = endpoint(kind=EndpointKind.TEST, allow_list=("+1",))
    assert not is_reachable(test, "sms", "+13125550142")
    assert is_reachable(test, "screen", "Patient/rosa")


def test_prefetch_asks_once_for_whole_types() -> None:
    queries = data_queries(LIBRARY, "Patient/rosa")
    assert queries[:4] == (
        "Patient/rosa",
        "Encounter?patient=Patient/rosa",
        "Condition?patient=Patient/rosa",
        "Consent?patient=Patient/rosa",
    )
    assert sorted(query.partition("?")[0] for query in queries[4:]) == [
        "Appointment",
        "CarePlan",
        "Communication",
        "DiagnosticReport",
        "Flag",
        "MedicationRequest",
        "Observation",
        "Procedure",
        "RelatedPerson",
        "RiskAssessment",
        "ServiceRequest",
        "Task",
    ]


def test_many_plans_ask_for_each_type_once_and_for_few_codes_at_a_time() -> None:
    queries = data_queries(EVERYTHING, "Patient/rosa")
    listed: dict[str, list[str]] = {}
    for query in queries[1:]:
        before, _, codes = query.partition("&")
        listed.setdefault(before, []).extend(codes.rpartition("=")[2].split(","))
        assert len(query) < 3_000
    assert queries.count("Condition?patient=Patient/rosa") == 1
    assert len(queries) < 30
    observed = listed["Observation?patient=Patient/rosa"]
    assert len(observed) == len(set(observed)) > 100
    vaccines = [query for query in queries if query.startswith("Immunization?")]
    assert vaccines
    assert all("&vaccine-code=" in query for query in vaccines)
