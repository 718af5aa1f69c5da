"""Preferences edited one group at a time: saved, refused, undone, and said where kept."""

import re
from datetime import timedelta

import pytest

from mappings.preference import Who
from middleware.desk.editing.groups import GROUPS, POINTS
from middleware.storage import outbox
from tests.unit.smart_app.acts import (
    OURS,
    PARTIAL,
    acts,
    agree,
    field,
    own,
    plan,
    say,
    words,
)

ANSWERS = {
    "channels": {"ways": "email,sms"},
    "hours": {"first": "10", "last": "17.5", "days": ["0", "1", "2"]},
    "language": {"language": "vi"},
    "interpreter": {"interpreter": "yes"},
    "zone": {"zone": "America/Denver"},
    "limit": {"limit": "1"},
    "topics": {"topic-appointments": "email", "topic-urgent": ""},
    "visits": {"visits": "telehealth"},
    "needs": {"needs": ["hearing", "large-print"]},
    "words": {"text": "  My   grandkids. ", "language": "en"},
    "people": {"place-Patient-rosa": "1", "place-RelatedPerson-ana": "2"},
    "confidential": {"place": "other", "other": "(415) 555-0177", "note": "At work"},
}
RECORDED = {
    "channels": {"channels": ["email", "sms"]},
    "hours": {"window": [10.0, 17.5], "days": [0, 1, 2]},
    "language": {"language": "vi"},
    "interpreter": {"interpreter": True},
    "zone": {"zone": "America/Denver"},
    "limit": {"max_per_week": 1},
    "topics": {"channels:appointments": ["email"]},
    "visits": {"modality": "telehealth"},
    "needs": {"accessibility": ["large-print", "hearing"]},
    "words": {"matters": {"text": "My grandkids.", "language": "en"}},
    "people": {"recipients": ["Patient/rosa", "RelatedPerson/ana"]},
    "confidential": {
        "confidential": {"system": "sms", "value": "+14155550177", "note": "At work"}
    },
}
SHOWN = {
    "channels": "Email, then text Text (415) 555-0142 Agreed Email rosa@example.org",
    "hours": "10 AM to 5:30 PM",
    "language": "Vietnamese",
    "interpreter": "Interpreter needed",
    "zone": "Mountain",
    "limit": "1 message a week",
    "topics": "Appointments: Email only",
    "visits": "Video or phone from home",
    "needs": "Hard of hearing, Large print",
    "words": "My grandkids.",
    "people": "Rosa, then Ana Delgado (parent)",
    "confidential": "Only by text to (415) 555-0177",
}


@pytest.fixture
def path(rig):
    agree(rig)
    rig.ehr.resources["RelatedPerson/ana"] = {
        "resourceType": "RelatedPerson",
        "id": "ana",
        "active": True,
        "patient": {"reference": "Patient/rosa"},
        "name": [{"text": "Ana Delgado"}],
        "relationship": [{"coding": [{"code": "PRN"}]}],
    }
    return rig.open_page()


def form_of(rig, path, name, **changes):
    html = rig.http.get(f"{path}preferences/{name}", headers=PARTIAL).text
    version = field(html, "version")
    csrf = field(html, "csrf")
    base = {"csrf": csrf, "patient": "Patient/rosa", "version": version}
    return {**base, "who": "patient", **ANSWERS[name], **changes}


def save(rig, path, name, headers=OURS, **changes):
    data = form_of(rig, path, name, **changes)
    return rig.http.post(f"{path}preferences/{name}", data=data, headers=headers)


def recorded(rig):
    return {item.name: item for item in own(rig).preferences}


def test_every_group_has_a_story():
    # Numbers and addresses have theirs in test_points.
    assert set(GROUPS) - {POINTS} == set(ANSWERS) == set(RECORDED) == set(SHOWN)


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_group_is_recorded_and_shown_with_who_said_it(rig, path, name):
    answer = save(rig, path, name)
    assert answer.status_code == 303, words(answer.text)
    assert answer.location.endswith(f"?saved=group#g-{name}")
    records = recorded(rig)
    assert {key: item.value for key, item in records.items()} == RECORDED[name]
    for item in records.values():
        assert (item.who, item.how) == (Who.PATIENT, "told staff")
        assert item.recorded_by == "Dr. Abena Osei"
    text = words(rig.http.get(path).text)
    assert SHOWN[name] in text
    assert "Rosa, told staff, recorded by Dr. Abena Osei, Nov 16" in text
    assert "Saved 7:00 AM" in text
    assert "Waiting to be written to the chart" in text
    with rig.database.tx() as tx:
        found = [row for row in acts(tx) if row.action == "preference-saved"]
    assert {row.subject: row.detail["value"] for row in found} == RECORDED[name]


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_a_group_is_swapped_in_place_where_the_page_asks(rig, path, name):
    form = rig.http.get(f"{path}preferences/{name}", headers=PARTIAL).text
    assert form.count("<form") == 1
    assert "<html" not in form
    assert f'id="g-{name}"' in form
    answer = save(rig, path, name, headers=PARTIAL)
    assert answer.status_code == 200
    # The whole of the page is swapped: the answer follows from what was saved.
    assert answer.headers["HX-Retarget"] == "#main"
    assert answer.headers["HX-Reselect"] == "#main"
    assert SHOWN[name] in words(answer.text)
    assert "Undo" in answer.text
    shown = rig.http.get(f"{path}preferences/{name}?shown=1", headers=PARTIAL)
    assert SHOWN[name] in words(shown.text)


def test_a_group_without_script_is_a_page_of_its_own(rig, path):
    html = rig.http.get(f"{path}preferences/language").text
    assert "<h1" in html
    assert "Spanish. From the chart" in words(html)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("language", {"language": "xx"}, "Choose: Language to write in."),
        ("language", {"who": ""}, "Choose who said so."),
        ("language", {"who": "learned"}, "Choose who said so."),
        ("words", {"who": "chart"}, "Choose who said so."),
        ("hours", {"first": "17", "last": "9"}, "must end after they begin"),
        ("hours", {"days": []}, "Choose at least one day"),
        ("hours", {"days": ["9"]}, "Choose: Days."),
        ("limit", {"limit": "50"}, "Choose: Weekly limit."),
        ("topics", {"topic-appointments": ""}, "Nothing was changed"),
        ("words", {"text": "x" * 501}, "Write it in 500 characters."),
        ("people", {"place-RelatedPerson-ana": "1"}, "a number of their own"),
        ("confidential", {"other": "soon"}, "Write a whole phone number or email"),
    ],
)
def test_what_cannot_be_saved_comes_back_with_the_reason(
    rig, path, name, changes, reason
):
    answer = save(rig, path, name, **changes)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert reason in words(answer.text)
    assert recorded(rig) == {}


def test_input_that_is_refused_is_still_filled_in(rig, path):
    text = save(rig, path, "words", who="").text
    assert "My   grandkids." in text
    assert '<option value="en" selected>' in text


def test_another_voice_does_not_replace_the_patients_own(rig, path):
    save(rig, path, "language")
    rig.clock.instant += timedelta(minutes=1)
    answer = save(rig, path, "language", who="staff", language="es")
    assert answer.status_code == 422
    assert "This is Rosa’s own answer." in words(answer.text)
    assert recorded(rig)["language"].value == "vi"


def test_staff_add_to_the_patients_needs(rig, path):
    save(rig, path, "needs")
    rig.clock.instant += timedelta(minutes=1)
    answer = save(rig, path, "needs", who="carer", needs=["walking"])
    assert answer.status_code == 303
    text = words(rig.http.get(path).text)
    assert "Hard of hearing" in text
    assert "Trouble walking" in text


def test_both_values_are_shown_where_somebody_else_was_faster(rig, path):
    data = form_of(rig, path, "language", language="ar")
    save(rig, path, "language")
    rig.clock.instant += timedelta(minutes=5)
    answer = rig.http.post(f"{path}preferences/language", data=data, headers=PARTIAL)
    assert answer.status_code == 409
    text = words(answer.text)
    assert "Stands now Vietnamese" in text
    assert "Recorded by Dr. Abena Osei, 7:00 AM" in text
    assert "Yours, not saved Arabic" in text
    assert '<option value="ar" selected>' in answer.text
    version = field(answer.text, "version")
    again = rig.http.post(
        f"{path}preferences/language",
        data={**data, "version": version},
        headers=PARTIAL,
    )
    assert again.status_code == 200
    assert recorded(rig)["language"].value == "ar"


def test_a_value_that_changed_in_the_chart_is_not_overwritten_unseen(rig, path):
    data = form_of(rig, path, "language")
    patient = rig.ehr.resources["Patient/rosa"]
    patient["communication"][0]["language"]["coding"][0]["code"] = "ko"
    answer = rig.http.post(f"{path}preferences/language", data=data, headers=OURS)
    assert answer.status_code == 409
    assert "Stands now Korean" in words(answer.text)
    assert recorded(rig) == {}


def undo(rig, path, name, html):
    part = html.split(f'id="g-{name}"')[1].split("</form>")[0]
    version = field(part, "version")
    data = form_of(rig, path, name, version=version)
    return rig.http.post(f"{path}preferences/{name}/undo", data=data, headers=PARTIAL)


def test_undo_records_again_what_stood_before(rig, path):
    save(rig, path, "limit", who="staff", limit="1")
    rig.clock.instant += timedelta(minutes=5)
    html = save(rig, path, "limit", headers=PARTIAL, who="staff", limit="2").text
    rig.clock.instant += timedelta(seconds=9)
    answer = undo(rig, path, "limit", html)
    assert answer.status_code == 200, words(answer.text)
    assert "1 message a week" in words(answer.text)
    record = recorded(rig)["max_per_week"]
    assert (record.value, record.how) == (1, "for the patient")
    with rig.database.tx() as tx:
        newest = acts(tx)[0]
        count = tx.execute("SELECT count(*) AS n FROM preference").fetchone()["n"]
    assert newest.action == "preference-undone"
    assert (newest.detail["before"], newest.detail["value"]) == (2, 1)
    assert count == 3


def test_undo_of_a_first_answer_leaves_what_the_chart_says(rig, path):
    html = save(rig, path, "language", headers=PARTIAL).text
    answer = undo(rig, path, "language", html)
    assert answer.status_code == 200
    assert "Spanish" in words(answer.text)
    assert recorded(rig)["language"].value is None


def test_undo_comes_too_late_after_a_minute(rig, path):
    html = save(rig, path, "language", headers=PARTIAL).text
    rig.clock.instant += timedelta(seconds=61)
    answer = undo(rig, path, "language", html)
    assert answer.status_code == 422
    assert "too late to undo" in words(answer.text)
    assert recorded(rig)["language"].value == "vi"


def test_undo_takes_back_nobody_elses_answer(rig, path):
    html = save(rig, path, "limit", headers=PARTIAL, who="staff").text
    rig.clock.instant += timedelta(seconds=1)
    say(rig, "max_per_week", 2, how="on the patient page")
    answer = undo(rig, path, "limit", html)
    assert answer.status_code == 409
    assert {item.value for item in own(rig).preferences} == {1, 2}


def test_undo_is_no_longer_offered_after_ten_seconds(rig, path):
    save(rig, path, "language")
    assert "Undo" in rig.http.get(path).text
    rig.clock.instant += timedelta(seconds=11)
    assert "Undo" not in rig.http.get(path).text


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda tx, row, now: outbox.finish_outbox(tx, row, "x/1", now), "Kept in the"),
        (
            lambda tx, row, now: outbox.keep_outbox(tx, row, "answered 403.", now),
            "The chart refused it: answered 403. Kept in CareCue",
        ),
        (
            lambda tx, row, now: outbox.retry_outbox(tx, row, now, "no answer"),
            "Waiting to be written: the chart did not take it yet",
        ),
        (
            lambda tx, row, now: outbox.kill_outbox(tx, row, "no answer", now),
            "Could not be written to the chart. Kept in CareCue",
        ),
    ],
)
def test_the_page_says_where_an_answer_is_kept(rig, path, end, text):
    save(rig, path, "language")
    with rig.database.tx() as tx:
        row = tx.execute("SELECT id FROM outbox").fetchone()["id"]
        end(tx, row, rig.clock.now())
    assert text in words(rig.http.get(path).text)


def test_the_answer_follows_at_once_from_what_was_saved(rig, path):
    plan(rig)
    text = words(save(rig, path, "hours", headers=PARTIAL).text)
    assert "Text Rosa in Spanish, 10 AM to 5:30 PM." in text
    assert "Wed, Nov 18 10:00 AM" in text


@pytest.mark.parametrize("headers", [{}, PARTIAL], ids=["page", "in place"])
@pytest.mark.parametrize("name", GROUPS)
def test_a_form_has_the_place_where_a_refused_save_is_said(rig, path, name, headers):
    html = rig.http.get(f"{path}preferences/{name}", headers=headers).text
    places = set(re.findall(r'target:#([^\s"]+)', html))
    assert len(places) == 1
    assert html.count(f'id="{places.pop()}"') == 1


def test_there_is_no_other_group(rig, path):
    assert rig.http.get(f"{path}preferences/shoes").status_code == 404


def test_a_read_only_user_has_no_control_and_is_refused(rig, path):
    plan(rig)
    data = form_of(rig, path, "language")
    rig.app(read_only=("*",))
    html = rig.http.get(path).text
    assert "messages/nudge-1" in html
    targets = re.findall(rf'(?:href|action|hx-\w+)="{path}([^"?]*)', html)
    reading = {"", "messages/nudge-1", "language", "close", "summary", "window"}
    assert set(targets) <= reading
    for part in ("preferences/language", "answers", "messages/nudge-1/move", "pause"):
        answer = rig.http.get(path + part)
        assert answer.status_code == 403
        assert "read" in words(answer.text)
    answer = rig.http.post(f"{path}preferences/language", data=data, headers=OURS)
    assert answer.status_code == 403
    assert "Save refused: nothing was changed." in words(answer.text)
    assert recorded(rig) == {}


@pytest.mark.parametrize(
    "closed",
    [
        {"deceasedBoolean": True},
        {"active": False},
        {"link": [{"type": "replaced-by", "other": {"reference": "Patient/new"}}]},
    ],
    ids=["died", "inactive", "merged"],
)
def test_a_form_of_a_record_that_was_closed_meanwhile_is_refused(rig, path, closed):
    data = form_of(rig, path, "limit")
    rig.ehr.resources["Patient/rosa"].update(closed)
    answer = rig.http.post(f"{path}preferences/limit", data=data, headers=OURS)
    assert answer.status_code == 403
    assert "Nothing was changed. This record is closed" in words(answer.text)
    assert "This was not saved" in words(answer.text)
    assert 'class="sheet sect notice final"' in answer.text
    assert recorded(rig) == {}
    form = rig.http.get(f"{path}pause")
    assert form.status_code == 403
    assert "This record is closed: CareCue" in words(form.text)
    assert 'href="' + f"{path}pause" not in rig.http.get(path).text


def test_what_is_saved_as_it_is_changed_waits_for_both_value_and_voice(rig, path):
    for changes in ({"who": ""}, {"limit": "3"}):
        answer = save(rig, path, "limit", headers=PARTIAL, **changes)
        assert answer.status_code == 200
        assert "<select" in answer.text
        assert 'role="alert"' not in answer.text
        assert recorded(rig) == {}
    assert 'value="patient" checked' in answer.text
    answer = save(rig, path, "limit", headers=PARTIAL)
    assert "Saved 7:00 AM" in words(answer.text)
    pressed = save(rig, path, "visits", headers=PARTIAL, who="", save="1")
    assert pressed.status_code == 422


def test_control_characters_are_left_out_of_what_is_filled_in(rig, path):
    answer = save(
        rig, path, "words", text="My\x00 grand\x07 kids\x9b.\n", language="en"
    )
    assert answer.status_code == 303, words(answer.text)
    assert recorded(rig)["matters"].value["text"] == "My grand kids ."
