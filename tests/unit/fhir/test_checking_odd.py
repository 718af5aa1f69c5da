"""Answers of odd shapes: a check always ends in findings, and follows no odd id."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from middleware.fhir.checking.steps import STEPS
from tests.unit.fhir.checked_ehr import Ehr, bundle, check, token, visit
from tests.unit.fhir.scripted import Asked, Reply

ODD = (7, None, "", "odd", [None], {"odd": []}, [[7]], True)
COUNT = len(STEPS)


def places(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every element of a JSON value."""
    named = value.items() if isinstance(value, dict) else ()
    numbered = enumerate(value) if isinstance(value, list) else ()
    for name, inner in (*named, *numbered):
        yield (*before, name)
        yield from places(inner, *before, name)


def spoil(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    spoilt = copy.deepcopy(value)
    inner = spoilt
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = odd
    return spoilt


def answers(ehr: Ehr) -> dict[str, Any]:
    return {
        "/fhir/metadata": ehr.statement(),
        "/fhir/.well-known/smart-configuration": ehr.configuration(),
        "/token": token(),
        "/fhir/Encounter": bundle([visit(1), visit(2)]),
        "/fhir/Encounter/visit-1": visit(1),
    }


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/token",
        "/fhir/Encounter",
        "/fhir/Encounter/visit-1",
    ],
)
def test_any_odd_element_ends_in_findings(ehr: Ehr, path: str) -> None:
    whole = answers(ehr)[path]
    odd = itertools.cycle(ODD)
    for place in places(whole):
        spoilt = Reply(200, spoil(whole, place, next(odd)))
        ehr.broken = _answering(path, spoilt)
        assert len(check(ehr)) == COUNT, place


@pytest.mark.parametrize("odd", [*ODD, {"resourceType": ["Bundle"]}, b"\xff", b"[" * 9])
def test_any_odd_body_ends_in_findings(ehr: Ehr, odd: Any) -> None:
    for path in answers(ehr):
        ehr.broken = _answering(path, Reply(200, odd))
        assert len(check(ehr)) == COUNT


def _answering(path: str, reply: Reply) -> Any:
    def answer(asked: Asked) -> Reply | None:
        return reply if asked.path.partition("?")[0] == path else None

    return answer


@pytest.mark.parametrize("odd", ["../Patient/rosa", "..", "a/b", "a?b", "x" * 65])
def test_an_odd_id_is_never_asked_for(ehr: Ehr, odd: str) -> None:
    strange = {**visit(1), "id": odd}
    ehr.broken = _answering("/fhir/Encounter", Reply(200, bundle([strange])))
    check(ehr)
    kept = [line for line in ehr.lines if line.startswith("GET /fhir/Encounter/")]
    assert kept == []
