"""Titles and sentences of content in other languages, by FHIR's translation extension."""

from __future__ import annotations

import pytest

from mappings.content import load_shipped
from mappings.plan import NS, Plan, StepWords
from mappings.translated import TRANSLATION, read_step_words, read_text

WHY, STOPS = f"{NS}/StructureDefinition/why", f"{NS}/StructureDefinition/stops-if"
PLANS = load_shipped().plans


def said(tag: str, text: str) -> dict[str, object]:
    parts = [
        {"url": "lang", "valueCode": tag},
        {"url": "content", "valueString": text},
    ]
    return {"url": TRANSLATION, "extension": parts}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.id)
def test_every_shipped_plan_is_said_in_spanish(plan: Plan) -> None:
    assert plan.titles["es"]
    assert plan.titles["es"] != plan.title
    for action in plan.actions:
        words = action.translated["es"]
        assert words.whole, action.id
        assert words.title != action.title
        assert words.why != action.why
        assert words.stops_if.startswith("Se detiene si ")


def test_translations_are_read_by_language_and_a_missing_one_stays_empty() -> None:
    action = {
        "title": "Call",
        "_title": {"extension": [said("es", "Llamar"), said("pt-BR", "Ligar")]},
        "extension": [
            {
                "url": WHY,
                "valueCodeableConcept": {
                    "text": "Asks {{ given }}.",
                    "_text": {"extension": [said("es", "Pregunta a {{ given }}.")]},
                },
            },
            {"url": STOPS, "valueString": "Stops if it is done."},
        ],
    }
    found = read_step_words(action, WHY, STOPS)
    assert found == {
        "es": StepWords("Llamar", "Pregunta a {{ given }}.", ""),
        "pt-br": StepWords("Ligar", "", ""),
    }
    assert not found["es"].whole
    assert read_text(action, WHY) == "Asks {{ given }}."
    assert read_text(action, STOPS) == "Stops if it is done."


def test_misshapen_translations_are_none() -> None:
    for beside in (None, "x", {"extension": [{"url": TRANSLATION}]}, {"extension": 3}):
        assert read_step_words({"title": "Call", "_title": beside}, WHY, STOPS) == {}
