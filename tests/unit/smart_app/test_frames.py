"""Launches in a frame: a sign-in that would leave it blank is told before it does."""

import html
import re
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Response, request

from smart_app.app import create_blueprint
from tests.unit.smart_app.conftest import FRAME, PUBLIC, Rig

FRAMED = {"Sec-Fetch-Dest": "iframe"}
BLANK = "sign-in did not come back from this frame"


def begin(rig, **more):
    query = {"iss": rig.ehr.base, "launch": "opaque-1", **more}
    return rig.http.get("/smart/launch", query_string=query, headers=FRAMED)


def test_a_sign_in_that_left_its_frame_blank_is_told_at_the_next_launch(rig):
    assert begin(rig).status_code == 303
    rig.clock.instant += timedelta(seconds=3)
    assert begin(rig).status_code == 303, "the first may still be under way"
    rig.clock.instant += timedelta(seconds=30)
    told = begin(rig)
    assert told.status_code == 200
    assert BLANK in told.text
    window = re.findall(r'href="(/smart/launch[^"]*)" target="_blank"', told.text)
    assert len(window) == 1
    outside = rig.http.get(window[0].replace("&amp;", "&"))
    assert outside.status_code == 303, "a window of its own goes on to the sign-in"
    assert begin(rig, here="1").status_code == 303


def test_a_sign_in_that_came_back_is_not_taken_for_blank(rig):
    first = begin(rig)
    code = rig.ehr.approve(first.location)
    state = rig.ehr.state(first.location)
    assert rig.http.get(f"/smart/callback?code={code}&state={state}").status_code == 303
    rig.clock.instant += timedelta(seconds=30)
    assert begin(rig).status_code == 303


@pytest.mark.parametrize("minutes", [11, 600])
def test_an_old_attempt_says_nothing(rig, minutes):
    assert begin(rig).status_code == 303
    rig.clock.instant += timedelta(minutes=minutes)
    assert begin(rig).status_code == 303


def test_what_another_browser_tried_says_nothing(rig):
    assert begin(rig).status_code == 303
    rig.clock.instant += timedelta(seconds=30)
    rig.http = rig.http.application.test_client()
    assert begin(rig).status_code == 303


REFUSED = "refuses to be shown in this frame"
DENY = {"X-Frame-Options": "DENY"}


@pytest.fixture
def looked(rig) -> list[str]:
    """What the sign-in page was asked for by us, each answered with ``rig.deny``."""
    asked: list[str] = []
    rig.deny = DENY
    look = rig.ports.look_at_sign_in

    def note(endpoint, url):
        asked.append(url)
        return look(endpoint, url)

    rig.ports = replace(rig.ports, look_at_sign_in=note)
    restart(rig)

    def sign_in() -> Response | None:
        if request.path == "/authorize":
            return Response("<h1>Sign in</h1>", headers=rig.deny)
        return None

    hooks = rig.ehr.server.app.before_request_funcs.setdefault(None, [])
    hooks.append(sign_in)
    yield asked
    hooks.remove(sign_in)


def profile(rig, **changes):
    endpoint = rig.endpoints[0]
    rig.endpoints[0] = replace(endpoint, profile={**endpoint.profile, **changes})


def restart(rig: Rig) -> None:
    """Serve the app as a process that knows what the database does and nothing else."""
    app = type(rig.http.application)("again")
    app.test_client_class = type(rig.http)
    app.register_blueprint(create_blueprint(rig.ports))
    rig.http = app.test_client()


def come_back(rig, first):
    """Do what a browser does that is signed in without a page."""
    code, state = rig.ehr.approve(first.location), rig.ehr.state(first.location)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 303, answer.text


def test_the_first_launch_tells_of_a_sign_in_that_refuses_frames(rig, looked):
    told = begin(rig)
    assert told.status_code == 200
    assert REFUSED in told.text
    assert "Set-Cookie" not in told.headers
    window = re.findall(r'href="(/smart/launch[^"]*)" target="_blank"', told.text)
    assert rig.http.get(window[0].replace("&amp;", "&")).status_code == 303
    assert begin(rig, here="1").status_code == 303, "a person may try it all the same"


def test_the_page_tries_the_sign_in_in_a_frame_of_its_own_and_goes_on(rig, looked):
    told = begin(rig)
    policy = told.headers["Content-Security-Policy"]
    assert f"frame-src 'self' https: {rig.ehr.origin}" in policy
    assert f"frame-ancestors {FRAME}" in policy.split("; ")
    inner = html.unescape(re.findall(r'<iframe hidden src="([^"]*)"', told.text)[0])
    first = rig.http.get(inner, headers=FRAMED)
    assert first.status_code == 303
    code, state = rig.ehr.approve(first.location), rig.ehr.state(first.location)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 200
    ancestors = f"frame-ancestors {FRAME} {PUBLIC}"
    assert ancestors in answer.headers["Content-Security-Policy"].split("; ")
    assert "Rosa" not in answer.text
    page = re.findall(r'href="(/l/[^"]*)" data-go', answer.text)[0]
    opened = rig.http.get(page, headers=FRAMED)
    assert "Rosa" in opened.text
    assert PUBLIC not in opened.headers["Content-Security-Policy"]


@pytest.mark.parametrize("said", ["", "2", "innermost"])
def test_no_page_holds_itself_in_its_frame(rig, looked, said):
    told = begin(rig, here=said)
    inner = html.unescape(re.findall(r'<iframe hidden src="([^"]*)"', told.text)[0])
    assert inner.count("here=") == 1
    assert rig.http.get(inner, headers=FRAMED).status_code == 303


def test_a_refused_sign_in_within_the_page_tells_why_in_its_frame(rig, looked):
    first = begin(rig, here="inner")
    state = rig.ehr.state(first.location)
    answer = rig.http.get(f"/smart/callback?error=access_denied&state={state}")
    assert "access_denied" in answer.text
    ancestors = f"frame-ancestors {FRAME} {PUBLIC}"
    assert ancestors in answer.headers["Content-Security-Policy"].split("; ")


def test_what_a_sign_in_says_is_asked_once_and_known_to_every_process(rig, looked):
    assert REFUSED in begin(rig).text
    assert REFUSED in begin(rig).text
    restart(rig)
    assert REFUSED in begin(rig).text
    assert looked == [f"{rig.ehr.origin}/authorize"]


def test_a_sign_in_that_refuses_nothing_is_gone_to_at_once(rig, looked):
    rig.deny = {}
    assert begin(rig).status_code == 303
    assert begin(rig).status_code == 303
    assert len(looked) == 1


def test_outside_a_frame_no_sign_in_is_looked_at(rig, looked):
    rig.open()
    assert looked == []


def test_a_launch_that_came_back_from_a_frame_is_believed_more(rig, looked):
    assert REFUSED in begin(rig).text
    come_back(rig, begin(rig, here="1"))
    restart(rig)
    assert begin(rig).status_code == 303, "another browser goes there at once"
    rig.clock.instant += timedelta(days=31)
    assert REFUSED in begin(rig).text


def test_a_sign_in_is_looked_at_anew_after_a_day_beside_the_launch(rig, looked):
    assert REFUSED in begin(rig).text
    rig.deny = {}
    rig.clock.instant += timedelta(days=2)
    restart(rig)
    before = set(threading.enumerate())
    assert REFUSED in begin(rig).text, "nobody waits for it"
    for beside in set(threading.enumerate()) - before:
        beside.join(10)
    assert len(looked) == 2
    assert begin(rig).status_code == 303


def test_frames_that_all_stay_blank_tell_of_a_refusal_that_no_header_shows(rig, looked):
    rig.deny = {}
    for _ in range(3):
        rig.http = rig.http.application.test_client()
        assert begin(rig).status_code == 303
    rig.clock.instant += timedelta(minutes=11)
    rig.http = rig.http.application.test_client()
    assert BLANK in begin(rig).text
    come_back(rig, begin(rig, here="1"))
    rig.http = rig.http.application.test_client()
    assert begin(rig).status_code == 303


def test_a_sign_in_that_does_not_answer_is_gone_to(rig, looked):
    rig.ports = replace(rig.ports, look_at_sign_in=lambda *_: None)
    restart(rig)
    assert begin(rig).status_code == 303


def test_an_administrator_knows_better(rig, looked):
    profile(rig, authorize_in_window=False)
    assert begin(rig).status_code == 303
    profile(rig, server="epic")
    assert begin(rig).status_code == 303
    assert looked == []


def test_what_one_ehr_does_says_nothing_of_another(rig, looked):
    come_back(rig, begin(rig, here="1"))
    base = rig.ehr.base.replace("127.0.0.1", "localhost")
    listed = {"authorization_hosts": ["127.0.0.1"]}
    other = replace(rig.endpoints[0], id="other", fhir_base=base, profile=listed)
    rig.endpoints.append(other)
    query = {"iss": other.fhir_base, "launch": "x"}
    told = rig.http.get("/smart/launch", query_string=query, headers=FRAMED)
    assert REFUSED in told.text
