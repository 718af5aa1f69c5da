"""Attacks on the launch and on the authorization request."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from flask import jsonify

from middleware.ports import RandomIds
from tests.conformance.charts import JAMES
from tests.conformance.clinic import Clinic, asked_of, code_of
from tests.conformance.hostile import CONFIGURATION, REDIRECT, HostileEhr


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
    lambda base: f"{base}//",
    lambda base: f"{base}?",
    lambda base: f"{base}#",
    lambda base: f"{base}\x00",
    lambda base: "",
)


NAMED = "https://good.example/fhir/R4"
STRANGE_NAMES = (
    "https://good@evil",
    "https://good.example@evil.example/fhir/R4",
    "https://good.example:x@evil.example/fhir/R4",
    "https://good.example.evil.com/fhir/R4",
    "https://evil.example/https://good.example/fhir/R4",
    "https://GOOD.example/fhir/R4",
    "https://good.example/FHIR/R4",
    "https://good.example:443/fhir/R4",
    "https://good.example:8443/fhir/R4",
    "http://good.example/fhir/R4",
    "https://good.example./fhir/R4",
    "https://good%2eexample/fhir/R4",
    "https://good.example/%2e/fhir/R4",
    "https://good.example/x/%2e%2e/fhir/R4",
    "https://g\u043e\u043ed.example/fhir/R4",
    "https://xn--gd-jkca.example/fhir/R4",
    "https://good\u3002example/fhir/R4",
    "https://good.example/fhir/R4//",
    "https://good.example\\fhir/R4",
    " https://good.example/fhir/R4",
    "https://good.example/fhir/R4\n",
    "https://localhost/fhir/R4",
    "https://169.254.169.254/fhir/R4",
    "file://good.example/fhir/R4",
)


@pytest.mark.attack(2)
@pytest.mark.parametrize("way", ["launch", "standalone"])
def test_only_the_very_letters_of_a_registered_base_will_do(
    clinic: Clinic, way: str
) -> None:
    clinic.connect(name="named", fhir_base=NAMED)
    changed = [change(clinic.ehr.base) for change in STRANGE_BASES]
    assert not {clinic.ehr.base, NAMED} & {*changed, *STRANGE_NAMES}
    for iss in (*changed, *STRANGE_NAMES):
        answer = clinic.browser.get(
            f"/smart/{way}", query_string={"iss": iss, "launch": "x"}
        )
        assert (answer.status_code, code_of(answer)) == (403, "L1"), iss
        assert not iss.strip() or iss not in answer.text
    assert clinic.browser.get(f"/smart/{way}?launch=x").status_code == 403
    assert clinic.ehr.heard == []
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
    answer = clinic.browser.get("/smart/launch", query_string={"iss": clinic.ehr.base})
    assert (answer.status_code, code_of(answer)) == (400, "L2")
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
    asked = [asked_of(clinic.begin()) for _ in range(20)]
    states = [one["state"] for one in asked]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", state) for state in states)
    # Neither is another of them: who sees the one knows nothing of the next.
    others = [one[name] for one in asked for name in ("nonce", "code_challenge")]
    assert len({*states, *others}) == 60
    assert isinstance(clinic.runtime.ids, RandomIds)

    drawn = {clinic.runtime.ids.secret() for _ in range(10_000)}
    assert len(drawn) == 10_000
    numbers = [
        int.from_bytes(base64.urlsafe_b64decode(f"{one}="), "big") for one in drawn
    ]
    ones = [sum(number >> bit & 1 for number in numbers) for bit in range(256)]
    assert sum(4_500 < count < 5_500 for count in ones) >= 122


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@13")
@pytest.mark.attack(11)
@pytest.mark.parametrize(
    "says",
    [
        {},
        {"code_challenge_methods_supported": None, "code_challenge_method": None},
        {"code_challenge_methods_supported": [], "code_challenge_method": ""},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": "plain", "code_challenge_method": "plain"},
        {"code_challenge_methods_supported": 7, "token_placement": "uri"},
        {"client_kwargs": {"code_challenge_method": None}, "scope": "user/*.*"},
    ],
)
def test_the_code_is_always_bound_to_a_verifier(
    clinic: Clinic, says: dict[str, object]
) -> None:
    document = clinic.ehr.describe()
    del document["code_challenge_methods_supported"]
    clinic.ehr.habits.instead[CONFIGURATION] = lambda: jsonify({**document, **says})
    first, second = (asked_of(begun := clinic.begin()) for _ in range(2))
    assert clinic.browser.get(clinic.agree(begun)).status_code == 303
    (form,) = clinic.ehr.forms()

    for asked in (first, second):
        assert asked["code_challenge_method"] == "S256"
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
        assert "code_verifier" not in asked
        assert "user/*.*" not in asked["scope"]
    assert first["code_challenge"] != second["code_challenge"]
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", form["code_verifier"])
    assert not [one for one in clinic.ehr.heard if "access_token" in one.query]


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


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@211")
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
