"""What a launch names beside its patient, and what it is meant for, show on the page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smart_app.intents import PLACES
from tests.unit.smart_app.acts import agree, plan, words

HERE = "From this visit"
NONE = "Nothing of this follows from the visit that you came from."
ANOTHER = "This page was opened with something that is another patient’s."
ELSEWHERE = "This page was opened with something on another server."


def stay(rig, name: str, patient: str = "rosa", **parts) -> None:
    rig.ehr.resources[f"Encounter/{name}"] = {
        "resourceType": "Encounter",
        "id": name,
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        **parts,
    }


def page(rig, **context) -> str:
    agree(rig)
    plan(rig)
    return words(rig.http.get(rig.open(**context)).text)


@pytest.mark.parametrize(
    "reference",
    ["Appointment/a1", "{base}/Appointment/a1", "Appointment/a1/_history/2"],
)
def test_what_follows_from_the_visit_of_the_launch_is_marked(rig, reference):
    named = reference.format(base=rig.ehr.base)
    text = page(rig, fhirContext=[{"reference": named}])
    assert HERE in text
    assert NONE not in text


def test_an_encounter_leads_to_the_visit_that_it_was_booked_as(rig):
    stay(rig, "e1", appointment=[{"reference": "Appointment/a1"}])
    assert HERE in page(rig, encounter="e1")


def test_a_care_plan_is_named_as_one(rig):
    rig.ehr.resources["CarePlan/c1"] = {
        "resourceType": "CarePlan",
        "id": "c1",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/rosa"},
    }
    plan(rig, focus="CarePlan/c1")
    path = rig.open(
        fhirContext=[{"reference": "CarePlan/c1"}],
        scope="launch openid fhirUser patient/*.rs",
    )
    text = words(rig.http.get(path).text)
    assert text.count("From this care plan") == 1
    assert HERE not in text


def test_where_nothing_follows_from_the_visit_the_page_says_so(rig):
    stay(rig, "e1")
    text = page(rig, encounter="e1")
    assert NONE in text
    assert HERE not in text


@pytest.mark.parametrize(
    "item",
    [
        {"reference": "Encounter/toms"},
        {"reference": "Patient/tom"},
    ],
)
def test_what_is_another_patients_is_left_out_with_a_note(rig, item):
    stay(rig, "toms", "tom", appointment=[{"reference": "Appointment/a1"}])
    text = page(rig, fhirContext=[item])
    assert ANOTHER in text
    assert HERE not in text
    assert "Rosa" in text
    assert "GET /fhir/Patient/tom" not in rig.ehr.log


@pytest.mark.parametrize(
    "reference",
    [
        "https://other.example.org/fhir/Appointment/a1",
        "http://127.0.0.1:1/x/Encounter/e1",
    ],
)
def test_what_lies_on_another_server_is_not_followed(rig, reference):
    text = page(rig, fhirContext=[{"reference": reference}])
    assert ELSEWHERE in text
    assert HERE not in text


@pytest.mark.parametrize(
    "item",
    [
        {"reference": "Appointment/a1", "role": "https://example.org/role"},
        {"reference": "ImagingStudy/1"},
        {"canonical": "https://example.org/Questionnaire/1"},
        {"identifier": {"system": "urn:x", "value": "1"}},
        {"reference": "Appointment/gone"},
        {"reference": "javascript:alert(1)"},
    ],
)
def test_what_says_nothing_here_changes_nothing(rig, item):
    text = page(rig, fhirContext=[item])
    for sentence in (HERE, NONE, ANOTHER, ELSEWHERE):
        assert sentence not in text
    assert "could not be read" not in text


@pytest.mark.parametrize(("intent", "place"), PLACES.items())
def test_a_known_intent_opens_its_place(rig, intent, place):
    agree(rig)
    path = rig.open(intent=intent)
    assert path.endswith(f"/{place}")
    answer = rig.http.get(path.partition("#")[0])
    assert answer.status_code == 200
    anchor = place.partition("#")[2]
    assert not anchor or f'id="{anchor}"' in answer.text


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@193")
@pytest.mark.parametrize("intent", [None, "make-coffee", "//evil.example", "../x", 7])
def test_an_unknown_intent_is_ignored(rig, intent):
    path = rig.open(intent=intent)
    assert path.count("/") == 3
    assert path.endswith("/")


def test_a_summary_of_a_closed_record_leads_to_the_page_that_says_why(rig):
    rig.ehr.resources["Patient/rosa"]["deceasedBoolean"] = True
    rig.clock.instant += timedelta(minutes=1)
    answer = rig.http.get(rig.open(intent="summary"), follow_redirects=True)
    assert answer.status_code == 200
    assert "Rosa" in answer.text
