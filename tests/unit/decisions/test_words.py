"""What is evaluated once: what depends on a few words alone, and a list."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.plan import Condition
from middleware.decisions.conditions import Environment, evaluate, evidence
from tests.conftest import NOW


def holds(
    expression: str, focus: dict[str, Any] | None = None, **variables: Any
) -> bool | None:
    environment = Environment(focus or {}, variables, {}, NOW)
    return evaluate(Condition(expression, "not-applicable", "It is so."), environment)


@pytest.mark.parametrize(
    "expression",
    [
        "%status = 'discharged'",
        "%status in ('discharged'|'on-leave')",
        "(%status in ('planned'|'admitted')).not()",
        "%status != 'admitted' and %status != %other",
    ],
)
def test_words_give_the_same_answer_again_and_other_words_another(
    expression: str,
) -> None:
    answers = [
        holds(expression, status=status, other="x")
        for status in ("discharged", "admitted", "discharged", "admitted")
    ]
    assert answers == [True, False, True, False]


def test_what_looks_at_the_focus_too_is_evaluated_for_each() -> None:
    expression = "status = %status"
    assert holds(expression, {"status": "booked"}, status="booked") is True
    assert holds(expression, {"status": "fulfilled"}, status="booked") is False


def test_values_that_are_no_words_are_evaluated_as_they_are() -> None:
    expression = "'IMP' in %inpatient"
    assert holds(expression, inpatient=["IMP", "ACUTE"]) is True
    assert holds(expression, inpatient=["AMB"]) is False


def test_a_variable_that_is_missing_is_unknown() -> None:
    assert holds("%status = 'discharged'") is None


VISITS = [
    {"resourceType": "Appointment", "id": "1", "status": "booked"},
    {"resourceType": "Appointment", "id": "2", "status": "cancelled"},
]


@pytest.mark.parametrize(
    ("expression", "answers"),
    [
        ("%visits.where(status = 'booked').exists()", [True, False]),
        ("%visits.where(status = 'booked').empty()", [False, True]),
        ("%visits.where(status in ('noshow'|'x)')).exists()", [False, False]),
        # More than one list: the whole is evaluated.
        (
            "%visits.where(id = '3').empty() and %visits.where(id = '1').exists()",
            [True, False],
        ),
        ("%visits.where(id = '1').status.exists()", [True, False]),
    ],
)
def test_a_list_answers_whether_something_is_in_it(
    expression: str, answers: list[bool]
) -> None:
    found = [holds(expression, visits=visits) for visits in (VISITS, [])]
    assert found == answers


def test_what_a_list_came_to_is_evidence() -> None:
    environment = Environment({}, {"visits": VISITS}, {}, NOW)
    text = "%visits.where(status = 'booked').exists()"
    condition = Condition(text, "not-applicable", "It is so.")
    assert evaluate(condition, environment) is True
    assert evidence(condition, environment) == (VISITS[0],)
