"""Attacks by what is malformed, refused or held back in a successful answer."""

from __future__ import annotations

import re
from typing import Any

import pytest

from middleware.desk.completeness import PLAIN
from tests.conformance.charts import write_outcome
from tests.conformance.clinic import Clinic
from tests.conformance.hostile import HostileEhr
from tests.conformance.reading import MISSING, condition, names_as_missing, show

Bundle = dict[str, Any]
KIN = "RelatedPerson"


@pytest.fixture(params=[False, True], ids=["one by one", "in a batch"], autouse=True)
def batches(ehr: HostileEhr, request: pytest.FixtureRequest) -> bool:
    """The EHR takes questions one by one, or several at once."""
    ehr.charts.batches = request.param
    return ehr.charts.batches


@pytest.mark.attack(56)
def test_one_bad_entry_of_a_hundred_is_said_and_no_other_is_lost(
    clinic: Clinic,
) -> None:
    bad: tuple[Any, ...] = (None, 7, "x", [], {}, {"resource": None}, {"resource": {}})
    worse = ({"resource": {"resourceType": 7}}, {"resource": {"resourceType": KIN}})
    good = [
        {
            "resourceType": KIN,
            "id": f"r{number}",
            "active": True,
            "patient": {"reference": "Patient/rosa"},
            "name": [{"given": ["Ana"], "family": f"Daughter{number:02}"}],
            "relationship": [{"text": "daughter"}],
            "telecom": [{"system": "phone", "value": f"+141555501{number:02}"}],
        }
        for number in range(99)
    ]
    for entry in (*bad, *worse):

        def bend(kind: str, bundle: Bundle, entry: Any = entry) -> Bundle:
            if kind != KIN:
                return bundle
            whole = [{"resource": one} for one in good]
            return {**bundle, "entry": [*whole[:50], entry, *whole[50:]]}

        clinic.ehr.charts.bend = bend
        page = show(clinic)
        assert len(set(re.findall(r"Daughter\d\d", page))) == 99, entry
        assert names_as_missing(page, KIN), entry


@pytest.mark.attack(57)
@pytest.mark.parametrize(
    ("severity", "code"),
    [
        ("fatal", "59133"),
        ("error", "4130"),
        ("error", "4113"),
        ("warning", "4119"),
        ("warning", "4131"),
    ],
)
def test_an_outcome_among_the_answers_is_said(
    clinic: Clinic, severity: str, code: str
) -> None:
    def bend(kind: str, bundle: Bundle) -> Bundle:
        if kind != "Condition":
            return bundle
        told = write_outcome("suppressed", severity, code)
        entry = {"resource": told, "search": {"mode": "outcome"}}
        return {**bundle, "entry": [*bundle["entry"], entry]}

    clinic.ehr.charts.put(condition(1))
    clinic.ehr.charts.bend = bend
    page = show(clinic)
    if severity == "warning":
        assert f"may be more than it gave this app of: {PLAIN['Condition']}" in page
    else:
        assert names_as_missing(page)


@pytest.mark.attack(57)
def test_an_outcome_that_only_informs_is_no_alarm(clinic: Clinic) -> None:
    def bend(kind: str, bundle: Bundle) -> Bundle:
        told = write_outcome("informational", "information", "4101")
        entry = {"resource": told, "search": {"mode": "outcome"}}
        return {**bundle, "entry": [*bundle["entry"], entry]}

    clinic.ehr.charts.bend = bend
    assert not re.search(MISSING, show(clinic))


@pytest.mark.attack(57)
def test_an_outcome_instead_of_an_answer_is_said(clinic: Clinic) -> None:
    told = write_outcome("too-costly", "error")
    clinic.ehr.charts.instead["Condition"] = (told, 200)
    assert names_as_missing(show(clinic))
