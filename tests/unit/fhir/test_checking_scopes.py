"""Granted scopes in every spelling, and a clock read from a header."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from middleware.fhir.checking.documents import judge_clock, read_skew
from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.scopes import judge_scopes, read_granted
from tests.unit.fhir.checked_ehr import NEEDS

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "name", "letters", "allowed"),
    [
        ("system/Encounter.rs", "Encounter", "rs", True),
        ("system/Encounter.r", "Encounter", "rs", False),
        ("system/Encounter.read", "Encounter", "rs", True),
        ("system/Encounter.Read", "Encounter", "rs", True),
        ("system/Task.write", "Task", "cu", True),
        ("system/Task.write", "Task", "rs", False),
        ("system/*.*", "Consent", "cruds", True),
        ("system/*.cruds", "Consent", "cruds", True),
        ("system/*.read", "Task", "c", False),
        ("system/Task.c system/*.rs", "Task", "crs", True),
        ("system/Observation.rs?category=laboratory", "Observation", "rs", True),
        ("user/Encounter.rs patient/*.read", "Encounter", "r", False),
        ("openid fhirUser system/", "Encounter", "r", False),
        ("", "Encounter", "r", False),
    ],
)
def test_what_a_scope_allows(text: str, name: str, letters: str, allowed: bool) -> None:
    assert read_granted(text).allows(name, letters) is allowed


def test_what_is_lost_is_named_with_the_scope_to_ask_for() -> None:
    seen = judge_scopes("system/Patient.rs system/Encounter.rs", NEEDS, "POST")
    assert seen.code == "scope-less"
    assert "no reading of Procedure (screening goes wrong)" in seen.saw
    assert (
        "no create, update of Communication (what was sent is not written" in seen.saw
    )
    assert seen.facts["scopes"] == (
        "system/Procedure.rs system/Communication.cu system/Task.cu "
        "system/Subscription.crud"
    )


def test_a_part_that_is_granted_is_told_as_a_part() -> None:
    seen = judge_scopes("system/*.cruds system/Encounter.rs?class=IMP", NEEDS, "POST")
    assert seen.code == "scope-limited"
    assert "Encounter" in seen.saw


def dated(header: str) -> Exchange:
    ended = NOON + timedelta(seconds=2)
    return Exchange("GET /", "/", NOON, ended, 200, {"Date": header})


@pytest.mark.parametrize(
    ("header", "skew"),
    [
        ("Mon, 02 Mar 2026 12:00:01 GMT", 0.5),
        ("Mon, 02 Mar 2026 12:10:01 GMT", 600.5),
        ("Mon, 02 Mar 2026 11:50:01 GMT", -599.5),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_compared_with_the_middle_of_the_exchange(
    header: str, skew: float | None
) -> None:
    assert read_skew(dated(header)) == skew


@pytest.mark.parametrize(
    ("skew", "code"),
    [(4.9, "ok"), (-5.5, "clock-drift"), (60.0, "clock-drift"), (-61, "clock-skew")],
)
def test_what_a_difference_means(skew: float, code: str) -> None:
    assert judge_clock(skew, "GET").code == code
