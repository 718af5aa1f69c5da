"""The pages of an open launch: who sees them, what they say and what they save."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.content import load_shipped
from mappings.nudge import NudgeState
from middleware.desk.launches import LaunchBook
from middleware.storage import nudges
from tests.unit.smart_app.acts import (
    OURS,
    acts,
    agree,
    field,
    own,
    plan,
    serve_afresh,
    words,
)
from tests.unit.smart_app.conftest import FRAME, PUBLIC


def test_page_says_how_to_reach_the_patient(rig):
    agree(rig)
    html = rig.http.get(rig.open()).text
    text = words(html)
    assert "Text Rosa in Spanish, 9 AM to 8 PM." in text
    assert "Messages on" in text
    assert "Rosa Delgado" in text
    assert "58 years, female" in text
    assert "Born Feb 3, 1968" in text
    assert "4471-0926" in text
    assert "Northside , opened 7:00 AM" in text
    assert "Chart read 7:00 AM Pacific" in text
    assert "1 of 1 topics" in text
    assert "0 of 3" in text


def test_strip_keeps_when_the_chart_was_opened(rig):
    path = rig.open_page()
    rig.clock.instant += timedelta(minutes=12)
    html = rig.http.get(path).text
    # In the first piece, before the chart is read, and in the last.
    for piece in html.split('class="fresh"'):
        assert words(piece).count("Northside , opened 7:00 AM") == 1
    assert "Chart read 7:12 AM Pacific" in words(html)


def test_hours_that_are_less_on_a_day_are_told_beside_them(rig):
    html = rig.http.get(rig.open()).text
    hours = html[html.index('id="g-hours"') : html.index('id="g-zone"')]
    assert "On Sunday noon to 6 PM." in hours


def test_page_without_permission_says_to_ask(rig):
    text = words(rig.http.get(rig.open()).text)
    assert "Ask Rosa first." in text
    assert "No permission recorded" in text
    assert "0 of 1 topics" in text


def test_page_after_a_stop_says_so(rig):
    agree(rig)
    agree(rig, permit=False)
    rig.ehr.resources["Patient/rosa"]["telecom"].pop()
    text = words(rig.http.get(rig.open()).text)
    assert "Stopped by patient" in text
    assert "Do not message Rosa." in text


@pytest.mark.parametrize(
    ("change", "chip"),
    [
        ({"deceasedBoolean": True}, "Deceased"),
        ({"active": False}, "Record inactive"),
        ({"birthDate": "2012-01-01"}, "Under 18"),
        ({"birthDate": "soon"}, "Birth date not recorded"),
        ({"telecom": []}, "No number or address"),
        ({"communication": []}, "Language not recorded"),
    ],
)
def test_each_state_of_the_record_has_its_chip(rig, change, chip):
    agree(rig)
    rig.ehr.resources["Patient/rosa"].update(change)
    assert chip in words(rig.http.get(rig.open()).text)


def test_page_has_the_strict_policy(rig):
    answer = rig.http.get(rig.open())
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; "
        f"form-action 'self' {rig.ehr.origin}; base-uri 'none'; object-src 'none'; "
        f"frame-ancestors {FRAME}"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "X-Frame-Options" not in answer.headers
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert not re.search(r"<script(?! src=)", answer.text)
    assert not re.search(r"\son[a-z]+=", answer.text)


@pytest.mark.parametrize("name", ["look.css", "app.css"])
def test_assets_are_cached_for_good_under_their_own_mark(rig, name):
    html = rig.http.get(rig.open()).text
    path = re.search(rf'href="(/smart/static/{name}\?v=[0-9a-f]+)"', html)[1]
    with rig.http.get(path) as answer:
        assert answer.status_code == 200
        assert answer.mimetype == "text/css"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in answer.headers["Cache-Control"]
    with rig.http.get(f"/smart/static/{name}?v=0") as answer:
        assert "immutable" not in answer.headers["Cache-Control"]


def test_chart_text_is_inert(rig):
    agree(rig)
    bad = "<img src=x onerror=alert(1)>\"'&"
    rig.ehr.resources["Patient/rosa"]["name"] = [{"given": [bad], "family": bad}]
    rig.ehr.resources["Patient/rosa"]["identifier"][0]["value"] = bad
    answer = rig.http.get(rig.open())
    assert answer.status_code == 200
    assert "<img" not in answer.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text


def test_another_browser_sees_nothing(rig):
    path = rig.open()
    other = rig.http.application.test_client()
    answer = other.get(path)
    assert answer.status_code == 403
    assert "Rosa" not in answer.text
    assert other.get("/l/unknown/").status_code == 403


def test_own_cookie_opens_no_other_launch(rig):
    path = rig.open()
    other = rig.http.application.test_client()
    rig.http = other
    mine = rig.open()
    assert other.get(mine).status_code == 200
    assert other.get(path).status_code == 403


@pytest.mark.parametrize("later", [timedelta(minutes=30), timedelta(hours=9)])
def test_session_ends_with_time(rig, later):
    path = rig.open()
    rig.clock.instant += later
    answer = rig.http.get(path)
    assert answer.status_code == 401
    assert (
        "Your chart session ended. Open this app again from the chart." in answer.text
    )


def test_use_keeps_the_session_until_the_token_ends(rig):
    path = rig.open()
    for _ in range(2):
        rig.clock.instant += timedelta(minutes=29)
        assert rig.http.get(path).status_code == 200
    rig.clock.instant += timedelta(minutes=2)
    assert rig.http.get(path).status_code == 401


def test_token_that_the_ehr_refuses_ends_the_session(rig):
    path = rig.open()
    rig.ehr.accepted = "Bearer another"
    answer = rig.http.get(path)
    assert "Your chart session ended." in answer.text
    assert rig.http.get(path).status_code == 401


def test_chart_that_cannot_be_read_says_what_to_do(rig):
    path = rig.open()
    rig.ehr.resources.pop("Patient/rosa")
    answer = rig.http.get(path)
    assert "Nothing was sent or changed." in answer.text
    assert rig.http.get(f"{path}pause").status_code == 502


def test_sealed_token_of_another_launch_opens_nothing(rig):
    first, second = rig.open(), rig.open()
    book = LaunchBook(rig.database)
    mine, other = (book.get(path.split("/")[2]) for path in (first, second))
    book.update(replace(mine, sealed=other.sealed))
    assert rig.http.get(first).status_code == 403
    assert rig.http.get(second).status_code == 200


def test_coming_message_says_why_and_what_stops_it(rig):
    agree(rig)
    plan(rig)
    text = words(rig.http.get(rig.open()).text)
    assert "Wed, Nov 18" in text
    assert "Why: A visit is booked. Stops if the visit is cancelled." in text
    assert "Follow-up with Dr. Osei" in text


def test_preview_shows_the_exact_text_in_its_language(rig):
    agree(rig)
    plan(rig)
    html = rig.http.get(rig.open() + "messages/nudge-1").text
    assert '<p class="bubble" lang="es" dir="auto">Northside Clinic: Rosa,' in html
    text = words(html)
    assert "Text message to (415) 555-0142" in text
    assert "1 text segment. Ease of reading " in text
    assert "of 100. Spanish reviewed by Language Services, day not recorded." in text


def pause_form(rig, path, **changes):
    page = rig.http.get(path + "pause").text
    version = field(page, "version")
    values = {"until": "open", "why": "asked", "version": version, **changes}
    return rig.form(path + "pause", **values)


def test_pause_is_saved_and_shown_and_audited(rig):
    agree(rig)
    plan(rig)
    path = rig.open_page()
    data = pause_form(rig, path, until="2026-11-23")
    answer = rig.http.post(path + "pause", data=data, headers=OURS)
    assert answer.status_code == 303
    text = words(rig.http.get(answer.location).text)
    assert "Paused until Mon, Nov 23" in text
    assert "Messages to Rosa are paused until Mon, Nov 23." in text
    assert "Held, messages are paused" in text
    (record,) = own(rig).preferences
    assert record.name == "pause"
    assert record.value == {
        "until": "2026-11-24T00:00:00-08:00",
        "why": "The patient asked",
    }
    assert record.recorded_by == "Dr. Abena Osei"
    with rig.database.tx() as tx:
        newest = acts(tx)[0]
        nudge = nudges.get_nudge(tx, "nudge-1")
    assert (newest.who, newest.action) == ("Practitioner/osei", "preference-saved")
    assert (newest.patient, newest.subject) == ("Patient/rosa", "pause")
    assert (nudge.state, nudge.reason) == (NudgeState.HELD, "paused")
    assert sorted(stage for stage, _ in rig.woken) == ["deliver", "record"]


def test_pause_can_be_ended(rig):
    agree(rig)
    plan(rig)
    path = rig.open()
    rig.http.post(path + "pause", data=pause_form(rig, path), headers=OURS)
    rig.clock.instant += timedelta(seconds=5)
    html = rig.http.get(path).text
    assert "until someone turns them back on." in words(html)
    version = field(html, "version")
    data = rig.form(path, version=version)
    assert rig.http.post(path + "resume", data=data, headers=OURS).status_code == 303
    assert "Messages on" in words(rig.http.get(path).text)
    with rig.database.tx() as tx:
        assert nudges.get_nudge(tx, "nudge-1").state is NudgeState.PLANNED


@pytest.mark.parametrize(
    "changes",
    [
        {"why": "because"},
        {"until": "2026-11-01"},
        {"until": "date", "date": "tomorrow"},
        {"until": "2029-01-01"},
        {"until": ""},
    ],
)
def test_pause_that_is_incomplete_is_asked_again(rig, changes):
    path = rig.open()
    data = pause_form(rig, path, **changes)
    answer = rig.http.post(path + "pause", data=data, headers=OURS)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert own(rig).preferences == ()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:8090", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {},
    ],
)
def test_form_from_elsewhere_is_refused(rig, headers):
    path = rig.open()
    data = pause_form(rig, path)
    answer = rig.http.post(path + "pause", data=data, headers=headers)
    assert answer.status_code == 403
    assert own(rig).preferences == ()


def test_form_with_our_origin_is_taken(rig):
    path = rig.open()
    data = pause_form(rig, path)
    headers = {"Origin": PUBLIC}
    assert rig.http.post(path + "pause", data=data, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "changes", [{"csrf": "0" * 64}, {"csrf": "é"}, {"patient": "Patient/tom"}]
)
def test_form_of_another_launch_or_patient_is_refused(rig, changes):
    path = rig.open()
    data = {**pause_form(rig, path), **changes}
    answer = rig.http.post(path + "pause", data=data, headers=OURS)
    assert answer.status_code == 403
    assert "Save refused" in answer.text
    assert own(rig).preferences == ()


def test_form_token_of_one_launch_does_not_save_in_another(rig):
    first, second = rig.open(), rig.open()
    data = pause_form(rig, first)
    assert rig.http.post(second + "pause", data=data, headers=OURS).status_code == 403


def test_skip_ends_the_message_with_a_reason(rig):
    agree(rig)
    plan(rig)
    path = rig.open()
    where = path + "messages/nudge-1/skip"
    html = rig.http.get(where).text
    version = field(html, "version")
    data = rig.form(where, why="done", version=version)
    assert rig.http.post(where, data=data, headers=OURS).status_code == 303
    with rig.database.tx() as tx:
        nudge = nudges.get_nudge(tx, "nudge-1")
        newest = acts(tx)[0]
    assert (nudge.state, nudge.reason) == (NudgeState.SKIPPED, "skipped-by-staff")
    assert newest.detail == {"why": "It is already done", "by": "Dr. Abena Osei"}


def test_message_of_another_patient_cannot_be_seen_or_skipped(rig):
    agree(rig)
    plan(rig, patient="Patient/tom")
    path = rig.open()
    where = path + "messages/nudge-1"
    assert rig.http.get(where).status_code == 404
    data = {**rig.form(path + "pause"), "why": "done"}
    assert rig.http.post(where + "/skip", data=data, headers=OURS).status_code == 404
    with rig.database.tx() as tx:
        assert nudges.get_nudge(tx, "nudge-1").state is NudgeState.PLANNED


@pytest.mark.parametrize(
    ("said", "alone"),
    [(True, True), ("true", True), (None, True), (False, False), ("false", False)],
)
def test_identity_stays_in_view_unless_the_ehr_shows_it(rig, said, alone):
    html = rig.http.get(rig.open(need_patient_banner=said)).text
    assert ('<header class="banner alone"' in html) is alone
    assert "4471-0926" in html


def test_missing_part_of_the_chart_is_named(rig):
    agree(rig)
    path = rig.open()
    rig.ehr.broken = {"Encounter"}
    text = words(rig.http.get(path).text)
    assert "The EHR did not give this app: hospital stays and visits." in text
    assert "Chart incomplete" in text


def test_topics_that_are_all_alike_are_told_in_one_line(rig):
    library = load_shipped()
    serve_afresh(rig, lambda _: library)
    agree(rig)
    count = len({one.topic for one in library.plans})
    assert f"All {count} topics: yes" in words(rig.http.get(rig.open()).text)
    agree(rig, library.plans[0].topic, permit=False)
    told = words(rig.http.get(rig.open()).text)
    assert f"{count - 1} other topics: yes" in told
    assert f"All {count} topics" not in told
