"""Plans for long illness: the cadence of tests, and never a value in a text."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.preference import SentMessage
from middleware.decisions.deciding import decide_event
from tests.unit.decisions.story import (
    LOINC,
    NOW,
    SNOMED,
    appointment,
    chart,
    coding,
    condition,
    encounter,
    endpoint,
    observation,
    only,
    order,
    own,
    patient,
    procedure,
    reason_of,
    review,
    weigh,
)

NO, DONE, DUE = "not-due: not-applicable", "cancel: already-done", "send: due"
DIABETES = condition("E11.9")
CHECKS = ("a1c", "diabetes-eye", "diabetes-kidney")


def first(plan: str, *resources: Any, born: str = "1968-03-02", **more: Any) -> str:
    person = patient(birthDate=born)
    found = weigh(plan, chart(*resources, person=person), **more)
    return next(iter(found.values()))


def a1c(day: str, value: float, **changes: Any) -> dict[str, Any]:
    return observation("4548-4", day, value, **changes)


@pytest.mark.parametrize("plan", CHECKS)
@pytest.mark.parametrize(
    ("resources", "born", "expected"),
    [
        ([], "1968-03-02", NO),
        ([DIABETES], "1968-03-02", DUE),
        ([condition("44054006", SNOMED)], "1968-03-02", DUE),
        (
            [condition("E11.9", clinicalStatus=coding("x", "resolved"))],
            "1968-03-02",
            NO,
        ),
        ([condition("R73.03")], "1968-03-02", NO),
        ([DIABETES], "2008-11-21", NO),
        ([DIABETES], "1950-11-20", NO),
        ([DIABETES], "1950-11-21", DUE),
        ([DIABETES, condition("Z33.1")], "1968-03-02", NO),
        ([DIABETES, condition("N18.6")], "1968-03-02", NO),
        ([DIABETES, procedure("70536003", "2020-01-01")], "1968-03-02", NO),
        ([DIABETES, condition("Z51.5")], "1968-03-02", "cancel: serious-illness"),
        ([DIABETES, appointment()], "1968-03-02", "cancel: already-booked"),
    ],
)
def test_who_is_asked_to_a_check_up(
    plan: str, resources: list[Any], born: str, expected: str
) -> None:
    assert first(plan, *resources, born=born) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([a1c("2026-05-25", 7.9)], DONE),
        ([a1c("2026-05-20", 7.9)], DUE),
        ([a1c("2026-08-25", 8.0)], DONE),
        ([a1c("2026-08-15", 8.0)], DUE),
        ([a1c("2026-08-15", 7.9), a1c("2026-06-15", 9.9)], DONE),
        (
            [a1c("2026-08-15", 64, valueQuantity={"value": 64, "unit": "mmol/mol"})],
            DONE,
        ),
        ([a1c("2026-11-15", 7.0, status="registered")], DUE),
        ([order("4548-4")], DONE),
    ],
)
def test_a1c_is_due_after_six_months_or_three_where_it_was_high(
    resources: list[Any], expected: str
) -> None:
    assert first("a1c", DIABETES, *resources) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([procedure("722161008", "2025-11-25")], DONE),
        ([procedure("722161008", "2025-11-10")], DUE),
        ([order("722161008", SNOMED)], DONE),
        ([condition("H54.0X33")], NO),
    ],
)
def test_eyes_are_looked_at_every_year(resources: list[Any], expected: str) -> None:
    assert first("diabetes-eye", DIABETES, *resources) == expected


URINE, BLOOD = (
    observation("9318-7", "2026-03-01", 12),
    observation("98979-8", "2026-03-01", 88),
)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([URINE, BLOOD], DONE),
        ([URINE], DUE),
        ([BLOOD], DUE),
        ([URINE, observation("98979-8", "2025-03-01", 88)], DUE),
    ],
)
def test_kidneys_need_both_tests(resources: list[Any], expected: str) -> None:
    assert first("diabetes-kidney", DIABETES, *resources) == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([a1c("2026-10-01", 9.1)], DUE),
        ([a1c("2026-10-01", 9.0)], NO),
        ([a1c("2026-10-01", 8.1), a1c("2026-05-01", 11)], NO),
        ([], NO),
        ([a1c("2026-10-01", 9.1), appointment()], "cancel: already-booked"),
        (
            [
                a1c("2026-10-01", 9.1),
                encounter(
                    **{"class": {"code": "AMB"}}, period={"end": "2026-08-25T10:00:00Z"}
                ),
            ],
            NO,
        ),
        (
            [
                a1c("2026-10-01", 9.1),
                encounter(
                    **{"class": {"code": "AMB"}}, period={"end": "2026-08-20T10:00:00Z"}
                ),
            ],
            DUE,
        ),
    ],
)
def test_a_high_a1c_without_a_visit_asks_a_care_manager(
    resources: list[Any], expected: str
) -> None:
    found = weigh("a1c-high", chart(DIABETES, *resources))
    assert found == {"care-manager-task": expected}


def test_the_care_manager_is_asked_and_the_patient_hears_nothing() -> None:
    read = chart(DIABETES, a1c("2026-10-01", 11.4))
    found = decide_event(review(), read, own(), only("a1c-high"), endpoint(), NOW)[0]
    assert (found.kind, found.action.owner) == ("task", "Care manager")
    assert found.task is not None
    assert found.task.priority == "urgent"
    assert "11.4" not in found.task.text


@pytest.mark.parametrize("plan", [*CHECKS, "blood-pressure"])
def test_no_text_names_a_test_or_a_value(plan: str) -> None:
    read = chart(
        DIABETES,
        condition("I10"),
        a1c("2026-03-01", 10.7),
        pressure("2026-08-01", 171, 102),
        person=patient(birthDate="1968-03-02"),
    )
    found = decide_event(review(), read, own(), only(plan), endpoint(), NOW)
    texts = [item.text for item in found if item.text]
    assert texts
    assert "regular check-up" in texts[0]
    for word in ("10.7", "171", "102", "A1c", "diabet", "pressure", "eye", "kidney"):
        assert not [text for text in texts if word in text]


def pressure(day: str, high: float, low: float) -> dict[str, Any]:
    parts = (("8480-6", high), ("8462-4", low))
    return observation(
        "85354-9",
        day,
        component=[
            {"code": coding(LOINC, code), "valueQuantity": {"value": value}}
            for code, value in parts
        ],
    )


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([], DUE),
        ([pressure("2026-10-10", 142, 79)], DUE),
        ([pressure("2026-10-10", 129, 80)], DUE),
        ([pressure("2026-10-10", 129, 79)], DONE),
        ([pressure("2026-10-25", 171, 99)], DONE),
        ([pressure("2026-05-25", 129, 79)], DONE),
        ([pressure("2026-05-15", 129, 79)], DUE),
        ([pressure("2026-10-10", 120, 70), pressure("2026-09-10", 171, 99)], DONE),
        ([observation("8480-6", "2026-09-10", 150)], DUE),
        ([observation("8480-6", "2026-09-10", 110)], DONE),
        ([condition("Z33.1")], NO),
        ([condition("N18.6")], NO),
    ],
)
def test_blood_pressure_is_due_every_month_until_it_is_controlled(
    resources: list[Any], expected: str
) -> None:
    assert first("blood-pressure", condition("I10"), *resources) == expected


def test_without_high_blood_pressure_on_the_list_nothing_is_due() -> None:
    assert first("blood-pressure", pressure("2026-01-10", 171, 99)) == NO


def told(days: float, plan: str, occasion: str = "x") -> SentMessage:
    moment = NOW - timedelta(days=days)
    return SentMessage(moment, "chronic-care", "sms", about=(plan, "", occasion))


@pytest.mark.parametrize(("days", "expected"), [(27, NO), (29, DUE)])
def test_blood_pressure_is_asked_for_at_most_every_28_days(
    days: int, expected: str
) -> None:
    found = weigh(
        "blood-pressure",
        chart(condition("I10")),
        own(sent=(told(days, "blood-pressure"),)),
    )
    assert found == {"due": expected}


def test_check_ups_that_are_due_together_are_one_series() -> None:
    read, beside = chart(DIABETES), ("diabetes-eye",)
    sent = own(sent=(told(10, "diabetes-eye"),))
    assert weigh("a1c", read, sent, beside=beside) == {
        "due": NO,
        "second": DUE,
        "call": NO,
    }
    later = own(sent=(told(61, "diabetes-eye"),))
    assert weigh("a1c", read, later, beside=beside)["call"] == NO
    assert weigh("diabetes-eye", read, later, beside=("a1c",))["call"] == DUE


def test_a_new_series_begins_after_ninety_days() -> None:
    sent = own(sent=(told(91, "a1c"),))
    found = decide_event(review(), chart(DIABETES), sent, only("a1c"), endpoint(), NOW)
    assert {item.action.id: reason_of(item) for item in found}["due"] == DUE
    assert "x" not in {item.occasion for item in found}


@pytest.mark.parametrize("plan", [*CHECKS, "blood-pressure", "a1c-high"])
def test_unread_observations_are_unknown(plan: str) -> None:
    read = chart(DIABETES, condition("I10"), incomplete=("Observation", "Procedure"))
    found = weigh(plan, read)
    assert next(iter(found.values())).startswith("hold:")
