"""Content is checked as codes, references and dates, and run on its examples."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mappings.content import shipped_resources
from mappings.event import EventKind
from mappings.plan import Condition, Plan
from middleware.decisions.checking import check_library
from middleware.decisions.content_checks import (
    check_content,
    code_fault,
    is_loinc,
    is_snomed,
)
from middleware.decisions.examples import VALUES, busy, list_unclear, quiet
from tests.unit.decisions.story import LIBRARY

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
CONTENT = shipped_resources()


def changed(name: str, **changes: Any) -> list[dict[str, Any]]:
    """The shipped content with one resource changed."""
    found = copy.deepcopy(list(CONTENT))
    for item in found:
        if item["id"] == name:
            item.update(changes)
    return found


def test_shipped_content_is_current_whole_and_well_coded() -> None:
    assert check_content(CONTENT, NOW) == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"effectivePeriod": {"end": "2026-11-19"}},
            "effectivePeriod.end: 2026-11-19 has passed",
        ),
        (
            {"lastReviewDate": "2024-11-01"},
            "lastReviewDate: 2024-11-01 is over 24 months ago",
        ),
        (
            {"identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.02"}]},
            "identifier[0].value: 'urn:oid:1.02' is no OID",
        ),
    ],
)
def test_fault_of_a_resource_is_named(changes: dict[str, Any], fault: str) -> None:
    found = check_content(changed("no-show", **changes), NOW)
    assert found == (f"PlanDefinition/no-show: {fault}",)


def test_what_was_retired_may_be_past_its_date() -> None:
    old = {"status": "retired", "effectivePeriod": {"end": "2020-01-01"}}
    assert check_content(changed("no-show", **old), NOW) == ()


def test_reference_to_nothing_is_named() -> None:
    plan = copy.deepcopy(next(item for item in CONTENT if item["id"] == "no-show"))
    action = plan["action"][0]
    action["definitionCanonical"] = "https://example.org/nothing|1.0.0"
    action["relatedAction"] = [{"actionId": "gone", "relationship": "after-end"}]
    action["input"] = [
        {"type": "Procedure", "codeFilter": [{"valueSet": "https://example.org/vs"}]}
    ]
    found = check_content(changed("no-show", action=[plan["action"][0]]), NOW)
    name = "PlanDefinition/no-show: action"
    assert set(found) == {
        f"{name}[0].definitionCanonical: there is no https://example.org/nothing|1.0.0",
        f"{name}[0].input[0].codeFilter.valueSet: there is no https://example.org/vs",
        f"{name} {action['id']}: there is no 'gone'",
    }


@pytest.mark.parametrize("code", ["4548-4", "29771-3", "77353-1", "79101-2", "1-8"])
def test_loinc_check_digit(code: str) -> None:
    assert is_loinc(code)
    assert not is_loinc(code[:-1] + str((int(code[-1]) + 1) % 10))


def test_loinc_part_and_answer_codes_have_other_forms() -> None:
    assert is_loinc("LA6576-8")
    assert not is_loinc("29771")


@pytest.mark.parametrize("code", ["73761001", "26390003", "419099009"])
def test_snomed_check_digit(code: str) -> None:
    assert is_snomed(code)
    assert not is_snomed(code[:-1] + str((int(code[-1]) + 1) % 10))
    assert not is_snomed(code[1] + code[0] + code[2:])


def test_codes_that_may_not_be_shipped() -> None:
    assert "CPT" in str(code_fault("http://www.ama-assn.org/go/cpt", "45378"))
    assert code_fault("http://example.org/own", "anything") is None


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_has_its_examples(kind: EventKind) -> None:
    full = busy(kind.value, LIBRARY, VALUES[0])
    assert len(quiet(kind.value).resources) <= 1
    assert len(full.of("Observation")) == 1
    assert full.of("Observation")[0]["code"]["coding"]


def _with(expression: str) -> Plan:
    plan = next(item for item in LIBRARY.plans if item.id == "no-show")
    condition = Condition(expression, "not-applicable", "It is so.")
    action = replace(plan.actions[0], conditions=(condition,), stops=())
    return replace(plan, actions=(action,))


@pytest.mark.parametrize(
    "expression",
    [
        "%focus.noSuchFunction()",
        "%conditions.code.text",
        "%patient.birthDate",
    ],
)
def test_expression_without_a_yes_or_no_is_a_fault(expression: str) -> None:
    plan = _with(expression)
    library = replace(LIBRARY, plans=(plan,))
    assert any("gives no yes or no" in item for item in list_unclear(plan, library))
    assert any("gives no yes or no" in item for item in check_library(library))


@pytest.mark.parametrize(
    "expression",
    [
        "%observations.where(value.value > 3).exists()",
        "%observations.value.value.max() > 3",
        "%observations.value.asHours() > 0",
        "%observations.value.coding.code = 'yes'",
    ],
)
def test_expression_with_a_yes_or_no_is_none(expression: str) -> None:
    plan = _with(expression)
    assert list(list_unclear(plan, replace(LIBRARY, plans=(plan,)))) == []
