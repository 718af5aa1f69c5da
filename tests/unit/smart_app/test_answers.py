"""A new answer about being contacted: what was asked, the answer, how, and by whom."""

import re
from datetime import timedelta

import pytest

from mappings.nudge import NudgeState
from mappings.preference import Who
from middleware.storage import nudges
from tests.unit.smart_app.acts import OURS, acts, agree, field, own, plan, words

NUMBER = "sms:+14155550142"
QUESTION = "May we text you about visits?"


@pytest.fixture
def path(rig):
    for name, code in (("ana", "PRN"), ("leo", "C")):
        rig.ehr.resources[f"RelatedPerson/{name}"] = {
            "resourceType": "RelatedPerson",
            "id": name,
            "active": True,
            "patient": {"reference": "Patient/rosa"},
            "name": [{"text": name.title()}],
            "relationship": [{"coding": [{"code": code}]}],
        }
    return rig.open_page()


def fill(rig, path, topic="appointments", person="", **changes):
    html = rig.http.get(f"{path}answers?topic={topic}&person={person}").text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    given = {
        "question": QUESTION,
        "point": NUMBER,
        "answer": "yes",
        "how": "in-person",
        "said_by": "Patient/rosa",
    }
    return {**hidden, **given, **changes}


def record(rig, path, topic="appointments", person="", **changes):
    data = fill(rig, path, topic, person, **changes)
    rig.clock.instant += timedelta(seconds=1)
    return rig.http.post(path + "answers", data=data, headers=OURS)


def newest(rig):
    return max(own(rig).consents, key=lambda item: item.recorded_at)


def test_an_answer_is_recorded_with_what_was_asked_and_by_whom(rig, path):
    assert "Not asked" in words(rig.http.get(path).text)
    answer = record(rig, path)
    assert answer.status_code == 303, words(answer.text)
    found = newest(rig)
    assert (found.system, found.value) == ("sms", "+14155550142")
    assert (found.topic, found.permit, found.who) == ("appointments", True, Who.PATIENT)
    assert (found.asked, found.how) == (QUESTION, "in person")
    assert (found.said_by, found.recorded_by) == ("Patient/rosa", "Dr. Abena Osei")
    assert "1 of 1 topics" in words(rig.http.get(answer.location).text)
    text = words(rig.http.get(path + "answers?topic=appointments").text)
    assert f"Yes , Text to (415) 555-0142: “ {QUESTION} ”" in text
    assert "Rosa, in person, recorded by Dr. Abena Osei, Nov 16" in text
    with rig.database.tx() as tx:
        row = acts(tx)[0]
    assert (row.action, row.subject) == ("consent-recorded", found.id)
    assert (row.detail["asked"], row.detail["permit"]) == (QUESTION, True)


def test_a_no_holds_what_is_planned_at_once(rig, path):
    agree(rig)
    plan(rig)
    assert record(rig, path, answer="no", how="phone").status_code == 303
    with rig.database.tx() as tx:
        nudge = nudges.get_nudge(tx, "nudge-1")
    assert (nudge.state, nudge.reason) == (NudgeState.HELD, "opted-out")
    assert "Held, the answer was no" in words(rig.http.get(path).text)
    assert {stage for stage, _ in rig.woken} == {"deliver", "record"}


def test_a_no_becomes_yes_by_a_new_answer_alone_and_both_stay(rig, path):
    record(rig, path, answer="no")
    assert record(rig, path).status_code == 303
    assert [item.permit for item in own(rig).consents] == [False, True]
    assert "1 of 1 topics" in words(rig.http.get(path).text)


def test_nobody_takes_back_the_patients_no_for_them(rig, path):
    record(rig, path, answer="no")
    answer = record(rig, path, said_by="RelatedPerson/ana")
    assert answer.status_code == 422
    text = words(answer.text)
    assert "A no stands that this answer does not lift" in text
    assert "Rosa, in person, recorded by Dr. Abena Osei" in text
    assert len(own(rig).consents) == 1


def test_an_emergency_contact_may_say_no_and_not_yes(rig, path):
    answer = record(rig, path, said_by="RelatedPerson/leo")
    assert answer.status_code == 422
    assert "cannot say yes for Rosa" in words(answer.text)
    answer = record(rig, path, said_by="RelatedPerson/leo", answer="no")
    assert answer.status_code == 303
    assert (newest(rig).who, newest(rig).permit) == (Who.STAFF, False)


def test_a_no_in_the_chart_is_changed_in_the_chart(rig, path):
    rig.ehr.resources["Consent/c1"] = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "category": [{"coding": [{"code": "outreach-communication"}]}],
        "patient": {"reference": "Patient/rosa"},
        "provision": {"type": "deny"},
    }
    answer = record(rig, path)
    assert answer.status_code == 422
    assert "The chart holds a no" in words(answer.text)
    assert own(rig).consents == ()


def test_an_answer_for_every_place_is_one_row_each(rig, path):
    assert record(rig, path, point="all", topic="*").status_code == 303
    found = {(item.system, item.topic) for item in own(rig).consents}
    assert found == {("sms", "*"), ("email", "*")}


def test_whether_somebody_may_be_told_is_an_answer_too(rig, path):
    answer = record(rig, path, "*", "RelatedPerson/ana", point="*:*")
    assert answer.status_code == 303, words(answer.text)
    found = newest(rig)
    assert (found.actor, found.system, found.value) == ("RelatedPerson/ana", "*", "*")
    text = words(rig.http.get(path).text)
    assert "Ana (parent) Yes Rosa, in person, recorded by Dr. Abena Osei" in text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "  "}, "Write down what was asked, in its exact words."),
        ({"answer": "perhaps"}, "Choose: The answer."),
        ({"how": "-"}, "Choose: How."),
        ({"said_by": "Patient/tom"}, "Choose: Who answered."),
        ({"point": "sms:+14155559999"}, "Choose: Number or address."),
    ],
)
def test_an_answer_that_is_not_whole_is_asked_again(rig, path, changes, reason):
    answer = record(rig, path, **changes)
    assert answer.status_code == 422
    assert reason in words(answer.text)
    if "question" not in changes:
        assert QUESTION in answer.text
    assert own(rig).consents == ()


def test_an_answer_recorded_meanwhile_is_shown_first(rig, path):
    data = fill(rig, path)
    record(rig, path, answer="no", how="phone")
    answer = rig.http.post(path + "answers", data=data, headers=OURS)
    assert answer.status_code == 409
    text = words(answer.text)
    assert "Another answer was recorded while the form was open" in text
    assert "Stands now No, Appointments, Text to (415) 555-0142 Rosa, by phone" in text
    assert "Yours, not saved Yes, Appointments, Text to (415) 555-0142" in text
    assert "No , Text to (415) 555-0142" in text
    assert len(own(rig).consents) == 1
    version = field(answer.text, "version")
    again = {**data, "version": version}
    rig.clock.instant += timedelta(seconds=1)
    assert rig.http.post(path + "answers", data=again, headers=OURS).status_code == 303


@pytest.mark.parametrize("query", ["topic=shoes", "topic=*&person=RelatedPerson/tom"])
def test_there_is_no_form_for_what_is_not_there(rig, path, query):
    assert rig.http.get(f"{path}answers?{query}").status_code == 404
