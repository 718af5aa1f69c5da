"""Tokens renewed ahead of their end, once, and sessions that end when they must."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from mappings.secret import Secret
from middleware.desk.launches import LaunchBook
from middleware.storage.retention import purge
from smart_app.app import create_blueprint
from smart_app.discovery import Discovery
from smart_app.refresh import Bearers
from tests.unit.smart_app.acts import acts, launch_of
from tests.unit.smart_app.conftest import FRAME, OURS_HEADERS


@pytest.fixture
def renewing(rig):
    rig.ehr.refresh = "rt-1"
    rig.ehr.answer = {"expires_in": 600}
    rig.ehr.renewal = {"expires_in": 600}
    return rig


def later(rig, **time):
    rig.clock.instant += timedelta(**time)


def another_process(rig):
    """The same service in another process: nothing shared but the database."""
    app = Flask("other")
    app.register_blueprint(create_blueprint(replace(rig.ports, bearer=None)))
    client = app.test_client()
    for cookie in rig.http._cookies.values():
        client.set_cookie(
            cookie.key,
            cookie.value,
            domain=cookie.domain,
            path=cookie.path,
            secure=True,
        )
    return client


def test_a_token_is_renewed_ahead_of_its_end(renewing):
    page = renewing.open()
    later(renewing, seconds=500)
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == []
    later(renewing, seconds=20)
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1"]
    assert launch_of(renewing, page).steps[-1]["step"] == "renewed"


def test_a_server_that_asks_hears_when_the_user_was_last_seen(renewing):
    renewing.ehr.answer = {"expires_in": 3600, "active_ttl": "300"}
    renewing.ehr.renewal = {"expires_in": 3600, "active_ttl": 300}
    page = renewing.open()
    later(renewing, seconds=205)
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.presence == []
    later(renewing, seconds=40)
    assert renewing.http.get(f"{page}session").status_code == 200
    assert renewing.ehr.presence == ["40"], "asking whether it lives is no presence"
    later(renewing, seconds=100)
    assert renewing.http.get(page).status_code == 200
    assert len(renewing.ehr.presence) == 1


@pytest.mark.parametrize("told", [None, True, -5, "soon", 1.5, "9" * 12])
def test_nothing_is_said_of_presence_to_a_server_that_does_not_ask(renewing, told):
    renewing.ehr.answer = {"expires_in": 600, "active_ttl": told}
    page = renewing.open()
    later(renewing, seconds=520)
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.presence == [None]


def test_a_new_refresh_token_takes_the_old_ones_place(renewing):
    page = renewing.open()
    for _ in range(3):
        later(renewing, seconds=590)
        assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1", "rt-2", "rt-3"]


def test_the_refresh_token_stays_where_no_new_one_comes(renewing):
    renewing.ehr.rotates = False
    page = renewing.open()
    for _ in range(3):
        later(renewing, seconds=590)
        assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1", "rt-1", "rt-1"]


def test_it_is_never_asked_twice_within_a_minute(renewing):
    renewing.ehr.renewal = {"expires_in": 100}
    page = renewing.open()
    later(renewing, seconds=590)
    renewing.http.get(page)
    later(renewing, seconds=55)
    assert renewing.http.get(page).status_code == 200
    assert len(renewing.ehr.renewals) == 1
    later(renewing, seconds=10)
    assert renewing.http.get(page).status_code == 200
    assert len(renewing.ehr.renewals) == 2


def test_tokens_that_live_less_than_a_minute_are_renewed_as_often(renewing):
    renewing.ehr.answer = renewing.ehr.renewal = {"expires_in": 20}
    page = renewing.open()
    for seconds in (15, 12, 25, 5):
        later(renewing, seconds=seconds)
        assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1", "rt-2", "rt-3"]


@pytest.mark.parametrize("written", ["rosa", "Patient/rosa", "{base}/Patient/rosa"])
def test_a_renewal_may_name_the_same_patient_by_reference(renewing, written):
    named = written.format(base=renewing.ehr.base)
    renewing.ehr.renewal = {"expires_in": 600, "patient": named}
    page = renewing.open()
    later(renewing, seconds=601)
    assert renewing.http.get(page).status_code == 200


def test_a_renewal_without_a_usable_life_is_noted(renewing):
    renewing.ehr.renewal = {"expires_in": "soon"}
    page = renewing.open()
    later(renewing, seconds=601)
    assert renewing.http.get(page).status_code == 200
    assert launch_of(renewing, page).steps[-1]["deviation"] == "expires_in soon"


def test_twenty_requests_at_the_end_ask_once(renewing):
    page = renewing.open()
    later(renewing, seconds=601)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: renewing.http.get(page), range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert renewing.ehr.renewals == ["rt-1"]


def test_two_processes_at_the_end_ask_once(renewing):
    page = renewing.open()
    other = another_process(renewing)
    later(renewing, seconds=601)
    renewing.ehr.slow.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(client.get, page)
            for client in (renewing.http, other)
            for _ in range(4)
        ]
        threading.Timer(0.5, renewing.ehr.slow.set).start()
        answers = [each.result(20) for each in asked]
    assert {answer.status_code for answer in answers} == {200}
    assert renewing.ehr.renewals == ["rt-1"]


def test_who_renewed_and_fell_silent_leaves_no_second_use(renewing):
    page = renewing.open()
    with renewing.database.tx() as tx:
        tx.execute("UPDATE launch SET renewing_at = %s", (renewing.clock.now(),))
    later(renewing, seconds=601)
    assert renewing.http.get(page).status_code == 401
    assert renewing.ehr.renewals == []


def test_a_token_that_the_ehr_refuses_is_renewed_once_and_the_read_repeated(renewing):
    page = renewing.open()
    renewing.ehr.accepted = "Bearer somebody-elses"
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1"]


def test_a_refusal_of_the_new_token_too_ends_the_session(renewing):
    page = renewing.open()
    renewing.ehr.renewal = {"access_token": "useless"}
    renewing.ehr.accepted = "Bearer somebody-elses"
    assert "Your chart session ended." in renewing.http.get(page).text
    assert launch_of(renewing, page).stage == "locked"
    assert len(renewing.ehr.renewals) == 1


def test_logout_in_the_ehr_locks_the_page_for_good(renewing):
    page = renewing.open()
    renewing.ehr.renewal_status = 400
    later(renewing, seconds=590)
    answer = renewing.http.get(page)
    assert answer.status_code == 401
    assert "Open this app again from the chart" in answer.text
    found = launch_of(renewing, page)
    assert (found.stage, found.error, found.sealed) == ("locked", "R1", b"")
    renewing.ehr.renewal_status = 200
    assert renewing.http.get(page).status_code == 401
    assert len(renewing.ehr.renewals) == 1
    with renewing.database.tx() as tx:
        assert acts(tx)[0].action == "launch-ended"


def test_a_session_without_refresh_ends_with_its_token(rig):
    rig.ehr.answer = {"expires_in": 600}
    page = rig.open()
    later(rig, seconds=600)
    assert rig.http.get(page).status_code == 401
    assert rig.ehr.renewals == []


def test_a_server_that_is_down_is_asked_again_a_minute_later(renewing):
    page = renewing.open()
    renewing.ehr.renewal_status = 503
    later(renewing, seconds=520)
    assert renewing.http.get(page).status_code == 200
    assert renewing.http.get(page).status_code == 200
    assert len(renewing.ehr.renewals) == 1
    renewing.ehr.renewal_status = 200
    later(renewing, seconds=61)
    assert renewing.http.get(page).status_code == 200
    assert len(renewing.ehr.renewals) == 2


@pytest.mark.parametrize("word", ["server_error", "temporarily_unavailable"])
def test_a_server_that_cannot_renew_now_ends_nothing(renewing, word):
    page = renewing.open()
    renewing.ehr.renewal_error = word
    later(renewing, seconds=520)
    assert renewing.http.get(page).status_code == 200
    renewing.ehr.renewal_error = None
    later(renewing, seconds=61)
    assert renewing.http.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1", "rt-1"]


@pytest.mark.parametrize(
    ("renewal", "claims", "code"),
    [
        ({"patient": "tom"}, None, "R2"),
        ({"scope": "launch patient/*.cruds"}, None, "R4"),
        ({}, {"sub": "user-2"}, "R3"),
        ({}, {"fhirUser": "Practitioner/eve"}, "R3"),
        ({}, {"aud": "another-client"}, "T5"),
        ({"token_type": "mac"}, None, "T2"),
    ],
)
def test_what_comes_back_for_another_ends_the_launch(renewing, renewal, claims, code):
    page = renewing.open()
    renewing.ehr.renewal = renewal
    renewing.ehr.renewal_claims = claims
    later(renewing, seconds=590)
    assert renewing.http.get(page).status_code == 401
    found = launch_of(renewing, page)
    assert (found.stage, found.error, found.sealed) == ("failed", code, b"")


def test_the_same_patient_user_and_scope_come_back_and_all_goes_on(renewing):
    page = renewing.open()
    renewing.ehr.renewal = {"patient": "rosa", "scope": "patient/Patient.rs"}
    renewing.ehr.renewal_claims = {"nonce": None}
    later(renewing, seconds=590)
    assert renewing.http.get(page).status_code == 200


def close(rig, page):
    form = rig.form(page + "pause")
    return rig.http.post(f"{page}close", data=form, headers=OURS_HEADERS)


def test_closing_revokes_and_forgets(renewing):
    renewing.ehr.configuration = {
        "revocation_endpoint": f"{renewing.ehr.origin}/revoke"
    }
    page = renewing.open()
    answer = close(renewing, page)
    assert answer.status_code == 200
    assert "CareCue is closed" in answer.text
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    (told,) = renewing.ehr.revoked
    assert (told["token"], told["token_type_hint"]) == ("rt-1", "refresh_token")
    found = launch_of(renewing, page)
    assert (found.stage, found.sealed) == ("closed", b"")
    assert renewing.http.get(page).status_code == 403


def test_closing_needs_no_server_that_can_revoke(rig):
    page = rig.open()
    assert close(rig, page).status_code == 200
    assert launch_of(rig, page).stage == "closed"


def test_a_foreign_page_closes_nothing(rig):
    page = rig.open()
    answer = rig.http.post(
        f"{page}close",
        data=rig.form(page + "pause"),
        headers={"Origin": FRAME, "Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert launch_of(rig, page).stage == "open"


def test_the_page_may_ask_how_long_it_stays_and_asking_is_no_use(rig):
    page = rig.open()
    later(rig, minutes=20)
    told = rig.http.get(f"{page}session").json
    assert told["patient"] == "Patient/rosa"
    assert told["locks_in"] == 600
    assert rig.http.get(f"{page}session?keep=1").json["locks_in"] == 1800
    later(rig, minutes=29)
    assert rig.http.get(f"{page}session").json["locks_in"] == 60
    later(rig, minutes=1)
    assert rig.http.get(f"{page}session").status_code == 401
    assert launch_of(rig, page).stage == "locked"


def test_a_site_may_lock_sooner(rig):
    rig.app(idle_minutes=5)
    page = rig.open()
    later(rig, minutes=5)
    assert rig.http.get(page).status_code == 401


def test_no_use_keeps_a_page_beyond_its_day(rig):
    rig.ehr.answer = {"expires_in": 80000}
    page = rig.open()
    for _ in range(23):
        later(rig, minutes=20)
        assert rig.http.get(page).status_code == 200
    later(rig, minutes=20)
    assert rig.http.get(page).status_code == 401


def test_the_page_names_what_is_withheld_and_can_be_closed(rig):
    rig.ehr.answer = {"scope": "launch openid fhirUser patient/Patient.rs"}
    page = rig.open()
    text = rig.http.get(page).text
    assert "<code>patient/Appointment.rs</code>" in text
    assert f'action="{page}close"' in text
    assert f'action="{page}window"' in text
    assert f'data-session="{page}session"' in text
    told = rig.http.get(f"{page}session")
    assert told.json["chart"] == told.headers["CareCue-Chart"]
    assert f'data-chart="{told.json["chart"]}"' in text


def test_a_row_that_was_read_before_brings_no_spent_token_back(renewing):
    page = renewing.open()
    before = launch_of(renewing, page)
    discovery = Discovery(renewing.ports.discover, renewing.ports.fetch_keys)
    bearer = Bearers(renewing.ports, discovery).of(before)
    assert bearer.token() == Secret("at-1")
    later(renewing, seconds=601)
    assert bearer.token() == Secret("at-2")
    bearer.see(before)
    assert bearer.token() == Secret("at-2")
    assert renewing.ehr.renewals == ["rt-1"]


class Overtaken(LaunchBook):
    """A book that is asked for a renewal just after another process has made one."""

    def __init__(self, database, renew_first):
        super().__init__(database)
        self._renew_first = renew_first

    def claim_renewal(self, *asked):
        self._renew_first()
        return super().claim_renewal(*asked)


def test_who_comes_just_after_a_renewal_does_not_spend_the_old_token_again(renewing):
    page = renewing.open()
    first = another_process(renewing)
    book = Overtaken(renewing.database, lambda: first.get(page))
    renewing.ports = replace(renewing.ports, launches=book)
    second = another_process(renewing)
    later(renewing, seconds=601)
    assert second.get(page).status_code == 200
    assert renewing.ehr.renewals == ["rt-1"]
    assert launch_of(renewing, page).stage == "open"


def test_tokens_are_forgotten_once_the_launchs_time_is_over(renewing):
    page = renewing.open()
    with renewing.database.tx() as tx:
        assert purge(tx, renewing.clock.now())["launch_tokens"] == 0
    later(renewing, hours=9)
    with renewing.database.tx() as tx:
        assert purge(tx, renewing.clock.now())["launch_tokens"] == 1
    assert bytes(launch_of(renewing, page).sealed) == b""
    assert renewing.http.get(page).status_code == 401


def test_the_end_of_a_token_that_nothing_renews_is_foretold(rig):
    page = rig.open()
    assert rig.http.get(f"{page}session").json["ends_in"] == 3600
    rig.clock.instant += timedelta(minutes=25)
    told = rig.http.get(f"{page}session?keep=1").json
    assert (told["locks_in"], told["ends_in"]) == (1800, 2100)
    rig.clock.instant += timedelta(minutes=20)
    told = rig.http.get(f"{page}session?keep=1").json
    assert told["locks_in"] == told["ends_in"] == 900
