"""Translations of a plan say what the plan says: complete, with the same variables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mappings.plan import Plan, StepWords
from middleware.decisions.checking import check_library
from tests.unit.decisions.story import LIBRARY

PLAN = next(plan for plan in LIBRARY.plans if plan.id == "waitlist")
STEP = PLAN.actions[0]
WORDS = STEP.translated["es"]


def faults(plan: Plan) -> list[str]:
    found = check_library(replace(LIBRARY, plans=(plan,)))
    return [fault for fault in found if fault.startswith(f"{PLAN.id}, ")]


def told(words: StepWords, tag: str = "es") -> list[str]:
    step = replace(STEP, translated={tag: words})
    titles = {tag: "Lista de espera"}
    return faults(replace(PLAN, actions=(step,), titles=titles))


def test_shipped_translations_have_no_fault() -> None:
    assert faults(PLAN) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"why": "Está en la lista."}, "why lacks the variable 'given'"),
        (
            {"why": "{{ given }} espera el {{ visit_day }}."},
            "why has the variable 'visit_day', which it does not translate",
        ),
        (
            {"title": "Para {{ given }}"},
            "title has the variable 'given', which it does not translate",
        ),
        ({"why": "{{ given"}, "why cannot be filled in (TemplateSyntaxError)"),
        (
            {"stops_if": ""},
            "stops-if has no translation, so the step is not said in it",
        ),
        ({"stops_if": "no " * 40}, "its sentences have 40 words or more"),
    ],
)
def test_fault_of_a_translation_is_named(changes: dict[str, str], fault: str) -> None:
    where = f"{PLAN.id}, {STEP.id}, es: "
    assert told(replace(WORDS, **changes)) == [f"{where}{fault}"]


def test_language_is_that_of_the_whole_plan() -> None:
    untitled = replace(PLAN, titles={})
    assert faults(untitled) == [
        f"{PLAN.id}, es: the plan's title has no translation",
    ]
    unsaid = replace(PLAN, actions=(replace(STEP, translated={}),))
    assert faults(unsaid) == [
        f"{PLAN.id}, {STEP.id}, es: the step has no translation",
    ]


def test_plan_without_translations_has_no_fault() -> None:
    plain = replace(PLAN, titles={}, actions=(replace(STEP, translated={}),))
    assert faults(plain) == []
