"""Every condition of the library, compared with a second FHIRPath engine: fhirpath.js.

Both engines see the same charts and variables; the functions that are ours are written
anew in tests/fhirpath/compare.mjs. No difference is allowed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mappings.chart import Chart
from mappings.chart_bundle import read_bundle_chart
from mappings.content import load_shipped
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.event import EventKind
from mappings.plan import Condition
from mappings.preference import OwnRecord, SentMessage
from mappings.reference import reference_of
from mappings.resource import Resource
from middleware.cli.bench_charts import MIX, Maker
from middleware.decisions.conditions import answer
from middleware.decisions.environment import Circumstances, make_environment
from middleware.decisions.examples import busy, quiet
from middleware.decisions.focus import list_activities
from middleware.decisions.functions import Environment

HERE = Path(__file__).parent.parent / "fhirpath"
SYNTHEA = Path(__file__).parents[3] / "shared" / "fixtures" / "synthea"
NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ZONE = "America/Chicago"
LIBRARY = load_shipped()
CONDITIONS = tuple(
    dict.fromkeys(
        condition
        for plan in LIBRARY.plans
        for condition in (
            *plan.trigger_conditions.values(),
            *(one for step in plan.actions for one in (*step.conditions, *step.stops)),
        )
    )
)
ENDPOINT = Endpoint(
    id="north",
    name="North",
    kind=EndpointKind.SANDBOX,
    fhir_base="http://localhost/fhir",
    backend=BackendClient(),
    app=AppClient(),
    site=Site(name="North", phone="(312) 555-0100", booking_url="", zone=ZONE),
)
GENERATED = 60
VALUES: tuple[Resource, ...] = (
    {},
    {"valueQuantity": {"value": 9.4, "unit": "%", "code": "%"}},
    {"valueCodeableConcept": {"coding": [{"code": "10828004"}]}},
    {"valueString": "Positive"},
    {"valueDateTime": "2024-03-02"},
)
# What the engine answers when a condition gives no yes or no.
UNKNOWN = {"data-missing": "empty", "plan-unknown": "error"}


@pytest.fixture(scope="module", autouse=True)
def second_engine() -> None:
    """The engine is installed by `npm ci` in tests/fhirpath."""
    there = shutil.which("node") and (HERE / "node_modules" / "fhirpath").is_dir()
    if not there:
        if "node" in os.environ.get("CARECUE_REQUIRE", "").split(","):
            pytest.fail("node and `npm ci` in tests/fhirpath are required and missing")
        pytest.skip("needs node, and `npm ci` in tests/fhirpath")


def environment(chart: Chart, focus: Resource) -> Environment:
    topics = ("preventive", "appointment", "chronic-care", "immunization")
    sent = (
        SentMessage(NOW - timedelta(days=40 * days), topic, "sms")
        for days, topic in enumerate(topics, 1)
    )
    days = list_activities(focus, chart, ZONE, NOW)
    about = Circumstances(
        focus=focus,
        event=NOW - timedelta(hours=1),
        now=NOW,
        zone=ZONE,
        activity=days[0] if days else None,
        trigger=focus,
    )
    own = OwnRecord(sent=tuple(sent) if len(chart.resources) % 2 else ())
    return make_environment(chart, own, LIBRARY, ENDPOINT, about)


def compare(
    seen: list[tuple[Chart, Environment]],
    conditions: tuple[Condition, ...] = CONDITIONS,
) -> list[str]:
    """Evaluate every condition in both engines; return the differences."""
    expressions = [condition.expression for condition in conditions]
    cases = [
        {
            "focus": found.focus,
            "variables": found.variables,
            "now": found.now,
            "chart": {reference_of(one): one for one in chart.resources},
            "expressions": expressions,
        }
        for chart, found in seen
    ]
    sets = {name: sorted(members) for name, members in LIBRARY.value_sets.items()}
    asked = orjson.dumps({"valueSets": sets, "cases": cases}, default=float)
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(evaluate_there, asked)
        spoken_here = [[spoken(one, found) for one in conditions] for _, found in seen]
    answers = orjson.loads(done.result())
    return [
        f"{reference_of(found.focus)}: {condition.expression}: {ours} != {theirs}"
        for (_, found), here, there in zip(seen, spoken_here, answers, strict=True)
        for condition, ours, theirs in zip(conditions, here, there, strict=True)
        if not same(ours, theirs)
    ]


def evaluate_there(asked: bytes) -> bytes:
    """Let the second engine answer; it runs while ours does."""
    done = subprocess.run(
        ["node", "compare.mjs"],
        cwd=HERE,
        input=asked,
        capture_output=True,
        check=True,
        timeout=900,
    )
    return done.stdout


def spoken(condition: Condition, environment: Environment) -> str:
    found = answer(condition, environment)
    if found.value is not None:
        return str(found.value).lower()
    return UNKNOWN[found.reason]


def same(ours: str, theirs: str) -> bool:
    """Tell whether two answers are one; what is no yes or no is unknown alike."""
    if ours == "error":
        return theirs == "other" or theirs.startswith("error")
    return ours == theirs


def foci(chart: Chart) -> Iterator[Resource]:
    """Yield the patient and, of each kind that can happen, the first and the last."""
    yield chart.patient
    for kind in ("Encounter", "Appointment", "CarePlan"):
        listed = chart.of(kind)
        yield from {id(one): one for one in (*listed[:1], *listed[-1:])}.values()


def test_the_library_has_conditions_to_compare() -> None:
    assert len(CONDITIONS) > 30
    assert len({type(item) for item in CONDITIONS}) == 1


def test_both_engines_agree_on_the_examples() -> None:
    kinds = [kind.value for kind in EventKind]
    charts = [quiet(kind) for kind in kinds]
    charts += [busy(kind, LIBRARY, value) for kind in kinds for value in VALUES]
    seen = [
        (chart, environment(chart, focus)) for chart in charts for focus in foci(chart)
    ]

    assert compare(seen) == []


def test_both_engines_agree_on_generated_charts() -> None:
    maker = Maker(LIBRARY, "north", NOW)
    turns = [maker.make(number) for number in range(GENERATED)]
    seen = [
        (turn.chart, environment(turn.chart, turn.chart.find(turn.event.focus) or {}))
        for turn in turns
    ]

    assert {turn.event.kind for turn in turns} == set(MIX)
    assert compare(seen) == []


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the shared fixtures are not here")
def test_both_engines_agree_on_charts_made_by_synthea() -> None:
    seen: list[tuple[Chart, Environment]] = []
    for path in sorted(SYNTHEA.glob("*.json")):
        bundle: dict[str, Any] = orjson.loads(path.read_bytes())
        people = (item["resource"] for item in bundle["entry"])
        person = next(one for one in people if one["resourceType"] == "Patient")
        chart = read_bundle_chart(bundle, reference_of(person), NOW)
        seen += [(chart, environment(chart, focus)) for focus in foci(chart)]

    assert len(seen) > 12
    assert compare(seen) == []


def test_a_condition_that_the_engines_answer_differently_is_found() -> None:
    """A number straight out of JSON, which the first engine does not compare."""
    observed: Resource = {
        "resourceType": "Observation",
        "id": "a1c",
        "valueQuantity": {"value": 9.4, "unit": "%"},
    }
    chart = Chart(quiet("patient-review").patient, (observed,), NOW)
    wrong = Condition("%focus.value.value = 9.4", "data-missing", "")

    (difference,) = compare([(chart, environment(chart, observed))], (wrong,))
    assert difference.endswith("false != true")
