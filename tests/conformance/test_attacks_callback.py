"""Attacks on the way back from the authorization server."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from middleware.clock import FixedClock
from tests.certificates import issue, server_context
from tests.conformance.clinic import Clinic, asked_of, code_of
from tests.conformance.hostile import HostileEhr

SCRIPT = "<script>alert(1)</script>"


def refused(clinic: Clinic, query: str, *, browser: object = None) -> str:
    """Come back with a query that must be refused; return the notice's code."""
    answer = (browser or clinic.browser).get(f"/smart/callback?{query}")
    assert 400 <= answer.status_code < 500, answer.text
    assert clinic.ehr.forms() == []
    assert clinic.rows("SELECT id FROM launch WHERE stage = 'open'") == []
    return code_of(answer)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@2-4")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@60-61")
@pytest.mark.attack(14)
def test_a_state_that_is_not_ours_asks_for_no_token(clinic: Clinic) -> None:
    path = clinic.agree(clinic.begin())
    query = path.partition("?")[2]
    code = query.partition("&")[0]

    assert refused(clinic, code) == "C1"
    assert refused(clinic, f"{code}&state=") == "C1"
    assert refused(clinic, f"{code}&state=wrong") == "C1"
    assert refused(clinic, f"{code}&state={'x' * 100_000}") == "C1"
    assert refused(clinic, query, browser=clinic.another_browser()) == "C3"
    clinic.clock.instant += timedelta(minutes=10)
    assert refused(clinic, query) == "C2"


@pytest.mark.attack(14)
def test_a_state_works_once(clinic: Clinic) -> None:
    path = clinic.agree(clinic.begin())
    assert clinic.browser.get(path).status_code == 303
    again = clinic.browser.get(path)

    assert (again.status_code, code_of(again)) == (400, "C1")
    assert len(clinic.ehr.forms()) == 1


@pytest.mark.attack(15)
def test_the_address_that_an_attacker_came_back_with_opens_nothing_for_others(
    clinic: Clinic,
) -> None:
    victim = clinic.another_browser()
    asked = {"iss": clinic.ehr.base, "launch": "of-the-victim"}
    victim.get("/smart/launch", query_string=asked)
    of_the_attacker = clinic.agree(clinic.begin()).partition("?")[2]

    assert refused(clinic, of_the_attacker, browser=victim) == "C3"
    # With the victim's own state and the attacker's code, PKCE stops it at the EHR.
    mine = asked_of(victim.get("/smart/launch", query_string=asked))["state"]
    code = of_the_attacker.partition("&")[0]
    answer = victim.get(f"/smart/callback?{code}&state={mine}")
    assert (answer.status_code, code_of(answer)) == (502, "T1")
    assert clinic.ehr.faults.pop() == "token: code or verifier is not good"


@pytest.mark.attack(16)
def test_an_error_without_our_state_says_nothing_of_it(clinic: Clinic) -> None:
    query = urlencode({"error": "access_denied", "error_description": SCRIPT})
    for state in ("", "&state=wrong", f"&state={SCRIPT}"):
        answer = clinic.browser.get(f"/smart/callback?{query}{state}")
        assert (answer.status_code, code_of(answer)) == (400, "C1")
        assert "access_denied" not in answer.text
        assert "alert(1)" not in answer.text


@pytest.mark.attack(17)
def test_what_the_server_says_of_an_error_stays_text(clinic: Clinic) -> None:
    told = {
        "error": f"access_denied{SCRIPT}",
        "error_description": f'{SCRIPT}"><img src=x onerror=alert(1)>',
        "error_uri": "javascript:alert(1)",
    }
    places = (
        "javascript:alert(1)",
        "//evil.example",
        "https://evil.example/e",
        "data:,x",
    )
    for uri in places:
        state = asked_of(clinic.begin())["state"]
        query = urlencode({**told, "error_uri": uri, "state": state})
        answer = clinic.browser.get(f"/smart/callback?{query}")
        assert (answer.status_code, code_of(answer)) == (403, "C4")
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        assert f'href="{uri}' not in answer.text
    assert clinic.ehr.forms() == []


@pytest.mark.attack(17)
def test_a_link_is_shown_where_it_leads_to_the_ehr_by_https_alone(
    clinic: Clinic, clock: FixedClock, tmp_path: Path
) -> None:
    authority = issue(None)
    trusted = str(authority.save(tmp_path, "authority"))
    context = server_context(issue(authority, host="localhost"), tmp_path)
    with HostileEhr(clock, "localhost", context) as served:
        hosts = {"ca_file": trusted, "authorization_hosts": ["help.example"]}
        clinic.connect(served, "safe", profile=hosts)
        good = (
            f"{served.root}/help?code=7",
            "https://help.example/denied",
            f'{served.root}/"onmouseover="alert(1)',
        )
        port = served.root.rpartition(":")[2]
        bad = (
            f"http://localhost:{port}/help",
            f"{served.root}@evil.example/help",
            "https://evil.example/help",
            "https://help.example.evil.example/",
            "https://help.example@evil.example/",
            "HTTPS://EVIL.EXAMPLE/",
            "https:help.example",
        )
        for uri in (*good, *bad):
            state = asked_of(clinic.begin(served))["state"]
            query = urlencode(
                {"error": "server_error", "error_uri": uri, "state": state}
            )
            page = clinic.browser.get(f"/smart/callback?{query}").text
            links = [unescape(one) for one in re.findall(r'href="([^"]*)"', page)]
            assert (uri in links) is (uri in good), uri
            assert '"onmouseover' not in page


@pytest.mark.attack(18)
def test_an_answer_of_another_issuer_is_refused(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    for issuer in (elsewhere.base, f"{clinic.ehr.base}/", clinic.ehr.root, ""):
        path = clinic.agree(clinic.begin())
        answer = clinic.browser.get(f"{path}&{urlencode({'iss': issuer})}")
        assert (answer.status_code, code_of(answer)) == (400, "C5"), issuer
    assert clinic.ehr.forms() == elsewhere.forms() == []

    clinic.ehr.habits.names_issuer = True
    assert clinic.launch().status_code == 303


@pytest.mark.attack(18)
def test_a_server_that_promises_its_name_must_give_it(clinic: Clinic) -> None:
    clinic.ehr.habits.document = {
        "authorization_response_iss_parameter_supported": True
    }
    answer = clinic.launch()

    assert (answer.status_code, code_of(answer)) == (400, "C5")
    assert clinic.ehr.forms() == []


@pytest.mark.attack(19)
def test_a_code_twice_at_once_is_exchanged_once(clinic: Clinic) -> None:
    path = clinic.agree(clinic.begin())
    cookies = clinic.browser._cookies  # each thread needs a client of its own

    def come_back(_: int) -> int:
        browser = clinic.another_browser()
        browser._cookies = dict(cookies)
        return browser.get(path).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(come_back, range(8)))

    assert statuses == [303, *[400] * 7]
    assert len(clinic.ehr.forms()) == 1


@pytest.mark.attack(20)
def test_what_is_said_twice_is_not_followed(clinic: Clinic) -> None:
    for extra in ("code=b", "state=b", "iss=b&iss=c", "error=a&error=b"):
        query = clinic.agree(clinic.begin()).partition("?")[2]
        assert refused(clinic, f"{query}&{extra}") == "L3", extra
        query = clinic.agree(clinic.begin()).partition("?")[2]
        assert refused(clinic, f"{extra}&{query}") == "L3", extra


@pytest.mark.attack(20)
def test_a_launch_that_names_two_ehrs_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    for first, second in ((clinic.ehr, elsewhere), (elsewhere, clinic.ehr)):
        answer = clinic.browser.get(
            f"/smart/launch?iss={first.base}&iss={second.base}&launch=x"
        )
        assert (answer.status_code, code_of(answer)) == (400, "L3")
    assert clinic.ehr.heard == elsewhere.heard == []


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@5-7")
@pytest.mark.attack(21)
def test_nobody_says_where_to_go_after_signing_in(clinic: Clinic) -> None:
    there = "https://evil.example/"
    names = (
        "next",
        "redirect",
        "redirect_uri",
        "return_to",
        "url",
        "continue",
        "target",
    )
    extra = urlencode(dict.fromkeys(names, there))
    begun = clinic.browser.get(f"/smart/launch?iss={clinic.ehr.base}&launch=x&{extra}")
    answer = clinic.browser.get(f"{clinic.agree(begun)}&{extra}")

    assert begun.location.startswith(f"{clinic.ehr.root}/authorize?")
    assert re.fullmatch(r"/l/[0-9a-f-]{36}/", answer.location)
    page = clinic.browser.get(f"{answer.location}?{extra}")
    assert page.status_code == 200
    assert "evil.example" not in page.text


@pytest.mark.attack(22)
def test_code_and_state_are_left_behind(
    clinic: Clinic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = clinic.agree(clinic.begin())
    secrets = [part.partition("=")[2] for part in path.partition("?")[2].split("&")]
    answer = clinic.browser.get(path)
    page = clinic.browser.get(answer.location)

    assert answer.status_code == 303
    assert "?" not in answer.location
    for one in (answer, page):
        assert one.headers["Referrer-Policy"] == "no-referrer"
        assert one.headers["Cache-Control"] == "no-store"
        assert not [secret for secret in secrets if secret in one.text]
    told = caplog.text
    kept = repr(clinic.rows("SELECT * FROM launch")) + repr(
        clinic.rows("SELECT * FROM audit")
    )
    assert not [
        secret for secret in secrets if len(secret) > 9 and secret in told + kept
    ]
