"""A compiled condition gives what fhirpathpy gives, whatever it is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.plan import Condition
from mappings.preference import OwnRecord, SentMessage
from mappings.resource import Resource
from middleware.cli.bench_charts import MIX, Maker
from middleware.decisions.conditions import answer
from middleware.decisions.environment import Circumstances, make_environment
from middleware.decisions.examples import busy, quiet
from middleware.decisions.focus import list_activities
from middleware.decisions.functions import Environment, current, table
from middleware.decisions.narrowing import narrow, narrowed_list
from middleware.decisions.programs import compile_program
from tests.unit.decisions.story import endpoint

LIBRARY = load_shipped()
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ZONE = "America/Chicago"
VALUE: Resource = {"valueQuantity": {"value": 9.4, "unit": "%", "code": "%"}}
EXPRESSIONS = tuple(
    dict.fromkeys(
        condition.expression
        for plan in LIBRARY.plans
        for condition in (
            *plan.trigger_conditions.values(),
            *(one for step in plan.actions for one in (*step.conditions, *step.stops)),
        )
    )
)
Compiled = Callable[[Any, dict[str, Any]], list[Any]]


def by_the_engine(expression: str) -> Compiled:
    compiled: Compiled = fhirpathpy.compile(
        expression, models["r4"], {"userInvocationTable": table()}
    )
    return compiled


def outcome(program: Compiled, focus: Any, variables: dict[str, Any]) -> str:
    """Return what came out as text; that something went wrong is an outcome too."""
    try:
        return repr([spoken(item) for item in program(focus, variables)])
    except Exception:  # noqa: BLE001 - the engine raises bare Exception
        return "error"


def spoken(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | dict) else str(value)


def environment(chart: Chart, focus: Resource, *, told: bool) -> Environment:
    days = list_activities(focus, chart, ZONE, NOW)
    about = Circumstances(
        focus=focus,
        event=NOW - timedelta(hours=1),
        now=NOW,
        zone=ZONE,
        activity=days[0] if days else None,
        trigger=focus,
    )
    topics = ("preventive", "appointment", "chronic-care", "immunization")
    sent = tuple(
        SentMessage(NOW - timedelta(days=40 * days), topic, "sms")
        for days, topic in enumerate(topics, 1)
    )
    own = OwnRecord(sent=sent if told else ())
    return make_environment(chart, own, LIBRARY, endpoint(), about)


def worlds() -> Iterator[Environment]:
    for kind in set(MIX):
        for chart in (quiet(kind.value), busy(kind.value, LIBRARY, VALUE)):
            for name in ("Encounter", "Appointment", "CarePlan"):
                for focus in (chart.patient, *chart.of(name)[:1]):
                    yield environment(chart, focus, told=name == "Encounter")
    maker = Maker(LIBRARY, "north", NOW)
    for number in range(len(MIX)):
        turn = maker.make(number)
        focus = turn.chart.find(turn.event.focus) or {}
        yield environment(turn.chart, focus, told=bool(number % 2))


def test_every_condition_of_the_library_gives_what_the_engine_gives() -> None:
    seen = list(worlds())
    given: set[str] = set()
    for expression in EXPRESSIONS:
        narrowed = narrow(expression)
        ours = compile_program(narrowed.expression, table())
        theirs = by_the_engine(narrowed.expression)
        for found in seen:
            token = current.set(found)
            try:
                lists = {
                    name: narrowed_list(found, *steps)
                    for name, steps in narrowed.lists.items()
                }
                variables = {**found.variables, **lists}
                came = outcome(ours, found.focus, variables)
                assert came == outcome(theirs, found.focus, variables), expression
            finally:
                current.reset(token)
            given.add(came)
    assert {"[True]", "[False]", "[]"} <= given


PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "rosa",
    "active": True,
    "birthDate": "1961-03-02",
    "name": [
        {"use": "official", "family": "Marin", "given": ["Rosa", "Ana"]},
        {"use": "nickname", "given": ["Rosita"]},
    ],
    "contact": [{"name": {"given": ["Li"], "_given": [{"extension": [{"url": "x"}]}]}}],
    "multipleBirthInteger": 2,
    "extension": [{"url": "http://example.org/x", "valueString": "y"}],
}
OBSERVED: Resource = {
    "resourceType": "Observation",
    "id": "a1c",
    "valueQuantity": {"value": 9.4, "unit": "%", "code": "%"},
    "effectiveDateTime": "2026-03-02T10:00:00Z",
}
KNOWN: dict[str, Any] = {
    "patient": PATIENT,
    "observations": [OBSERVED, {**OBSERVED, "id": "other", "valueString": "high"}],
    "none": [],
    "nothing": None,
    "word": "home",
    "many": 3,
    "yes": True,
}


@pytest.mark.parametrize(
    "expression",
    [
        "name.where(given.where($this = 'Rosa').exists()).family",
        "name.where(use = 'official').given",
        "name.given | name.family",
        "name.given.where($this.startsWith('R')).count() = 2",
        "name.select(given.first() & ' ' & family)",
        "name[1].given[0]",
        "name[9]",
        "Patient.name.given",
        "Observation.id",
        "contact.name.given",
        "extension('http://example.org/x').value",
        "multipleBirth.ofType(integer) + 1",
        "multipleBirth is integer",
        "multipleBirth > 1 and active",
        "-multipleBirth",
        "birthDate > @1960-01-01",
        "birthDate + 3 days > @1961-03-04",
        "birthDate.substring(0, 4).toInteger() mod 4 = 1",
        "%observations.where(value.value >= 9).id",
        "%observations.value.ofType(Quantity).unit.distinct()",
        "%observations.where(value is string).exists()",
        "%observations.all(id.exists()) implies %yes",
        "%observations.repeat(valueQuantity).count()",
        "%observations.aggregate($this.id.length() + $total, 0)",
        "%observations.select($index)",
        "%observations.first() | %observations.last()",
        "(%observations | %patient).id",
        "%observations.id.combine(%patient.id).isDistinct()",
        "%observations.id.subsetOf(%patient.name.given)",
        "%observations.effective.asHours() > %many",
        "iif(%many > 2, 'many', 'few')",
        "iif(%none.exists(), 'some')",
        "%word in ('home'|'hospice')",
        "('home'|'hospice'|'home') contains %word",
        "(1 | 2 | 1).count()",
        "(4 days | 96 hours).count()",
        "%none.not()",
        "%none and %yes",
        "(%none and false).not()",
        "%none or %yes",
        "%yes xor %none",
        "%none = %nothing",
        "%nothing.empty()",
        "{}.exists() or $this.exists()",
        "%word = 'home' and %many = 3 and %yes",
        "%word.upper().matches('H.*')",
        "%many.toString().length() = 1",
        "%many.power(2)",
        "4 'mg' = 4 'mg'",
        "@2026-01-01 = %now",
        "name.given = 'Rosa'",
        "name.given and true",
        "%missing.exists()",
        "%days > 2",
        "%word > 3",
        "name.nosuch()",
        "name.exists(1, 2)",
        "name.count(1)",
        "true.not().not()",
    ],
)
def test_whatever_is_asked_is_answered_as_the_engine_answers(
    expression: str,
) -> None:
    ours, theirs = compile_program(expression, table()), by_the_engine(expression)
    for focus in (PATIENT, OBSERVED, {}, []):
        came = outcome(ours, focus, dict(KNOWN))
        assert came == outcome(theirs, focus, dict(KNOWN))


def test_a_criterion_inside_another_is_looked_at_once() -> None:
    looked: list[str] = []

    def look(inputs: Any) -> list[Any]:
        looked.extend(inputs)
        return list(inputs)

    functions = {"look": {"fn": look, "arity": {0: []}}}
    nested = "name.where(given.where(look().exists()).exists()).count()"

    assert compile_program(nested, functions)(PATIENT, {}) == [2]
    assert sorted(looked) == ["Ana", "Rosa", "Rosita"]


def test_a_condition_that_cannot_be_evaluated_is_unknown() -> None:
    found = environment(quiet("patient-review"), {"status": ["a", "b"]}, told=False)
    several = Condition("%focus.status and true", "not-due", "")
    assert answer(several, found).value is None
    assert answer(several, found).reason == "plan-unknown"
    missing = replace(several, expression="%focus.nothing")
    assert answer(missing, found).reason == "data-missing"
