"""Vaccine plans: each applies, does not, stops, rests after a refusal, and is due when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.preference import SentMessage
from middleware.decisions.deciding import decide_event
from tests.unit.decisions.story import (
    NOW,
    SITE,
    appointment,
    chart,
    coding,
    condition,
    endpoint,
    event,
    immunization,
    only,
    own,
    patient,
    reason_of,
    review,
    weigh,
)

NO, DONE, REFUSED = "not-due: not-applicable", "cancel: already-done", "cancel: refused"
DUE = "send: due"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
VACCINES = [
    "influenza",
    "tdap-td",
    "zoster",
    "pneumococcal",
    "pneumococcal-ask",
    "rsv",
    "rsv-ask",
    "hepatitis-b",
    "covid-ask",
]


def first(plan: str, *resources: Any, born: str = "1961-03-02", **more: Any) -> str:
    person = patient(birthDate=born)
    found = weigh(plan, chart(*resources, person=person), **more)
    return next(iter(found.values()))


def refused(code: str, day: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": "not-done",
        "statusReason": coding(REASON, "PATOBJ"),
    }
    return immunization(code, day, **(values | changes))


@pytest.mark.parametrize(
    ("plan", "born", "expected"),
    [
        ("influenza", "2008-11-21", NO),
        ("influenza", "2008-11-20", DUE),
        ("tdap-td", "2007-11-21", NO),
        ("tdap-td", "2007-11-20", DUE),
        ("zoster", "1976-11-21", NO),
        ("zoster", "1976-11-20", DUE),
        ("pneumococcal", "1976-11-21", NO),
        ("pneumococcal", "1976-11-20", DUE),
        ("rsv", "1951-11-21", NO),
        ("rsv", "1951-11-20", DUE),
        ("hepatitis-b", "2007-11-21", NO),
        ("hepatitis-b", "2007-11-20", DUE),
        ("hepatitis-b", "1966-11-21", DUE),
        ("hepatitis-b", "1966-11-20", NO),
        ("covid-ask", "1961-11-21", NO),
        ("covid-ask", "1961-11-20", DUE),
    ],
)
def test_age_decides_to_the_day(plan: str, born: str, expected: str) -> None:
    assert first(plan, born=born) == expected


@pytest.mark.parametrize(
    ("plan", "given", "expected"),
    [
        ("influenza", [immunization("140", "2026-09-20")], DONE),
        ("influenza", [immunization("135", "2026-07-01")], DONE),
        ("influenza", [immunization("140", "2026-06-29")], DUE),
        ("influenza", [immunization("140", "2026-09-20", status="not-done")], DUE),
        (
            "influenza",
            [immunization("140", "2026-09-20", status="entered-in-error")],
            DUE,
        ),
        ("tdap-td", [immunization("115", "2016-11-25")], DONE),
        ("tdap-td", [immunization("115", "2016-11-10")], DUE),
        ("tdap-td", [immunization("113", "2025-01-01")], DUE),
        (
            "tdap-td",
            [immunization("115", "2009-01-01"), immunization("113", "2020-01-01")],
            DONE,
        ),
        ("zoster", [immunization("187", "2026-09-18")], DUE),
        ("zoster", [immunization("187", "2026-10-01")], DONE),
        ("zoster", [immunization("121", "2012-10-01")], DUE),
        (
            "zoster",
            [immunization("187", "2020-01-01"), immunization("187", "2020-04-01")],
            DONE,
        ),
        ("pneumococcal", [immunization("216", "2022-01-01")], DONE),
        ("pneumococcal", [immunization("33", "2012-01-01")], NO),
        ("pneumococcal-ask", [immunization("33", "2012-01-01")], DUE),
        ("pneumococcal-ask", [], NO),
        (
            "pneumococcal-ask",
            [immunization("33", "2012-01-01"), immunization("327", "2025-01-01")],
            DONE,
        ),
        ("rsv-ask", [], NO),
        ("rsv-ask", [condition("J44.9")], DUE),
        ("rsv-ask", [condition("J44.9"), immunization("303", "2024-10-01")], DONE),
        ("covid-ask", [immunization("313", "2026-09-01")], DONE),
        ("covid-ask", [immunization("309", "2026-05-01")], DUE),
    ],
)
def test_only_what_was_completed_counts(
    plan: str, given: list[Any], expected: str
) -> None:
    assert first(plan, *given) == expected


def test_an_antibody_against_rsv_is_no_vaccine() -> None:
    assert first("rsv", immunization("306", "2025-10-01"), born="1948-01-01") == DUE
    assert first("rsv", immunization("305", "2025-10-01"), born="1948-01-01") == DONE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([immunization("189", "2020-01-01"), immunization("189", "2020-03-01")], DONE),
        ([immunization("43", "2020-01-01"), immunization("43", "2020-03-01")], DUE),
        (
            [immunization("43", f"2020-0{month}-01") for month in (1, 3, 7)],
            DONE,
        ),
        ([immunization("43", "2026-10-10")], DONE),
        ([condition("B18.1")], NO),
    ],
)
def test_hepatitis_b_is_a_series(given: list[Any], expected: str) -> None:
    assert first("hepatitis-b", *given, born="1980-01-01") == expected


@pytest.mark.parametrize(
    ("month", "expected"),
    [(8, NO), (9, DUE), (12, DUE), (1, DUE), (2, NO), (6, NO)],
)
def test_flu_has_a_season(month: int, expected: str) -> None:
    at = datetime(2027, month, 15, 18, tzinfo=UTC)
    assert first("influenza", at=at) == expected


def test_a_vaccine_of_last_season_does_not_count_in_this_one() -> None:
    at = datetime(2027, 1, 15, 18, tzinfo=UTC)
    assert first("influenza", immunization("140", "2026-06-30"), at=at) == DUE
    assert first("influenza", immunization("140", "2026-07-02"), at=at) == DONE


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (refused("187", "2026-01-10"), REFUSED),
        (refused("187", "2025-11-10"), DUE),
        (refused("187", "2026-01-10", statusReason=coding(REASON, "IMMUNE")), DUE),
        (refused("140", "2026-01-10"), DUE),
        (
            refused("187", "x") | {"occurrenceDateTime": None, "occurrenceString": "?"},
            "hold: plan-unknown",
        ),
    ],
)
def test_a_refusal_silences_for_twelve_months(
    resource: dict[str, Any], expected: str
) -> None:
    kept = {name: value for name, value in resource.items() if value is not None}
    assert first("zoster", kept) == expected


def test_after_a_refusal_the_clinician_hears_of_it_before_the_visit() -> None:
    what = event(EventKind.APPOINTMENT_BOOKED, "Appointment/visit")
    read = chart(appointment(), refused("187", "2026-01-10"))
    assert weigh("vaccine-refused", read, what=what) == {"visit-task": DUE}
    assert weigh("vaccine-refused", chart(appointment()), what=what) == {
        "visit-task": NO
    }
    found = decide_event(what, read, own(), only("vaccine-refused"), endpoint(), NOW)[0]
    assert found.task is not None
    assert found.task.due_at == datetime.fromisoformat("2026-12-02T15:30:00+00:00")


@pytest.mark.parametrize(
    ("plan", "schedule", "expected"),
    [
        ("zoster", "cdc", DUE),
        ("zoster", "aafp", DUE),
        ("zoster", "own", NO),
        ("covid-ask", "cdc", DUE),
        ("covid-ask", "aafp", NO),
    ],
)
def test_the_site_says_whose_schedule_it_follows(
    plan: str, schedule: str, expected: str
) -> None:
    where = endpoint(site=replace(SITE, vaccine_schedule=schedule))
    assert first(plan, where=where) == expected


@pytest.mark.parametrize("plan", VACCINES)
def test_no_text_names_what_is_due(plan: str) -> None:
    person = patient(birthDate="1951-03-02" if plan == "rsv" else "1972-03-02")
    if plan == "covid-ask":
        person = patient(birthDate="1951-03-02")
    given = {
        "pneumococcal-ask": (immunization("33", "2012-01-01"),),
        "rsv-ask": (condition("J44.9"),),
    }.get(plan, ())
    found = decide_event(
        review(), chart(*given, person=person), own(), only(plan), endpoint(), NOW
    )
    texts = [
        item.text.lower() for item in found if item.verdict.outcome.value == "send"
    ]
    assert texts
    words = ("vaccin", "flu", "rsv", "covid", "zoster", "hepat", "pneumo", "tetanus")
    assert not [text for text in texts for word in words if word in text]


@pytest.mark.parametrize("plan", [name for name in VACCINES if name.endswith("-ask")])
def test_what_is_a_shared_decision_says_ask_us(plan: str) -> None:
    definitions = {item.definition for item in only(plan).plans[0].actions}
    assert {name.rpartition("/")[2] for name in definitions} == {"preventive-ask-us"}


def test_a_booked_visit_stops_it_and_palliative_care_too() -> None:
    assert first("zoster", appointment()) == "cancel: already-booked"
    assert first("zoster", condition("Z51.5")) == "cancel: serious-illness"


def test_immunizations_that_could_not_be_read_are_unknown() -> None:
    read = chart(person=patient(), incomplete=("Immunization",))
    assert weigh("zoster", read)["offer"] == "hold: ehr-unreachable"


def test_flu_is_offered_beside_the_other_vaccines_and_once_a_season() -> None:
    def told(days: float, plan: str) -> SentMessage:
        moment = NOW - timedelta(days=days)
        return SentMessage(moment, "immunization", "sms", about=(plan, "", "x"))

    read = chart(person=patient())
    zoster = own(sent=(told(20, "zoster"),))
    assert weigh("influenza", read, zoster, beside=("zoster",))["offer"] == DUE
    assert weigh("tdap-td", read, zoster, beside=("zoster",))["offer"] == NO
    assert weigh("influenza", read, own(sent=(told(20, "influenza"),)))["offer"] == NO


def test_the_steps_of_flu_end_without_a_task() -> None:
    found = decide_event(
        review(), chart(person=patient()), own(), only("influenza"), endpoint(), NOW
    )
    assert {item.action.id: reason_of(item) for item in found} == {
        "offer": DUE,
        "second": DUE,
        "other": DUE,
    }
