"""Attacks on an open page: its address, its cookie, its forms and its end."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.conformance.clinic import (
    FORM,
    FRAME,
    PUBLIC,
    Clinic,
    code_of,
    near_the_end,
    renewing,
)
from tests.conformance.hostile import HostileEhr

PAUSE = {"until": "week", "why": "asked", "version": "0"}


def of_james(clinic: Clinic) -> str:
    """Open the other patient's chart; return the path of its page."""
    clinic.ehr.habits.context = {"patient": "james"}
    try:
        return clinic.open()
    finally:
        clinic.ehr.habits.context = {"patient": "rosa"}


def preferences(clinic: Clinic) -> int:
    """Return how many preferences are stored."""
    return len(clinic.rows("SELECT id FROM preference"))


@pytest.mark.attack(58)
def test_no_address_shows_another_patient(clinic: Clinic) -> None:
    rosa, james = clinic.open(), of_james(clinic)
    clinic.ehr.heard.clear()
    for extra in ("patient=james", "patient=Patient/james", "patient=", "patient=rosa"):
        for method, path in clinic.routes(rosa):
            answer = clinic.browser.open(f"{path}?{extra}", method=method, headers=FORM)
            assert (answer.status_code, code_of(answer)) == (403, "S5"), path
            assert "Okafor" not in answer.text
            assert "Delgado" not in answer.text
    assert clinic.ehr.heard == []
    for extra in (f"lid={james}", "saved=x", "Patient=james", "id=james"):
        page = clinic.browser.get(f"{rosa}?{extra}")
        assert page.status_code == 200
        assert "Delgado" in page.text
        assert "Okafor" not in page.text
    people = {
        value for one in clinic.ehr.heard for value in one.query.get("patient", [])
    }
    assert people == {"Patient/rosa"}
    assert not [one for one in clinic.ehr.heard if "james" in one.path]


@pytest.mark.attack(58)
def test_no_cookie_opens_another_launch(clinic: Clinic) -> None:
    rosa, james = clinic.open(), of_james(clinic)
    mine, theirs = rosa.split("/")[2], james.split("/")[2]
    thief = clinic.another_browser()
    (secret,) = [
        cookie.value
        for cookie in clinic.browser._cookies.values()
        if cookie.decoded_key == f"__Host-s_{mine}"
    ]
    for name, value in (
        (f"__Host-s_{mine}", secret),
        (f"__Host-s_{theirs}", secret),
        (f"__Host-s_{theirs}", ""),
        (f"s_{theirs}", secret),
        ("session", secret),
    ):
        thief.set_cookie(name, value, domain="localhost", secure=True)
    clinic.ehr.heard.clear()
    tried = list(clinic.routes(james))
    assert len(tried) > 20
    for method, path in tried:
        answer = thief.open(path, method=method, headers=FORM)
        assert answer.status_code in {403, 404}, (method, path)
        assert "Okafor" not in answer.text
    for odd in ("..", "%2e%2e", "x" * 4000, "'", "a/b", "\x00", mine.upper()):
        assert thief.get(f"/l/{odd}/").status_code in {403, 404}, odd
        assert thief.get(f"{james}messages/{odd}").status_code in {403, 404}, odd
    assert clinic.ehr.heard == []
    assert thief.get(f"{rosa}messages/\x00").status_code == 404
    # The cookie that it does hold opens its own page still.
    assert thief.get(rosa).status_code == 200


@pytest.mark.attack(58)
def test_a_form_about_another_patient_is_refused(clinic: Clinic) -> None:
    rosa, james = clinic.open(), of_james(clinic)
    whole = clinic.form(f"{rosa}pause", **PAUSE)
    clinic.ehr.heard.clear()
    bent: tuple[tuple[str, dict[str, Any]], ...] = (
        (rosa, {"patient": "Patient/james"}),
        (rosa, {"patient": ""}),
        (rosa, {"patient": ["Patient/james", "Patient/rosa"]}),
        (rosa, {"csrf": ""}),
        (rosa, {"csrf": "x" * 64}),
        (rosa, {"csrf": "é"}),
        (james, {}),
        (james, {"patient": "Patient/james"}),
    )
    for path, change in bent:
        answer = clinic.browser.post(
            f"{path}pause", data={**whole, **change}, headers=FORM
        )
        assert answer.status_code == 403, change
        assert code_of(answer) in {"F1", "F2"}
    assert preferences(clinic) == 0
    assert clinic.ehr.heard == []


@pytest.mark.attack(64)
def test_a_form_of_another_site_is_refused(clinic: Clinic) -> None:
    rosa = clinic.open()
    whole = clinic.form(f"{rosa}pause", **PAUSE)
    foreign: tuple[dict[str, str], ...] = (
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": FRAME},
        {"Origin": f"{PUBLIC}.evil.example"},
        {"Origin": PUBLIC.replace("https:", "http:")},
        {"Origin": PUBLIC, "Sec-Fetch-Site": "cross-site"},
        {"Origin": PUBLIC, "Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Referer": f"{PUBLIC}{rosa}"},
    )
    posts = [path for method, path in clinic.routes(rosa) if method == "POST"]
    assert len(posts) > 10
    for headers in foreign:
        for path in posts:
            answer = clinic.browser.post(path, data=whole, headers=headers)
            # There is nothing to choose any more where a patient is chosen.
            wanted = (409, "P1") if path.endswith("/patient") else (403, "F1")
            assert (answer.status_code, code_of(answer)) == wanted, (headers, path)
    assert preferences(clinic) == 0
    assert clinic.browser.get(rosa).status_code == 200

    assert clinic.browser.post(
        f"{rosa}pause", data=whole, headers=FORM
    ).status_code in {303, 422}


@pytest.mark.attack(64)
def test_a_form_without_the_cookie_is_refused(clinic: Clinic) -> None:
    rosa = clinic.open()
    whole = clinic.form(f"{rosa}pause", **PAUSE)
    answer = clinic.another_browser().post(f"{rosa}pause", data=whole, headers=FORM)

    assert (answer.status_code, code_of(answer)) == (403, "S1")
    for method in ("put", "patch", "delete"):
        assert getattr(clinic.browser, method)(f"{rosa}pause").status_code in {404, 405}
    assert preferences(clinic) == 0


@pytest.mark.attack(65)
def test_a_page_that_nobody_uses_is_locked(clinic: Clinic) -> None:
    clinic.ehr.habits.life = 28_000
    rosa = clinic.open()
    clinic.clock.instant += timedelta(minutes=29)
    # To ask how long it stays is no use; to look is.
    clinic.browser.get(f"{rosa}session")
    clinic.clock.instant += timedelta(minutes=1)
    answer = clinic.browser.get(rosa)

    assert (answer.status_code, code_of(answer)) == (401, "S2")
    assert "Delgado" not in answer.text
    clinic.clock.instant -= timedelta(minutes=10)
    assert clinic.browser.get(rosa).status_code == 401
    (row,) = clinic.rows("SELECT sealed FROM launch")
    assert bytes(row["sealed"]) == b""


@pytest.mark.attack(65)
def test_a_page_that_is_always_used_ends_all_the_same(clinic: Clinic) -> None:
    clinic.ehr.habits.life = 80_000
    rosa = clinic.open()
    looks = 0
    while clinic.browser.get(f"{rosa}session?keep=1").status_code == 200:
        clinic.clock.instant += timedelta(minutes=20)
        looks += 1
    assert looks <= 24


@pytest.mark.attack(65)
def test_closing_ends_the_access_here_and_at_the_ehr(clinic: Clinic) -> None:
    rosa = renewing(clinic)
    whole = clinic.form(f"{rosa}pause")
    answer = clinic.browser.post(f"{rosa}close", data=whole, headers=FORM)
    assert answer.status_code == 200
    (token,) = clinic.ehr.revoked

    assert token.startswith("rt-")
    assert clinic.ehr.refresh_tokens == {}
    assert clinic.browser.get(rosa).status_code in {401, 403}
    assert f"__Host-s_{rosa.split('/')[2]}=;" in answer.headers["Set-Cookie"]
    near_the_end(clinic)
    assert clinic.browser.get(rosa).status_code in {401, 403}
    assert clinic.ehr.forms("refresh_token") == []


@pytest.mark.attack(67)
def test_a_user_is_an_issuer_and_a_subject_and_no_name(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    also = f"{clinic.ehr.root}/second"
    clinic.connect(issuers=(also,))
    clinic.connect(elsewhere, "southside")
    rosa = clinic.open()
    typed = {"text": "Call my sister first", "language": "en", "who": "patient"}
    form = clinic.form(f"{rosa}preferences/words", version="", **typed)
    clinic.clock.instant += timedelta(minutes=31)
    late = clinic.browser.post(f"{rosa}preferences/words", data=form, headers=FORM)
    assert late.status_code == 401

    mail = {"email": "osei@example.org", "fhirUser": "Practitioner/osei"}
    strangers: tuple[dict[str, Any], ...] = (
        {"sub": "user-2", **mail},
        {"iss": also, **mail},
        {"iss": also, "sub": "osei@example.org"},
        {"sub": "Practitioner/osei"},
    )
    for claims in strangers:
        clinic.ehr.habits.claims = claims
        assert clinic.browser.get(f"{clinic.open()}draft").status_code == 404, claims
    elsewhere.habits.claims = mail
    south = clinic.open(ehr=elsewhere)
    assert clinic.browser.get(f"{south}draft").status_code == 404
    clinic.ehr.habits.claims = {
        "email": "another@example.org",
        "fhirUser": f"{clinic.ehr.base}/Practitioner/osei",
    }
    mine = clinic.browser.get(f"{clinic.open()}draft")
    assert "Call my sister first" in mine.text


@pytest.mark.attack(61)
def test_a_page_may_be_framed_by_its_own_ehr_alone(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    there = "https://ehr.south.example"
    clinic.connect(elsewhere, "southside", frame_origins=(there,))
    for ehr, own in ((clinic.ehr, FRAME), (elsewhere, there)):
        other = elsewhere if ehr is clinic.ehr else clinic.ehr
        opened = clinic.open(ehr=ehr)
        headers = {"Referer": f"{other.root}/", "Origin": other.root}
        for method, path in clinic.routes(opened):
            if method == "GET" and not path.endswith((".css", "/patient", "/draft")):
                asked = f"{path}?iss={other.base}"
                answer = clinic.browser.get(asked, headers=headers)
                policy = answer.headers["Content-Security-Policy"]
                parents = policy.partition("frame-ancestors ")[2].split()
                # What is not there is no launch's: any EHR of ours may frame that.
                assert parents == [own] or answer.status_code == 404, path
                assert "X-Frame-Options" not in answer.headers


@pytest.mark.attack(67)
@pytest.mark.attack(68)
def test_two_ehrs_with_the_same_names_share_nothing(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    # The same user, subject, patient and token words, at two issuers.
    clinic.connect(elsewhere, "southside")
    north = clinic.open()
    south = clinic.open(ehr=elsewhere)
    form = clinic.form(f"{north}pause", **PAUSE)
    shown = clinic.browser.get(f"{north}pause").text
    version = re.findall(r'name="version" value="([^"]*)"', shown)[0]
    untils = re.findall(r'name="until"[^>]*value="([^"]*)"', shown)
    why = re.findall(r'name="why"[^>]*value="([^"]*)"', shown)[0]
    form |= {"until": untils[0], "why": why, "version": version}
    saved: TestResponse = clinic.browser.post(f"{north}pause", data=form, headers=FORM)
    assert saved.status_code == 303, saved.text

    rows = clinic.rows("SELECT endpoint_id FROM preference")
    assert {row["endpoint_id"] for row in rows} == {"northside"}
    assert "resume" in clinic.browser.get(north).text
    assert "resume" not in clinic.browser.get(south).text
    assert clinic.rows("SELECT count(DISTINCT context->>'iss') AS n FROM launch") == [
        {"n": 2}
    ]


@pytest.mark.attack(68)
def test_a_token_of_one_ehr_never_goes_to_another(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    clinic.connect(elsewhere, "southside")
    clinic.ehr.habits.mark, elsewhere.habits.mark = "north-", "south-"
    north, south = clinic.open(), clinic.open(ehr=elsewhere)
    clinic.browser.get(north)
    clinic.browser.get(south)
    for ehr, other in ((clinic.ehr, elsewhere), (elsewhere, clinic.ehr)):
        brought = "".join(str(one.headers) + str(one.form) for one in ehr.heard)
        assert f"at-{ehr.habits.mark}" in brought
        assert f"at-{other.habits.mark}" not in brought
