"""What a chart says of a patient's wishes, also where its members are of no known kind."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.stated import read_goals, read_needs

ODD: tuple[Any, ...] = (["active"], {"a": 1}, 7, None)


def goal(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "id": "g1",
        "lifecycleStatus": "active",
        "description": {"text": "Walk again"},
        "expressedBy": {"reference": "Patient/rosa"},
        **changes,
    }


def need(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "69856-3"}]},
        "valueCodeableConcept": {"coding": [{"code": "LA33-6"}]},
        **changes,
    }


@pytest.mark.parametrize("odd", ODD)
def test_a_status_that_is_no_word_ends_nothing(odd):
    assert len(read_goals([goal(lifecycleStatus=odd)], "Patient/rosa")) == 1
    assert len(read_needs([need(status=odd)], "Patient/rosa")) == 1


def test_what_is_void_is_left_out():
    assert read_goals([goal(lifecycleStatus="cancelled")], "Patient/rosa") == ()
    assert read_needs([need(status="entered-in-error")], "Patient/rosa") == ()
