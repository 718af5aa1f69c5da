"""Attacks by what the FHIR server answers: links, references, pages, other people."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Response

from middleware.desk.completeness import PLAIN
from tests.conformance.charts import JAMES, ROSA, write_fhir
from tests.conformance.clinic import Clinic
from tests.conformance.hostile import HostileEhr
from tests.conformance.reading import condition, is_stopped, names_as_missing, show

Bundle = dict[str, Any]


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
        *(
            condition(number, asserter={"reference": place})
            for number, place in enumerate(places)
        ),
    )
    page = show(clinic)

    assert elsewhere.heard == []
    assert elsewhere.root not in page
    asked = {one.path for one in clinic.ehr.heard}
    assert not [path for path in asked if "contained" in path or "urn" in path]


@pytest.mark.attack(52)
def test_a_chart_that_moved_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    opened = clinic.open()
    clinic.clock.instant += timedelta(minutes=2)
    for status in (301, 302, 303, 307, 308):

        def move(path: str, status: int = status) -> None:
            there = {"Location": elsewhere.root + path}
            moved = {path: lambda: Response("", status, there)}
            clinic.ehr.habits.instead = moved

        move("/fhir/Condition")
        page = clinic.browser.get(opened).text
        assert names_as_missing(page), status
        assert "The chart could not be read in full." in page, status
        move("/fhir/Patient/rosa")
        assert is_stopped(clinic, opened, "Delgado", "4471-0926"), status
        assert clinic.launch().status_code == 502, status
    assert elsewhere.heard == []


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
    clinic.ehr.habits.instead["/fhir/Patient/rosa"] = lambda: write_fhir(JAMES)
    answer = clinic.launch()
    assert answer.status_code == 502
    assert "Okafor" not in answer.text
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []

    del clinic.ehr.habits.instead["/fhir/Patient/rosa"]
    opened = clinic.open()
    clinic.ehr.habits.instead["/fhir/Patient/rosa"] = lambda: write_fhir(JAMES)
    # Who was read at the launch stands above for as long as nothing came after it.
    others = ("Okafor", JAMES["birthDate"][:4], "Delgado", "4471-0926")
    assert is_stopped(clinic, opened, *others)
    assert "Okafor" not in clinic.browser.get(opened).text
    for way in ("history", "summary", "pause"):
        answer = clinic.browser.get(f"{opened}{way}")
        assert answer.status_code == 502
        assert not [name for name in others if name in answer.text]


@pytest.mark.attack(55)
def test_what_is_another_patients_is_left_out_and_said(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    others = {"reference": "Patient/james"}
    wish = {"lifecycleStatus": "active", "expressedBy": others, "subject": others}
    visit = {"status": "booked", "start": "2026-11-18T09:15:00Z"}
    clinic.ehr.charts.put(
        condition(1),
        condition(2, "james"),
        {"resourceType": "Goal", "id": "g1", "description": {"text": "Fish"}, **wish},
        {
            "resourceType": "Appointment",
            "id": "a1",
            "description": "Oncology",
            "participant": [{"actor": others}],
            **visit,
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "95541-9"}]},
            "subject": others,
            "valueString": "Grandchildren",
        },
    )
    clinic.ehr.charts.leaks = True
    page = show(clinic)

    for word in (
        "Okafor",
        "Fish",
        "Oncology",
        "Grandchildren",
        "james",
        "+14155550177",
    ):
        assert word not in page
    assert "The EHR sent 4 entries of other patients along" in page
    for kind in ("Condition", "Goal", "Appointment", "Observation"):
        assert re.search(f"patients along:[^.]*{PLAIN[kind]}", page)
    (warning,) = [one.msg for one in caplog.records if one.name.endswith("desk.views")]
    assert (warning["endpoint_id"], warning["count"]) == ("northside", 4)
    assert "james" not in caplog.text
