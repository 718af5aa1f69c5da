"""Attacks on the launch and on the authorization request."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from flask import Response

from middleware.ports import RandomIds
from tests.conformance.charts import JAMES
from tests.conformance.clinic import Clinic, asked_of, code_of
from tests.conformance.hostile import REDIRECT, HostileEhr, View
from tests.pace import Pace

CONFIGURATION = "/fhir/.well-known/smart-configuration"


@pytest.mark.attack(1)
def test_an_ehr_that_nobody_registered_is_not_spoken_to(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    answer = clinic.begin(elsewhere)

    assert (answer.status_code, code_of(answer)) == (403, "L1")
    assert elsewhere.heard == clinic.ehr.heard == []
    assert clinic.rows("SELECT id FROM launch") == []


STRANGE_BASES: tuple[Callable[[str], str], ...] = (
    lambda base: "http://169.254.169.254/latest/meta-data",
    lambda base: "file:///etc/passwd",
    lambda base: "gopher://127.0.0.1:6379/_INFO",
    lambda base: base.replace("127.0.0.1", "localhost"),
    lambda base: base.replace("127.0.0.1", "0x7f000001"),
    lambda base: base.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
    lambda base: base.replace("127.0.0.1", "１２７.0.0.1"),
    lambda base: base.replace("127.0.0.1", "127.0.0.1."),
    lambda base: base.replace("127.0.0.1", "127.0.0.1.evil.example.com"),
    lambda base: base.replace("http://", "http://evil.example.com@"),
    lambda base: base.replace("http://127.0.0.1", "http://127.0.0.1@evil.example"),
    lambda base: base.replace("http:", "HTTP:"),
    lambda base: base.replace("http:", "https:"),
    lambda base: base.replace("/fhir", "/FHIR"),
    lambda base: base.replace("fhir", "%66hir"),
    lambda base: base.replace("/fhir", "/./fhir"),
    lambda base: base.replace("/fhir", "/x/../fhir"),
    lambda base: base.replace("/fhir", "//fhir"),
    lambda base: re.sub(r":(\d+)/", r":0\1/", base),
    lambda base: f"{base}/",
    lambda base: f"{base}?",
    lambda base: f"{base}#",
    lambda base: f"{base}\x00",
    lambda base: "",
)


@pytest.mark.attack(2)
def test_only_the_very_letters_of_a_registered_base_will_do(clinic: Clinic) -> None:
    for change in STRANGE_BASES:
        iss = change(clinic.ehr.base)
        assert iss != clinic.ehr.base
        answer = clinic.browser.get(
            "/smart/launch", query_string={"iss": iss, "launch": "x"}
        )
        assert (answer.status_code, code_of(answer)) == (403, "L1"), iss
    assert clinic.ehr.heard == []


@pytest.mark.attack(3)
def test_a_configuration_that_is_elsewhere_is_not_followed(
    clinic: Clinic, elsewhere: HostileEhr
) -> None:
    there = {"Location": f"{elsewhere.root}{CONFIGURATION}"}
    for status in (301, 302, 303, 307, 308):
        clinic.ehr.habits.instead[CONFIGURATION] = partial(Response, "", status, there)
        answer = clinic.begin()
        assert (answer.status_code, code_of(answer)) == (502, "D1"), status
        assert "Set-Cookie" not in answer.headers
    assert elsewhere.heard == []


FOREIGN_PLACES: tuple[Callable[[HostileEhr, HostileEhr], str], ...] = (
    lambda ehr, other: f"{other.root}/token",
    lambda ehr, other: other.root.replace("http:", "") + "/token",
    lambda ehr, other: f"{ehr.root}@localhost/token",
    lambda ehr, other: f"{ehr.root}.evil.example.com/token",
    lambda ehr, other: f"{ehr.root}\\@localhost/token",
    lambda ehr, other: "http://192.0.2.7/token",
    lambda ehr, other: "javascript:alert(1)",
)


@pytest.mark.attack(4)
@pytest.mark.parametrize(
    "member", ["authorization_endpoint", "token_endpoint", "jwks_uri"]
)
def test_a_document_that_points_to_another_host_is_refused(
    clinic: Clinic, elsewhere: HostileEhr, member: str
) -> None:
    for place in FOREIGN_PLACES:
        url = place(clinic.ehr, elsewhere)
        clinic.ehr.habits.document = {member: url}
        answer = clinic.begin()
        assert answer.status_code == 502, url
        assert code_of(answer) in {"D1", "D3"}
    assert elsewhere.heard == []
    assert clinic.rows("SELECT id FROM launch") == []


def html() -> Response:
    return Response("<!doctype html><title>Sign in</title>", content_type="text/html")


def twice() -> str:
    return '{"token_endpoint": "http://a/t", "token_endpoint": "http://b/t"}'


def huge() -> Response:
    def parts() -> Iterator[bytes]:
        yield b'{"issuer": "'
        for _ in range(50):
            yield b"x" * 1_000_000
        yield b'"}'

    return Response(parts(), content_type="application/json")


def deep() -> Response:
    return Response("[" * 200_000 + "]" * 200_000, content_type="application/json")


def drip() -> Response:
    pause = threading.Event()

    def parts() -> Iterator[bytes]:
        yield b'{"issuer": "'
        for _ in range(120):
            pause.wait(0.5)
            yield b"x"

    return Response(parts(), content_type="application/json")


BAD_ANSWERS: tuple[View, ...] = (
    html,
    twice,
    huge,
    deep,
    drip,
    lambda: "[]",
    lambda: ("{}", 500),
    lambda: "null",
    lambda: {"issuer": 7, "token_endpoint": ["x"], "authorization_endpoint": {}},
)


@pytest.mark.attack(5)
def test_a_configuration_that_is_none_is_an_error_within_bounds(
    clinic: Clinic,
) -> None:
    for view in BAD_ANSWERS:
        clinic.ehr.habits.instead[CONFIGURATION] = view
        with Pace() as granted:
            answer = clinic.begin()
        assert answer.status_code == 502, view
        assert code_of(answer) in {"D1", "D2"}
        assert granted.seconds < 20
    assert clinic.rows("SELECT id FROM launch") == []


@pytest.mark.attack(6)
def test_a_launch_that_is_none_is_refused_and_not_repeated(clinic: Clinic) -> None:
    script = "<script>alert(1)</script>\x00"
    for launch in ("", "x" * 8192, "a\r\nSet-Cookie: a=b", script, "é" * 9):
        answer = clinic.begin(launch=launch)
        assert (answer.status_code, code_of(answer)) == (400, "L2"), launch
        assert "alert(1)" not in answer.text
        assert "xxxxxxxx" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert clinic.ehr.heard == []


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@35-36")
@pytest.mark.attack(6)
def test_a_launch_of_odd_letters_goes_to_the_ehr_alone(clinic: Clinic) -> None:
    odd = "<script>\"&=+%2e/?#'"
    answer = clinic.begin(launch=odd)

    assert asked_of(answer)["launch"] == odd
    assert odd not in answer.location
    assert odd not in answer.text


@pytest.mark.attack(7)
def test_the_same_launch_twice_is_two_launches(clinic: Clinic) -> None:
    first, second = clinic.begin(launch="one"), clinic.begin(launch="one")
    paths = [
        str(clinic.browser.get(clinic.agree(answer)).location)
        for answer in (first, second)
    ]

    assert asked_of(first)["state"] != asked_of(second)["state"]
    assert asked_of(first)["nonce"] != asked_of(second)["nonce"]
    assert len(set(paths)) == 2
    rows = clinic.rows("SELECT id, cookie_hash, sealed FROM launch")
    assert len({row["cookie_hash"] for row in rows}) == 2
    assert len({bytes(row["sealed"]) for row in rows}) == 2
    tokens = [one.headers["Authorization"] for one in clinic.ehr.used() if not one.form]
    assert len(set(tokens)) == 2


@pytest.mark.attack(8)
def test_a_launch_that_another_site_began_shows_its_own_patient(
    clinic: Clinic,
) -> None:
    before = clinic.open()
    clinic.ehr.habits.context = {"patient": "james"}
    forced = clinic.open(launch="of-the-attacker")

    assert JAMES["name"][0]["family"] in clinic.browser.get(forced).text
    assert "Delgado" not in clinic.browser.get(forced).text
    assert "Delgado" in clinic.browser.get(before).text
    assert JAMES["name"][0]["family"] not in clinic.browser.get(before).text
    assert before != forced


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@41")
@pytest.mark.attack(9)
@pytest.mark.parametrize("path", ["/fhir/r4/ec2458f2", "/fhir/%7Ea;b=c/R4"])
def test_aud_is_the_base_byte_for_byte(clinic: Clinic, path: str) -> None:
    base = clinic.ehr.root + path
    clinic.connect(fhir_base=base)
    well_known = f"{path}/.well-known/smart-configuration".replace("%7E", "~")
    clinic.ehr.habits.instead[well_known] = clinic.ehr.describe
    asked = {"iss": base, "launch": "x"}
    answer = clinic.browser.get("/smart/launch", query_string=asked)

    assert asked_of(answer)["aud"] == base


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@2-4")
@pytest.mark.attack(10)
def test_state_cannot_be_guessed(clinic: Clinic) -> None:
    states = [asked_of(clinic.begin())["state"] for _ in range(3)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", state) for state in states)
    assert isinstance(clinic.runtime.ids, RandomIds)

    drawn = {clinic.runtime.ids.secret() for _ in range(10_000)}
    assert len(drawn) == 10_000
    numbers = [
        int.from_bytes(base64.urlsafe_b64decode(f"{one}="), "big") for one in drawn
    ]
    ones = [sum(number >> bit & 1 for number in numbers) for bit in range(256)]
    assert sum(4_500 < count < 5_500 for count in ones) >= 122


@pytest.mark.attack(11)
@pytest.mark.parametrize("says", [None, ["plain"], "plain", 7])
def test_the_code_is_always_bound_to_a_verifier(clinic: Clinic, says: object) -> None:
    clinic.ehr.habits.document = {"code_challenge_methods_supported": says}
    asked = asked_of(begun := clinic.begin())
    assert clinic.browser.get(clinic.agree(begun)).status_code == 303
    (form,) = clinic.ehr.forms()

    assert asked["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", form["code_verifier"])
    assert "code_verifier" not in asked


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@35-36")
@pytest.mark.attack(12)
def test_without_an_ehr_launch_no_launch_is_sent(clinic: Clinic) -> None:
    answer = clinic.browser.get(
        "/smart/standalone", query_string={"iss": clinic.ehr.base, "launch": "forced"}
    )
    asked = asked_of(answer)

    assert "launch" not in asked
    assert "launch/patient" in asked["scope"].split()
    assert "launch" not in asked["scope"].split()


@pytest.mark.attack(13)
def test_nothing_of_the_request_but_iss_and_launch_is_passed_on(
    clinic: Clinic,
) -> None:
    for extra in ("prompt=none", "max_age=0", "scope=user/*.*", "auth_time=1"):
        begun = clinic.browser.get(
            f"/smart/launch?iss={clinic.ehr.base}&launch=x&{extra}&redirect_uri=//evil"
        )
        asked = asked_of(begun)
        assert not {"prompt", "max_age", "auth_time"} & set(asked)
        assert "user/*.*" not in asked["scope"].split()
        assert asked["redirect_uri"] == REDIRECT
