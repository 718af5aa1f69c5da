"""Attacks on the renewal of access tokens."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.clinic import Clinic, code_of, near_the_end, renewing
from tests.conformance.heard import laid_over


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@105-117")
@pytest.mark.attack(27)
@pytest.mark.parametrize(
    ("refreshed", "claims"),
    [
        ({"patient": "james"}, {}),
        ({"scope": "launch patient/*.cruds system/*.*"}, {}),
        ({}, {"sub": "user-2"}),
        ({}, {"iss": "https://evil.example"}),
        ({}, {"fhirUser": "Practitioner/other"}),
        ({}, {"fhirUser": "Patient/rosa"}),
        ({}, {"aud": "another-client"}),
        ({}, {"aud": None}),
    ],
)
def test_a_token_that_comes_back_for_another_ends_the_launch(
    clinic: Clinic, refreshed: dict[str, Any], claims: dict[str, Any]
) -> None:
    opened = renewing(clinic)
    if claims:
        now = int(clinic.clock.now().timestamp())
        usual = {
            "iss": clinic.ehr.issuer,
            "sub": "user-1",
            "aud": "carecue-app",
            "iat": now + 570,
            "exp": now + 900,
        }
        refreshed = {"id_token": clinic.ehr.sign(laid_over(usual, claims))}
    clinic.ehr.habits.refreshed = refreshed
    near_the_end(clinic)

    for _ in range(3):
        answer = clinic.browser.get(opened)
        assert answer.status_code == 401
        assert code_of(answer) in {"R2", "R3", "R4", "T5", "U2"}
        assert "Okafor" not in answer.text
        assert "Delgado" not in answer.text
    assert len(clinic.ehr.forms("refresh_token")) == 1
    (row,) = clinic.rows("SELECT stage, error, sealed FROM launch")
    assert (row["stage"], bytes(row["sealed"])) == ("failed", b"")
    assert row["error"] == code_of(answer)


@pytest.mark.attack(28)
def test_twenty_at_once_renew_once(clinic: Clinic) -> None:
    opened = renewing(clinic)
    near_the_end(clinic)
    clinic.clock.instant += timedelta(minutes=1)
    cookies, barrier = clinic.browser._cookies, threading.Barrier(20)
    apps = [clinic.app, clinic.app_again().app]

    def look(number: int) -> int:
        browser = apps[number % 2].test_client()
        browser._cookies = dict(cookies)
        barrier.wait()
        return browser.get(opened).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(look, range(20)))

    assert statuses == [200] * 20
    assert len(clinic.ehr.forms("refresh_token")) == 1


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@105-117")
@pytest.mark.attack(29)
def test_a_new_refresh_token_takes_the_place_of_the_old(clinic: Clinic) -> None:
    opened = renewing(clinic)
    for _ in range(4):
        near_the_end(clinic)
        answer = clinic.browser.get(opened)
        assert (answer.status_code, "Delgado" in answer.text) == (200, True)
    used = [form["refresh_token"] for form in clinic.ehr.forms("refresh_token")]

    assert len(used) == len(set(used)) == 4


@pytest.mark.attack(29)
def test_a_refresh_token_stays_where_no_other_comes(clinic: Clinic) -> None:
    clinic.ehr.habits.rotates = False
    opened = renewing(clinic)
    for _ in range(4):
        near_the_end(clinic)
        answer = clinic.browser.get(opened)
        assert (answer.status_code, "Delgado" in answer.text) == (200, True)
    used = [form["refresh_token"] for form in clinic.ehr.forms("refresh_token")]

    assert len(used) == 4
    assert len(set(used)) == 1


@pytest.mark.attack(30)
@pytest.mark.parametrize("word", ["invalid_grant", "invalid_client"])
def test_a_refused_renewal_asks_to_launch_again(clinic: Clinic, word: str) -> None:
    opened = renewing(clinic)
    near_the_end(clinic)
    clinic.clock.instant += timedelta(minutes=1)
    clinic.ehr.habits.instead["/token"] = lambda: ({"error": word}, 400)
    for _ in range(5):
        answer = clinic.browser.get(opened)
        assert (answer.status_code, code_of(answer)) == (401, "R1")
        assert "Open this app again from the chart" in answer.text
        assert "Location" not in answer.headers
        assert 'http-equiv="refresh"' not in answer.text

    assert (
        len(clinic.ehr.lines())
        - len([line for line in clinic.ehr.lines() if line != "POST /token"])
        == 2
    )
