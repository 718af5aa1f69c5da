"""FHIRPath as conditions use it: our functions, and the standard's that we supply."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mappings.plan import Condition
from middleware.decisions.conditions import Environment, answer
from middleware.decisions.functions import exact

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # still 20 November in Chicago
LOINC = "http://loinc.org"
A1C = "https://example.org/ValueSet/a1c"
CODING = {"coding": [{"system": LOINC, "code": "4548-4"}]}
VALUE_SETS = {name: frozenset({(LOINC, "4548-4")}) for name in ("a1c", A1C)}


def result(number: int, value: float, day: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": CODING,
        "valueQuantity": {"value": value, "unit": "%"},
        "effectiveDateTime": day,
        "encounter": {"reference": "Encounter/e1"},
    }


RESULTS = [
    result(1, 6.1, "2025-11-20"),
    result(2, 9.4, "2026-10-01T08:00:00-05:00"),
    result(3, 7, "2026-04-01"),
]
VISIT = {"resourceType": "Encounter", "id": "e1", "status": "finished"}
PATIENT = {
    "resourceType": "Patient",
    "id": "rosa",
    "birthDate": "1981-11-20",
    "gender": "female",
    "managingOrganization": {"reference": "#o"},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "North"}],
}
ENVIRONMENT = Environment(
    focus=PATIENT,
    variables={
        "resource": PATIENT,
        "patient": PATIENT,
        "observations": [exact(item) for item in RESULTS],
        "conditions": [],
        "today": "2026-11-20",
    },
    value_sets=VALUE_SETS,
    now=NOW,
    find=lambda name: VISIT if name == "Encounter/e1" else None,
)

HOLDS = [
    # memberOf, by id, canonical URL and versioned canonical
    "%observations.all(code.memberOf('a1c'))",
    f"%observations.first().code.memberOf('{A1C}')",
    f"%observations.first().code.memberOf('{A1C}|1.0.0')",
    f"%observations.coded('{A1C}').count() = 3",
    f"%observations.first().code.coding.first().memberOf('{A1C}')",
    f"%observations.first().code.coding.code.first().memberOf('{A1C}')",
    f"%observations.where(status.memberOf('{A1C}')).empty()",
    # resolve, inside the chart and inside the resource
    "%observations.first().encounter.resolve().status = 'finished'",
    "%observations.encounter.reference.resolve().first().id = 'e1'",
    "%patient.managingOrganization.resolve().name = 'North'",
    "%observations.encounter.resolve().where(status = 'planned').empty()",
    "('Encounter/none').resolve().empty()",
    # %resource, also inside a step
    "%resource.id = 'rosa'",
    "%observations.where(%resource.gender = 'female').count() = 3",
    # today and now by our clock and the patient's day
    "today() = @2026-11-20",
    "now() = @2026-11-21T03:00:00Z",
    "%patient.birthDate < today()",
    "%patient.birthDate <= today() - 45 years",
    "(%patient.birthDate <= today() - 46 years).not()",
    "%observations.where(effective > today() - 1 year).count() = 2",
    "%observations.effective.max() < now()",
    # aggregates, over a chart's values and over literals
    "%observations.value.value.sum() = 22.5",
    "%observations.value.value.avg() = 7.5",
    "%observations.value.value.min() = 6.1",
    "%observations.value.value.max() = 9.4",
    "%observations.where(value.value = %observations.value.value.max()).id = 'o2'",
    "%observations.where(effective = %observations.effective.max()).id = 'o2'",
    "%observations.where(effective = %observations.effective.min()).id = 'o1'",
    "%observations.value.value.count() = 3",
    "%observations.where(value.value = 9.4).id = 'o2'",
    "%observations.where(value.value != 9.4).count() = 2",
    "%observations.value.value.aggregate($this + $total, 0) = 22.5",
    "(1 | 2 | 3).sum() = 6",
    "('b' | 'a').min() = 'a'",
    "(@2026-01-01 | @2026-02-01).max() = @2026-02-01",
    "%conditions.value.value.sum().empty()",
    "%conditions.value.value.avg().empty()",
    "%conditions.value.value.min().empty()",
    "%conditions.value.value.max().empty()",
]


def value(expression: str) -> tuple[bool | None, str]:
    found = answer(Condition(expression, "not-applicable", "It holds."), ENVIRONMENT)
    return found.value, found.reason or found.detail


@pytest.mark.parametrize("expression", HOLDS)
def test_expression_holds(expression: str) -> None:
    assert value(expression) == (True, "")


@pytest.mark.parametrize(
    "expression",
    [
        "%observations.code.memberOf('no-such-set').first()",
        "%observations.status.sum() > 1",
        "(true | false).avg() > 0",
    ],
)
def test_what_cannot_be_known_is_unknown(expression: str) -> None:
    assert value(expression) == (None, "plan-unknown")


def test_component_values_are_made_exact_too_and_the_rest_is_left() -> None:
    pressure = {
        "component": [{"valueQuantity": {"value": 120.5}}, {"valueString": "x"}]
    }
    made = exact(pressure)
    assert made["component"][0]["valueQuantity"]["value"] == Decimal("120.5")
    assert pressure["component"][0] == {"valueQuantity": {"value": 120.5}}
    assert exact(VISIT) is VISIT
