"""Misshapen charts: every answer is a verdict, never an exception, never a message lost.

Each case replaces one element, every one in turn, in a good chart by something odd.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.nudge import REASONS
from middleware.decisions.transitions import match_transitions
from tests.unit.decisions.consents import resource as consent_resource
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    NOW,
    appointment,
    care_plan,
    chart,
    decide,
    encounter,
    event,
    own,
    patient,
)

Path = tuple[str | int, ...]
ODD: tuple[Any, ...] = (
    None,
    [],
    {},
    "odd",
    7,
    True,
    [[]],
    [None],
    ["odd"],
    {"coding": "odd"},
)


def good() -> dict[str, Any]:
    condition = {
        "resourceType": "Condition",
        "id": "c",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]},
        "encounter": {"reference": "Encounter/stay"},
        "abatementDateTime": "2020-01-01",
    }
    procedure = {
        "resourceType": "Procedure",
        "id": "p",
        "status": "completed",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "73761001"}]},
        "performedPeriod": {"start": "2001-01-01", "end": "2001-01-02"},
    }
    return {
        "patient": patient(deceasedBoolean=False, link=[], meta={"versionId": "1"}),
        "others": [
            encounter(
                reasonCode=[{"coding": [{"code": "x"}]}],
                diagnosis=[{"condition": {"reference": "Condition/c"}}],
            ),
            appointment(),
            care_plan(),
            consent_resource(),
            condition,
            procedure,
        ],
    }


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, inner in items:
        if name not in ("resourceType", "id", "others", "patient"):
            yield (*at, name)
        yield from paths(inner, (*at, name))


PATHS = [path for path in paths(good()) if path[0] == "patient" or len(path) > 2]
EVENTS = (DISCHARGED, BOOKED, event(EventKind.CAREPLAN_ACTIVATED, "CarePlan/plan"))


def replaced(path: Path, odd: Any) -> dict[str, Any]:
    found: Any = copy.deepcopy(good())
    target = found
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = copy.deepcopy(odd)
    return dict(found)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_element_anywhere_still_gives_known_verdicts(odd: Any) -> None:
    for path in PATHS:
        found = replaced(path, odd)
        read = chart(*found["others"], person=found["patient"])
        for what in EVENTS:
            for candidate in decide(what, read, own(), at=NOW).values():
                reason = REASONS[candidate.verdict.reason]
                assert candidate.verdict.outcome is reason.outcome, path


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_element_anywhere_still_gives_transitions(odd: Any) -> None:
    for path in PATHS:
        for version in replaced(path, odd)["others"]:
            found, state = match_transitions(None, [version])
            assert state is not None, path
            assert len(found) <= 1, path
