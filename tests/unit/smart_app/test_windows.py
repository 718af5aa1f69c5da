"""The picker where the EHR has none, and windows of their own."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from mappings.secret import Secret
from middleware.desk.launches import LaunchBook, note_step
from smart_app.discovery import Discovery
from smart_app.refresh import Bearers
from tests.unit.smart_app.acts import acts, field, launch_of, search, words
from tests.unit.smart_app.conftest import FRAME, OURS_HEADERS, PICKS, choose


def pick(rig, path, html, **changes):
    form = {
        "csrf": field(html, "csrf"),
        "mark": field(html, "mark"),
        "pick": "rosa",
        **changes,
    }
    return rig.http.post(path, data=form, headers=OURS_HEADERS)


def test_the_patient_is_searched_and_bound_to_the_launch(rig, picker):
    found = search(rig, picker)
    assert "Rosa Delgado" in found.text
    assert "4471-0926" in found.text
    answer = pick(rig, picker, found.text)
    assert (answer.status_code, answer.location) == (
        303,
        picker.removesuffix("patient"),
    )
    page = rig.http.get(answer.location)
    assert page.status_code == 200
    assert "Rosa" in page.text
    launch = launch_of(rig, picker)
    assert (launch.patient, launch.stage) == ("Patient/rosa", "open")
    assert launch.need_patient_banner is True
    with rig.database.tx() as tx:
        assert acts(tx)[0].patient == "Patient/rosa"


def test_what_shows_no_chart_keeps_to_the_frames_colours_too(rig, picker):
    framed = {"Sec-Fetch-Dest": "iframe"}
    assert " data-framed" in rig.http.get(picker, headers=framed).text
    assert " data-framed" not in rig.http.get(picker).text
    assert pick(rig, picker, search(rig, picker).text).status_code == 303
    page = picker.removesuffix("patient")
    form = rig.form(page)
    closed = rig.http.post(f"{page}close", data=form, headers=OURS_HEADERS | framed)
    assert " data-framed" in closed.text


def test_who_was_found_leaves_the_screen_when_the_server_locks(rig, picker):
    rig.clock.instant += timedelta(minutes=20)
    seconds, _, where = search(rig, picker).headers["Refresh"].partition("; url=")
    assert (int(seconds), where) == (601, picker)
    rig.clock.instant += timedelta(seconds=601)
    locked = rig.http.get(where)
    assert locked.status_code == 401
    assert "Delgado" not in locked.text


def test_a_patient_is_chosen_once(rig, picker):
    html = search(rig, picker).text
    assert pick(rig, picker, html).status_code == 303
    assert pick(rig, picker, html).status_code == 409
    assert rig.http.get(picker).status_code == 409


def test_two_choices_at_once_bind_one(rig, picker):
    html = search(rig, picker).text
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: pick(rig, picker, html), range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]


@pytest.mark.parametrize("chosen", ["tom", "../Practitioner/osei", ""])
def test_what_was_not_shown_is_not_opened(rig, picker, chosen):
    rig.ehr.resources["Patient/tom"] = {
        "resourceType": "Patient",
        "id": "tom",
        "name": [{"text": "Tom"}],
    }
    html = search(rig, picker).text
    assert pick(rig, picker, html, pick=chosen).status_code == 409
    assert launch_of(rig, picker).patient is None


def test_a_record_that_changed_since_it_was_shown_is_not_opened(rig, picker):
    html = search(rig, picker).text
    rig.ehr.resources["Patient/rosa"]["birthDate"] = "1986-02-03"
    assert pick(rig, picker, html).status_code == 409


@pytest.mark.parametrize(
    "typed",
    [
        {"name": "D"},
        {"birth_date": ""},
        {"birth_date": "3 February"},
        {"name": "x" * 101},
    ],
)
def test_too_little_is_asked_for_again_and_nothing_is_searched(rig, picker, typed):
    answer = search(rig, picker, **typed)
    assert answer.status_code == 422
    assert "two letters or more" in answer.text
    assert "GET /fhir/Patient" not in rig.ehr.log


def test_an_mrn_alone_is_enough(rig, picker):
    assert search(rig, picker, name="", birth_date="", mrn="4471").status_code == 200


def test_closed_records_are_not_offered(rig, picker):
    rig.ehr.resources["Patient/rosa"]["active"] = False
    assert "Rosa" not in search(rig, picker).text


def test_a_picker_is_its_browsers_and_its_forms_alone(rig, picker):
    html = search(rig, picker).text
    other = rig.http.application.test_client()
    assert other.get(picker).status_code == 403
    forged = rig.http.post(
        picker,
        data={"pick": "rosa", "mark": field(html, "mark"), "csrf": "x"},
        headers=OURS_HEADERS,
    )
    assert forged.status_code == 403
    foreign = {"Origin": FRAME, "Sec-Fetch-Site": "cross-site"}
    crossed = rig.http.post(
        picker,
        data={"pick": "rosa", "csrf": field(html, "csrf")},
        headers=foreign,
    )
    assert crossed.status_code == 403


@pytest.mark.parametrize("seconds", [50, 61])
def test_the_access_is_renewed_while_a_patient_is_chosen(rig, seconds):
    rig.ehr.refresh = "rt-1"
    rig.ehr.answer = rig.ehr.renewal = {"expires_in": 60}
    path = choose(rig)
    rig.clock.instant += timedelta(seconds=seconds)
    html = search(rig, path).text
    assert "Rosa Delgado" in html
    assert rig.ehr.renewals == ["rt-1"]
    assert pick(rig, path, html).status_code == 303
    way = [step["step"] for step in launch_of(rig, path).steps]
    assert way[-2:] == ["renewed", "opened"]
    rig.clock.instant += timedelta(seconds=70)
    assert rig.http.get(path.removesuffix("patient")).status_code == 200


class Chosen(LaunchBook):
    """A book in which the patient is chosen just before a renewal is kept."""

    def __init__(self, database, choose_first):
        super().__init__(database)
        self._choose_first = choose_first

    def settle_renewal(self, launch):
        self._choose_first()
        super().settle_renewal(launch)


def test_a_choice_while_the_access_is_renewed_stays_on_its_way(rig):
    rig.ehr.refresh = "rt-1"
    rig.ehr.answer = rig.ehr.renewal = {"expires_in": 60}
    path, book = choose(rig), rig.ports.launches

    def bind():
        launch = launch_of(rig, path)
        note_step(launch, rig.clock.now(), "opened")
        assert book.bind_patient(launch, "Patient/rosa", rig.clock.now())

    rig.clock.instant += timedelta(seconds=50)
    ports = replace(rig.ports, launches=Chosen(rig.database, bind))
    bearer = Bearers(ports, Discovery(ports.discover, ports.fetch_keys)).of(
        launch_of(rig, path)
    )
    assert bearer.token() == Secret("at-2")
    launch = launch_of(rig, path)
    way = [step["step"] for step in launch.steps]
    assert (launch.patient, way[-2:]) == ("Patient/rosa", ["opened", "renewed"])


def test_before_the_choice_there_is_no_page(rig, picker):
    assert rig.http.get(picker.removesuffix("patient")).status_code == 401
    rig.clock.instant += timedelta(minutes=31)
    assert rig.http.get(picker).status_code == 401


def test_a_chart_launch_without_a_patient_never_comes_to_a_picker(rig):
    rig.ehr.configuration = PICKS
    answer = rig.launch(patient=None)
    assert answer.status_code == 502
    assert ">T3<" in answer.text


def offer(rig, page):
    form = rig.form(f"{page}pause")
    answer = rig.http.post(f"{page}window", data=form, headers=OURS_HEADERS)
    assert answer.status_code == 200, answer.text
    return field(answer.text, "code")


def take(rig, code, client=None, **headers):
    browser = client or rig.http.application.test_client()
    return browser.post(
        "/smart/window", data={"code": code}, headers={**OURS_HEADERS, **headers}
    )


def test_a_window_of_its_own_opens_once_with_a_launch_of_its_own(rig):
    rig.ehr.refresh = "rt-1"
    page = rig.open(need_patient_banner=False)
    window = rig.http.application.test_client()
    code = offer(rig, page)
    answer = take(rig, code, window)
    assert answer.status_code == 303
    assert answer.location != page
    assert "Partitioned" in answer.headers["Set-Cookie"]
    assert window.get(answer.location).status_code == 200
    assert window.get(page).status_code == 403
    assert rig.http.get(answer.location).status_code == 403
    old, new = launch_of(rig, page), launch_of(rig, answer.location)
    assert new.patient == old.patient
    assert new.need_patient_banner is True
    assert code.encode() not in new.sealed
    again = take(rig, code)
    assert again.status_code == 403
    assert ">H1<" in again.text


def test_the_window_alone_renews_from_then_on(rig):
    rig.ehr.refresh = "rt-1"
    rig.ehr.answer = {"expires_in": 600}
    page = rig.open()
    window = rig.http.application.test_client()
    moved = take(rig, offer(rig, page), window).location
    rig.clock.instant += timedelta(seconds=601)
    assert rig.http.get(page).status_code == 401
    assert window.get(moved).status_code == 200
    assert rig.ehr.renewals == ["rt-1"]


def test_a_hand_off_ends_after_thirty_seconds(rig):
    code = offer(rig, rig.open())
    rig.clock.instant += timedelta(seconds=30)
    assert take(rig, code).status_code == 403


def test_a_hand_off_is_no_use_to_another_site(rig):
    code = offer(rig, rig.open())
    crossed = take(rig, code, **{"Origin": FRAME, "Sec-Fetch-Site": "cross-site"})
    assert crossed.status_code == 403
    assert take(rig, "").status_code == 403
    assert take(rig, "unknown").status_code == 403


def test_two_windows_at_once_open_one(rig):
    code = offer(rig, rig.open())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: take(rig, code), range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 403, 403, 403]


def test_a_closed_launch_hands_nothing_over(rig):
    page = rig.open()
    code = offer(rig, page)
    form = rig.form(f"{page}pause")
    rig.http.post(f"{page}close", data=form, headers=OURS_HEADERS)
    assert take(rig, code).status_code == 403


def test_a_lost_cookie_leads_to_a_window_of_its_own(rig):
    first = rig.http.get(
        "/smart/launch", query_string={"iss": rig.ehr.base, "launch": "x"}
    )
    code, state = rig.ehr.approve(first.location), rig.ehr.state(first.location)
    stranger = rig.http.application.test_client()
    answer = stranger.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 403
    assert 'href="/smart/standalone?iss=http' in answer.text


def open_james(rig, **claims):
    """Open another chart a minute later; return its page."""
    rig.clock.instant += timedelta(minutes=1)
    rosa = rig.ehr.resources["Patient/rosa"]
    rig.ehr.resources["Patient/james"] = {**rosa, "id": "james"}
    rig.ehr.claims = claims
    return rig.open(patient="james")


def left(rig, page, keep=""):
    return rig.http.get(f"{page}session{keep}").json["left"]


def test_a_page_hears_that_its_user_opened_another_chart_since(rig):
    rosa = rig.open_page()
    james = open_james(rig)
    assert (left(rig, rosa), left(rig, james)) == (True, False)
    # Reading itself again, as it does when it comes into sight, is no use of a page.
    assert rig.http.get(rosa, headers={"HX-Request": "true"}).status_code == 200
    assert left(rig, rosa)
    assert not left(rig, rosa, "?keep=1")
    assert not left(rig, rosa)
    # Neither is locked: both may be open on purpose.
    assert {launch_of(rig, one).stage for one in (rosa, james)} == {"open"}


def test_another_users_chart_or_the_same_chart_again_is_nobodys_leaving(rig):
    rosa = rig.open_page()
    open_james(rig, sub="other", fhirUser="Practitioner/other")
    rig.ehr.claims = {}
    rig.clock.instant += timedelta(minutes=1)
    rig.open()
    assert not left(rig, rosa)


def test_what_it_then_says_ends_its_sentences_once_in_spanish(rig):
    page = rig.open()
    html = words(rig.http.get(page, headers={"Accept-Language": "es"}).text)
    assert "Después abrió otra historia clínica" in html
    assert not re.search(r"[ap]\.m\.\.", html)
