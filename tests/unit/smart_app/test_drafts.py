"""Input whose session ended: kept ten minutes, for its author and patient alone."""

import re
from datetime import timedelta

import pytest

from tests.unit.smart_app.acts import OURS, agree, own, plan, words

WORDS = "I want to see my grandkids."


@pytest.fixture
def path(rig):
    agree(rig)
    plan(rig)
    return rig.open()


def fill(rig, path, part, **values):
    html = rig.http.get(path + part).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    return {**hidden, **values}


def count(rig):
    with rig.database.tx() as tx:
        return tx.execute("SELECT count(*) AS n FROM draft").fetchone()["n"]


def end_then_save(rig, path, part="preferences/words", **values):
    """Fill a form in, let the session end, and send it all the same."""
    given = values or {"text": WORDS, "language": "en", "who": "patient"}
    data = fill(rig, path, part, **given)
    rig.clock.instant += timedelta(minutes=31)
    return rig.http.post(path + part, data=data, headers=OURS)


def test_input_is_kept_and_offered_again_after_a_new_launch(rig, path):
    answer = end_then_save(rig, path)
    assert answer.status_code == 401
    assert "what you filled in is kept for 10 minutes" in words(answer.text)
    assert own(rig).preferences == ()
    again = rig.open()
    assert "is still kept. Go on with it" in words(rig.http.get(again).text)
    html = rig.http.get(again + "draft").text
    assert WORDS in html
    assert 'value="patient" checked' in html
    data = fill(rig, again, "draft", text=WORDS, language="en", who="patient")
    answer = rig.http.post(again + "preferences/words", data=data, headers=OURS)
    assert answer.status_code == 303
    assert own(rig).preferences[0].value["text"] == WORDS
    assert count(rig) == 0
    assert "is still kept" not in words(rig.http.get(again).text)


@pytest.mark.parametrize(
    ("part", "values", "shown"),
    [
        (
            "answers",
            {"question": "May we?", "point": "-", "topic": "*", "person": ""},
            "May we?",
        ),
        (
            "messages/nudge-1/move",
            {"day": "2026-11-18", "time": "14:45", "why": "fits"},
            'value="14:45"',
        ),
        ("messages/nudge-1/skip", {"why": "wrong"}, 'value="wrong" checked'),
        ("pause", {"until": "open", "why": "crisis"}, 'value="crisis" checked'),
        (
            "preferences/channels",
            {"ways": "email,sms", "who": "staff", "save": "1"},
            'value="staff" checked',
        ),
    ],
)
def test_every_form_comes_back_as_it_was_filled_in(rig, path, part, values, shown):
    assert end_then_save(rig, path, part, **values).status_code == 401
    again = rig.open()
    answer = rig.http.get(again + "draft")
    assert answer.status_code == 200
    assert shown in answer.text


def test_nothing_of_it_is_readable_in_the_database(rig, path):
    end_then_save(rig, path)
    with rig.database.tx() as tx:
        row = tx.execute("SELECT * FROM draft").fetchone()
    assert b"grandkids" not in bytes(row["sealed"])
    assert row["expires_at"] - row["created_at"] == timedelta(minutes=10)


def test_it_is_gone_after_ten_minutes(rig, path):
    end_then_save(rig, path)
    again = rig.open()
    rig.clock.instant += timedelta(minutes=10)
    assert "is still kept" not in words(rig.http.get(again).text)
    assert rig.http.get(again + "draft").status_code == 404


def test_another_patient_or_user_is_offered_nothing(rig, path):
    end_then_save(rig, path)
    rig.ehr.resources["Patient/tom"] = {
        **rig.ehr.resources["Patient/rosa"],
        "id": "tom",
    }
    other = rig.open(patient="tom")
    assert "is still kept" not in words(rig.http.get(other).text)
    assert rig.http.get(other + "draft").status_code == 404
    rig.ehr.claims = {"sub": "user-2"}
    stranger = rig.open()
    assert rig.http.get(stranger + "draft").status_code == 404
    rig.ehr.claims = {}
    assert rig.http.get(rig.open() + "draft").status_code == 200


def test_a_pause_that_came_meanwhile_is_not_written_over_unseen(rig, path):
    mine = {"until": "2026-11-20", "why": "asked"}
    end_then_save(rig, path, "pause", **mine)
    claims = {"sub": "user-2", "fhirUser": "Practitioner/other"}
    osei = rig.ehr.resources["Practitioner/osei"]
    rig.ehr.resources["Practitioner/other"] = {**osei, "id": "other"}
    rig.ehr.claims = claims
    other = rig.open()
    data = fill(rig, other, "pause", until="open", why="crisis")
    assert rig.http.post(other + "pause", data=data, headers=OURS).status_code == 303
    rig.ehr.claims = {}
    again = rig.open()
    draft = fill(rig, again, "draft", **mine)
    answer = rig.http.post(again + "pause", data=draft, headers=OURS)
    assert answer.status_code == 409
    assert "Stands now Paused until someone turns them back on" in words(answer.text)
    assert own(rig).preferences[-1].value["until"] is None


@pytest.mark.parametrize("headers", [OURS, {**OURS, "HX-Request": "true"}])
def test_it_stays_while_something_else_is_saved(rig, path, headers):
    end_then_save(rig, path)
    again = rig.open()
    for part, values in (
        ("pause", {"until": "open", "why": "crisis"}),
        ("preferences/limit", {"limit": "1", "who": "staff", "turn": "1"}),
    ):
        data = fill(rig, again, part, **values)
        answer = rig.http.post(again + part, data=data, headers=headers)
        assert answer.status_code in (200, 303)
    assert len(own(rig).preferences) == 2
    assert WORDS in rig.http.get(again + "draft").text


def test_it_can_be_discarded(rig, path):
    end_then_save(rig, path)
    again = rig.open()
    data = rig.form(again)
    rig.http.post(again + "draft/discard", data=data, headers=OURS)
    assert count(rig) == 1
    data = fill(rig, again, "")
    answer = rig.http.post(again + "draft/discard", data=data, headers=OURS)
    assert answer.status_code == 303
    assert count(rig) == 0


def test_each_form_that_was_open_is_kept_and_offered_in_turn(rig, path):
    asked = {"question": "May we?", "point": "-", "person": ""}
    forms = [
        ("preferences/words", {"text": WORDS, "language": "en", "who": "patient"}),
        ("answers", {**asked, "topic": "appointments"}),
        ("answers", {**asked, "topic": "*", "question": "And this?"}),
    ]
    given = [(part, fill(rig, path, part, **values)) for part, values in forms]
    rig.clock.instant += timedelta(minutes=31)
    for part, data in (*given, given[-1]):
        answer = rig.http.post(path + part, data=data, headers=OURS)
        assert "is kept for 10 minutes" in words(answer.text)
        rig.clock.instant += timedelta(seconds=1)
    assert count(rig) == len(forms)
    again = rig.open()
    for shown in ("And this?", "May we?"):
        assert shown in rig.http.get(again + "draft").text
        discard = fill(rig, again, "")
        rig.http.post(again + "draft/discard", data=discard, headers=OURS)
    assert WORDS in rig.http.get(again + "draft").text


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"csrf": "0" * 64}, OURS),
        ({"patient": "Patient/tom"}, OURS),
        ({"text": "x" * 20_000}, OURS),
        ({}, {"Origin": "https://elsewhere.example.org"}),
    ],
)
def test_a_strange_form_is_not_kept(rig, path, changes, headers):
    data = {**fill(rig, path, "preferences/words", text=WORDS), **changes}
    rig.clock.instant += timedelta(minutes=31)
    answer = rig.http.post(path + "preferences/words", data=data, headers=headers)
    assert answer.status_code == 401
    assert "is kept for 10 minutes" not in words(answer.text)
    assert count(rig) == 0


def test_a_row_put_in_anothers_place_opens_nothing(rig, path):
    end_then_save(rig, path)
    rig.ehr.resources["Patient/tom"] = {
        **rig.ehr.resources["Patient/rosa"],
        "id": "tom",
    }
    with rig.database.tx() as tx:
        tx.execute("UPDATE draft SET patient = 'Patient/tom'")
    other = rig.open(patient="tom")
    assert rig.http.get(other + "draft").status_code == 404


def test_a_token_that_the_ehr_refuses_keeps_the_input_too(rig, path):
    data = fill(rig, path, "preferences/words", text=WORDS, who="patient")
    rig.ehr.accepted = "Bearer another"
    answer = rig.http.post(path + "preferences/words", data=data, headers=OURS)
    assert answer.status_code == 401
    assert "is kept for 10 minutes" in words(answer.text)
    assert count(rig) == 1


def test_a_chart_that_cannot_be_read_keeps_the_input_in_the_same_session(rig, path):
    data = fill(rig, path, "preferences/words", text=WORDS, who="patient")
    patient = rig.ehr.resources.pop("Patient/rosa")
    answer = rig.http.post(path + "preferences/words", data=data, headers=OURS)
    assert answer.status_code == 502
    assert "Not saved: the chart could not be read" in words(answer.text)
    rig.ehr.resources["Patient/rosa"] = patient
    assert WORDS in rig.http.get(path + "draft").text


@pytest.mark.parametrize("part", ["resume", "preferences/interpreter/undo"])
def test_a_button_alone_leaves_nothing_to_go_on_with(rig, path, part):
    data = rig.form(path + "pause", version="0")
    rig.clock.instant += timedelta(minutes=31)
    answer = rig.http.post(path + part, data=data, headers=OURS)
    assert answer.status_code == 401
    assert "is kept for 10 minutes" not in words(answer.text)
    assert count(rig) == 0


def test_a_discard_that_comes_too_late_does_not_take_the_drafts_place(rig, path):
    end_then_save(rig, path)
    again = rig.open()
    data = rig.form(again)
    rig.ehr.accepted = "Bearer another"
    answer = rig.http.post(again + "draft/discard", data=data, headers=OURS)
    assert answer.status_code == 401
    rig.ehr.accepted = "Bearer at-1"
    assert WORDS in rig.http.get(rig.open() + "draft").text
