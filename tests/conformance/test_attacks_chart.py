"""Attacks by what the FHIR server answers: links, references, pages, other people."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Response, request

from middleware.desk.completeness import PLAIN
from tests.conformance.charts import JAMES, ROSA, write_outcome
from tests.conformance.clinic import Clinic, types_asked
from tests.conformance.hostile import HostileEhr
from tests.conformance.reading import condition, is_stopped, names_as_missing, show

Bundle = dict[str, Any]


@pytest.fixture(params=[False, True], ids=["one by one", "in a batch"], autouse=True)
def batches(ehr: HostileEhr, request: pytest.FixtureRequest) -> bool:
    """The EHR takes questions one by one, or several at once."""
    ehr.charts.batches = request.param
    return ehr.charts.batches


@pytest.mark.attack(50)
@pytest.mark.parametrize("known", [True, False])
def test_a_link_with_a_base_that_the_site_named_is_asked_for_at_the_ehrs_own(
    clinic: Clinic, elsewhere: HostileEhr, *, known: bool
) -> None:
    clinic.connect(profile={"aliases": [elsewhere.base]} if known else {})

    def bend(kind: str, bundle: Bundle) -> Bundle:
        if kind != "Condition" or "page" in request.args:
            return bundle
        url = f"{elsewhere.base}/Condition?patient=Patient/rosa&page=2"
        return {**bundle, "link": [{"relation": "next", "url": url}]}

    clinic.ehr.charts.bend = bend
    assert bool(names_as_missing(show(clinic))) is not known
    asked = [one.query for one in clinic.ehr.heard if one.path == "/fhir/Condition"]
    assert ({"patient": ["Patient/rosa"], "page": ["2"]} in asked) is known
    assert elsewhere.heard == []


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@98")
@pytest.mark.attack(50)
def test_a_link_that_leads_away_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    base, root = clinic.ehr.base, clinic.ehr.root
    port = elsewhere.root.rpartition(":")[2]
    links = (
        f"{elsewhere.base}/Condition?page=2",
        f"//localhost:{port}/fhir/Condition?page=2",
        f"http://127.0.0.1:{port}/fhir/Condition?page=2",
        f"{root.replace('http:', 'https:')}/fhir/Condition?page=2",
        f"{root.replace('://', f'://localhost:{port}@')}/fhir/Condition?page=2",
        f"{base}@localhost:{port}/Condition?page=2",
        f"{base}/../admin?page=2",
        f"{base}/%2e%2e/admin?page=2",
        f"{base}\\..\\admin?page=2",
        f"{base}evil/Condition?page=2",
        f"{base}/Condition?page=2\r\nX-Evil: 1",
        "/admin?page=2",
        "javascript:alert(1)",
        "file:///etc/passwd",
    )
    lead: list[str] = []

    def bend(kind: str, bundle: Bundle) -> Bundle:
        if kind != "Condition":
            return bundle
        return {**bundle, "link": [{"relation": "next", "url": lead[-1]}]}

    clinic.ehr.charts.bend = bend
    for link in links:
        lead.append(link)
        assert names_as_missing(show(clinic)), link
    assert elsewhere.heard == []
    assert not [one for one in clinic.ehr.heard if "page" in one.query]
    assert not [one for one in clinic.ehr.heard if "admin" in one.path]


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@97")
@pytest.mark.attack(51)
def test_a_reference_that_leads_away_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    places = (
        f"{elsewhere.base}/Practitioner/p1",
        f"//{elsewhere.base.removeprefix('http://')}/Practitioner/p1",
        "#contained",
        "urn:uuid:3f1e2a8c-0000-4000-8000-000000000000",
        f"Practitioner/../../{elsewhere.base}",
        "Practitioner/p1?_format=http://evil.example",
    )
    clinic.ehr.charts.put(
        *(
            {
                "resourceType": "Appointment",
                "id": f"a{number}",
                "status": "booked",
                "start": "2026-11-20T15:00:00Z",
                "contained": [{"resourceType": "Practitioner", "id": "contained"}],
                "participant": [
                    {"actor": {"reference": "Patient/rosa"}},
                    {"actor": {"reference": place}},
                ],
            }
            for number, place in enumerate(places)
        ),
        {
            **ROSA,
            "generalPractitioner": [{"reference": place} for place in places],
            "managingOrganization": {"reference": f"{elsewhere.base}/Organization/1"},
            "link": [
                {
                    "type": "replaces",
                    "other": {"reference": f"{elsewhere.base}/Patient/x"},
                }
            ],
            "photo": [{"contentType": "image/png", "url": f"{elsewhere.root}/p.png"}],
        },
        {
            "resourceType": "Consent",
            "id": "k1",
            "status": "active",
            "patient": {"reference": "Patient/rosa"},
            "sourceAttachment": {"url": f"{elsewhere.root}/a.pdf"},
            "sourceReference": {"reference": f"{elsewhere.base}/Binary/1"},
        },
        *(
            condition(number, asserter={"reference": place})
            for number, place in enumerate(places)
        ),
    )
    page = show(clinic)

    assert elsewhere.heard == []
    assert elsewhere.root not in page
    asked = {one.path for one in clinic.ehr.heard}
    assert not [path for path in asked if re.search("contained|urn|Binary", path)]


def heard_of(clinic: Clinic) -> set[tuple[str, int]]:
    """Return what the EHR was asked, and how it answered."""
    return {(one.line, one.status) for one in clinic.ehr.heard}


@pytest.mark.attack(52)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_chart_that_moved_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr, batches: bool, status: int
) -> None:
    opened = clinic.open()
    clinic.clock.instant += timedelta(minutes=2)

    def move(path: str) -> None:
        there = {"Location": f"{elsewhere.root}/fhir/{path}"}
        told = write_outcome("transient")
        clinic.ehr.habits.instead = {
            f"/fhir/{path}".rstrip("/"): lambda: Response("", status, there)
        }
        clinic.ehr.charts.instead = {path: (told, status)}

    move("Condition")
    page = clinic.browser.get(opened).text
    assert names_as_missing(page)
    assert "The chart could not be read in full." in page
    move("Patient/rosa")
    assert is_stopped(clinic, opened, "Delgado", "4471-0926")
    assert clinic.launch().status_code == 502
    # A batch that moved is asked for one by one.
    move("")
    assert "Delgado" in clinic.browser.get(opened).text
    assert elsewhere.heard == []
    assert (("POST /fhir", 200) in heard_of(clinic)) is batches


@pytest.mark.attack(53)
@pytest.mark.parametrize("turn", ["itself", "two", "endless"])
def test_pages_without_end_have_one(clinic: Clinic, turn: str) -> None:
    numbers = itertools.count(1)

    def bend(kind: str, bundle: Bundle) -> Bundle:
        if kind != "Condition":
            return bundle
        number = next(numbers)
        following = {"itself": 1, "two": number % 2, "endless": number}[turn]
        url = f"{clinic.ehr.base}/Condition?page={following}"
        entry = [{"resource": condition(number)}]
        link = [{"relation": "next", "url": url}]
        return {**bundle, "entry": entry, "link": link}

    clinic.ehr.charts.bend = bend
    assert names_as_missing(show(clinic))
    assert next(numbers) <= 150


@pytest.mark.attack(54)
def test_a_record_that_became_another_is_not_shown(clinic: Clinic) -> None:
    clinic.ehr.charts.instead["Patient/rosa"] = (JAMES, 200)
    answer = clinic.launch()
    assert answer.status_code == 502
    assert "Okafor" not in answer.text
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []

    clinic.ehr.charts.instead.clear()
    opened = clinic.open()
    clinic.ehr.charts.instead["Patient/rosa"] = (JAMES, 200)
    # Who was read at the launch stands above for as long as nothing came after it.
    others = ("Okafor", JAMES["birthDate"][:4], "Delgado", "4471-0926")
    assert is_stopped(clinic, opened, *others)
    assert "Okafor" not in clinic.browser.get(opened).text
    for way in ("history", "summary", "pause"):
        answer = clinic.browser.get(f"{opened}{way}")
        assert answer.status_code == 502
        assert not [name for name in others if name in answer.text]


# What names the patient in each type that a page reads; ``subject`` in all others.
NAMED_BY = {
    "Consent": "patient",
    "Immunization": "patient",
    "RelatedPerson": "patient",
    "Task": "for",
}
OTHERS = (
    {"reference": "Patient/james"},
    {"reference": "Patient/james/_history/2"},
    {"reference": "Patient/rosa2"},
    {"reference": "Group/rosa"},
)


def about(kind: str, number: int, person: Bundle) -> Bundle:
    """Return a resource of a type about somebody, whose every text tells of Okafor."""
    concept = {"text": "Okafor"}
    written: Bundle = {
        "resourceType": kind,
        "id": f"{kind.lower()}-{number}",
        "status": "active",
        "lifecycleStatus": "active",
        "start": "2026-11-18T09:15:00Z",
        "description": concept if kind == "Goal" else "Okafor",
        "code": concept,
        "scope": concept,
        "name": [concept],
        "valueString": "Okafor",
        "payload": [{"contentString": "Okafor"}],
        "expressedBy": person,
    }
    if kind == "Appointment":
        return {**written, "status": "booked", "participant": [{"actor": person}]}
    if kind == "Observation":
        loinc = {"system": "http://loinc.org", "code": "95541-9"}
        written["code"] = {"coding": [loinc], "text": "Okafor"}
    return {**written, NAMED_BY.get(kind, "subject"): person}


@pytest.mark.attack(55)
@pytest.mark.parametrize("person", OTHERS, ids=lambda one: str(one["reference"]))
def test_what_is_another_patients_is_left_out_and_said(
    clinic: Clinic, caplog: pytest.LogCaptureFixture, person: Bundle
) -> None:
    # An appointment is with many who are no patient.
    kinds = [kind for kind in PLAIN if kind != "Appointment" or "Pat" in str(person)]
    clinic.ehr.charts.leaks = True
    clinic.ehr.charts.put(
        condition(1),
        *(about(kind, number, person) for number, kind in enumerate(kinds)),
    )
    opened = clinic.open()
    page = clinic.browser.get(opened).text

    assert "Okafor" not in page + clinic.browser.get(f"{opened}history").text
    told = re.search(
        r"The EHR sent (\d+) entries of other patients along:([^.]*)", page
    )
    assert told
    asked = types_asked(clinic.ehr.heard)
    for kind in kinds:
        assert (PLAIN[kind] in told[2]) is (kind in asked), kind
    assert int(told[1]) == len(asked & set(kinds))
    assert asked >= {"Consent", "Flag", "Goal", "Communication", "RelatedPerson"}
    warning, *_ = [one.msg for one in caplog.records if one.name.endswith("desk.views")]
    assert (warning["endpoint_id"], warning["count"]) == ("northside", int(told[1]))
    assert "james" not in caplog.text
