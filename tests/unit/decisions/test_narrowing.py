"""Narrowed lists: the same answer as the whole expression over whole lists."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.plan import Condition
from mappings.resource import Resource
from middleware.cli.bench_charts import Maker
from middleware.decisions.conditions import _compiled as compiled
from middleware.decisions.conditions import answer, compile_condition, evidence
from middleware.decisions.environment import Circumstances, make_environment
from middleware.decisions.examples import busy, quiet
from middleware.decisions.functions import Environment, current
from middleware.decisions.narrowing import narrow, whole
from tests.unit.decisions.story import (
    NOW,
    appointment,
    chart,
    encounter,
    endpoint,
    own,
)

LIBRARY = load_shipped()
ZONE = "America/Chicago"
VALUE: Resource = {"valueQuantity": {"value": 9.4, "unit": "%", "code": "%"}}
EXPRESSIONS = sorted(
    {
        condition.expression
        for plan in LIBRARY.plans
        for condition in (
            *plan.trigger_conditions.values(),
            *(one for step in plan.actions for one in (*step.conditions, *step.stops)),
        )
    }
)


def environment(read: Chart, focus: Resource | None = None) -> Environment:
    about = Circumstances(
        focus=focus or read.patient,
        event=NOW - timedelta(hours=1),
        now=NOW,
        zone=ZONE,
        trigger=focus,
    )
    return make_environment(read, own(), LIBRARY, endpoint(), about)


def plainly(expression: str, seen: Environment) -> bool | None:
    """Evaluate an expression as it is written, over whole lists."""
    variables = {name: whole(seen, name) for name in seen.variables}
    token = current.set(seen)
    try:
        found: list[Any] = compiled(expression)(seen.focus, variables)
    except Exception:  # noqa: BLE001 - the engine raises bare Exception
        return None
    finally:
        current.reset(token)
    return found[0] if len(found) == 1 and isinstance(found[0], bool) else None


def turns() -> list[Environment]:
    maker = Maker(LIBRARY, "north", NOW)
    made = [maker.make(number) for number in (0, 3, 5, 6, 7)]
    found = [environment(one.chart, one.chart.find(one.event.focus)) for one in made]
    read = busy("encounter-discharged", LIBRARY, VALUE)
    found += [environment(read, item) for item in read.resources[:4]]
    found.append(environment(quiet("patient-review")))
    return found


def test_every_condition_of_the_library_keeps_its_answer() -> None:
    seen = turns()
    differing = [
        expression
        for expression in EXPRESSIONS
        for where in seen
        if answer(Condition(expression, "not-due", ""), where).value
        is not plainly(expression, where)
    ]

    assert differing == []
    assert sum(bool(narrow(expression).lists) for expression in EXPRESSIONS) > 20


@pytest.mark.parametrize(
    "expression",
    [
        "%encounters.where(statusWord() = 'admitted').exists()",
        "%encounters.where(status in ('finished'|'completed')).count() = 2",
        (
            "%appointments.where(status = 'booked' and start.asHours() > %now.asHours() + 24)"
            ".empty()"
        ),
        "%appointments.where(start.asHours() <= %eventInstant.asHours() - 1).exists()",
        "%encounters.where(status = 'finished').exists() and %appointments.exists()",
        "(%encounters | %appointments).where(status = 'booked').exists()",
        "'booked' in %appointments.status",
        "%encounters.where(status = 'finished' or id = 'other').exists()",
        "%conditions.coded('hospice').exists() or %encounters.exists()",
    ],
)
def test_an_expression_keeps_its_answer(expression: str) -> None:
    read = chart(
        encounter(),
        encounter(id="other", status="in-progress"),
        appointment(),
        appointment(id="past", start="2026-11-01T09:30:00-06:00", status="fulfilled"),
        appointment(id="bare", start=None),
    )
    seen = environment(read, read.resources[0])
    found = answer(Condition(expression, "not-due", ""), seen)

    assert found.value is plainly(expression, seen)
    assert found.value is not None


def test_a_time_that_cannot_be_read_is_unknown_whoevers_it_is() -> None:
    read = chart(appointment(), appointment(id="odd", status="cancelled", start="soon"))
    early = Condition(
        "%appointments.where(status = 'booked' and start.asHours() > %now.asHours())"
        ".exists()",
        "not-due",
        "",
    )
    compile_condition(early)
    found = answer(early, environment(read))

    assert (found.value, found.reason) == (None, "plan-unknown")


def test_what_was_come_to_is_shown_as_evidence() -> None:
    read = chart(appointment(), appointment(id="other", status="cancelled"))
    booked = Condition("%appointments.where(status = 'booked').exists()", "not-due", "")

    assert evidence(booked, environment(read)) == (read.resources[0],)
    either = Condition(
        "%tasks.exists() or %appointments.where(status = 'booked').exists()",
        "not-due",
        "",
    )
    assert evidence(either, environment(read)) == ()
