"""Our app and backend client, as each kind of client of Inferno's suite."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest
from joserfc import jwt

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind
from middleware.wiring.pipeline import fhir_factory
from tests.conformance.clinic import PUBLIC as OUR_URL
from tests.conformance.clinic import SITE, Clinic, near_the_end
from tests.conformance.heard import Heard, laid_over
from tests.conformance.hostile import CLIENT, REDIRECT, HostileEhr
from tests.conformance.inferno_app import (
    ASYMMETRIC,
    BACKEND,
    PUBLIC,
    SYMMETRIC,
    Registered,
    find_failures,
)
from tests.conformance.vendors import VENDORS, behave

SMART = "hl7.fhir.uv.smart-app-launch_2.2.0"
INFERNO = next(one for one in VENDORS if one.name == "Inferno client suite")
LAUNCH = "5f3c" * 16
SECRET = "a secret: with/odd+letters%"
METHODS = {
    PUBLIC: "none",
    SYMMETRIC: "client_secret_basic",
    ASYMMETRIC: "private_key_jwt",
}


def issued(ehr: HostileEhr) -> frozenset[str]:
    """Return the codes and tokens that the server gave out."""
    codes = {one.form["code"] for one in ehr.heard if "code" in one.form}
    spent = {one.form.get("refresh_token", "") for one in ehr.heard}
    return frozenset({*codes, *ehr.tokens, *ehr.refresh_tokens, *spent})


def register(
    clinic: Clinic, ehr: HostileEhr, kind: str, launch: str | None
) -> Registered:
    """Return the registration as the suite's user types it in."""
    return Registered(
        kind=kind,
        client_id=CLIENT,
        base=ehr.base,
        token_url=f"{ehr.root}/token",
        issued=issued(ehr),
        launch=launch,
        launch_uris=(f"{OUR_URL}/smart/launch",),
        redirect_uris=(REDIRECT,),
        jwks=clinic.browser.get("/.well-known/jwks.json").get_json(),
        secret=SECRET,
    )


def play(
    clinic: Clinic,
    ehr: HostileEhr,
    kind: str,
    launch: str | None,
    algorithm: str = "ES384",
) -> Registered:
    """Let the app go through the suite's interaction; return what was registered."""
    way = behave(ehr, ehr.root, INFERNO)
    sealed = clinic.runtime.sealer.seal(SECRET.encode()).hex()
    way["profile"] = {**way["profile"], "app_secret": sealed}
    if kind != ASYMMETRIC:
        ehr.habits.check_client = lambda form, headers: None
    ehr.habits.refreshes, ehr.habits.life = True, 600
    clinic.connect(**way, authentication=METHODS[kind], algorithm=algorithm)
    opened = clinic.open(launch=launch)
    assert clinic.browser.get(opened).status_code == 200
    near_the_end(clinic)
    assert clinic.browser.get(opened).status_code == 200
    return register(clinic, ehr, kind, launch)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@20-21")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@32-45")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@62-72")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@93-264")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@290-315")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@345")
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [*((kind, "ES384") for kind in METHODS), (ASYMMETRIC, "RS384")],
)
@pytest.mark.parametrize("launch", [LAUNCH, None])
def test_app_passes_every_check(
    clinic: Clinic, ehr: HostileEhr, kind: str, algorithm: str, launch: str | None
) -> None:
    registered = play(clinic, ehr, kind, launch, algorithm)

    assert find_failures(registered, ehr.heard) == []
    grants = [one.form["grant_type"] for one in ehr.heard if one.path == "/token"]
    assert grants == ["authorization_code", "refresh_token"]
    # What the suite does not look at: who is known otherwise is not named in the form.
    for one in ehr.heard:
        if one.path == "/token":
            assert one.method == "POST"
            kind_of_body = one.headers["Content-Type"].partition(";")[0]
            assert kind_of_body == "application/x-www-form-urlencoded"
            assert ("client_id" in one.form) is (kind == PUBLIC)
            assert ("Authorization" in one.headers) is (kind == SYMMETRIC)
            assert "client_secret" not in one.form
            assert one.query == {}


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@233-239")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@319-332")
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_backend_client_passes_every_check(
    clinic: Clinic, ehr: HostileEhr, algorithm: str
) -> None:
    behave(ehr, ehr.root, INFERNO)
    ehr.keys = clinic.keys.public_jwks()
    endpoint = Endpoint(
        id="inferno",
        name="Inferno",
        kind=EndpointKind.TEST,
        fhir_base=ehr.base,
        backend=BackendClient(CLIENT, f"{ehr.root}/token", "system/*.rs", algorithm),
        app=AppClient(),
        site=SITE,
    )
    api = fhir_factory(clinic.runtime)(endpoint)
    for _ in range(2):
        assert api.fetch("Patient/rosa")["id"] == "rosa"
        near_the_end(clinic, 3700)

    assert find_failures(register(clinic, ehr, BACKEND, None), ehr.heard) == []
    grants = {one.form["grant_type"] for one in ehr.heard if one.path == "/token"}
    assert grants == {"client_credentials"}
    registered = register(clinic, ehr, BACKEND, None)
    for name, value, told in (
        ("scope", None, "token: no scope"),
        ("grant_type", "refresh_token", "token: grant_type"),
        ("client_assertion", None, "assertion: signature"),
    ):
        failures = find_failures(
            registered, bent(ehr.heard, "/token", "form", name, value)
        )
        assert any(told in one for one in failures), (name, failures)


def bent(
    heard: list[Heard], path: str, part: str, name: str, value: Any
) -> list[Heard]:
    """Return what was heard with one member of a request changed."""
    changed = []
    for one in heard:
        if one.path == path:
            members = {**getattr(one, part), name: value}
            members = {key: each for key, each in members.items() if each is not None}
            changed.append(replace(one, **{part: members}))
        else:
            changed.append(one)
    return changed


def signed(clinic: Clinic, ehr: HostileEhr, header: Any = None, **claims: Any) -> str:
    """Return an assertion of our own key as no client of ours would write it."""
    key = clinic.keys.signing_key("ES384")
    usual = {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": f"{ehr.root}/token",
        "exp": int(clinic.clock.now().timestamp()) + 200,
        "jti": "once",
    }
    named = {"alg": "ES384", "kid": key.kid, "typ": "JWT", **(header or {})}
    return jwt.encode(
        laid_over(named, {}), laid_over(usual, claims), key, algorithms=["ES384"]
    )


def test_each_rule_of_an_assertion_is_looked_at(
    clinic: Clinic, ehr: HostileEhr
) -> None:
    client = play(clinic, ehr, ASYMMETRIC, LAUNCH)
    exchange = [one for one in ehr.heard if one.path != "/token" or "code" in one.form]

    def found(raw: str) -> list[str]:
        return find_failures(
            client, bent(exchange, "/token", "form", "client_assertion", raw)
        )

    assert found(signed(clinic, ehr)) == []
    stranger = signed(clinic, ehr, {"kid": "of-nobody"})
    for raw, told in (
        (signed(clinic, ehr, {"typ": "at+jwt"}), "typ or kid"),
        (stranger, "signature"),
        (signed(clinic, ehr, iss="x"), "assertion: iss"),
        (signed(clinic, ehr, sub="x"), "assertion: sub"),
        (signed(clinic, ehr, aud=ehr.base), "assertion: aud"),
        (signed(clinic, ehr, aud=[f"{ehr.root}/token"]), "assertion: aud"),
        (signed(clinic, ehr, exp=None), "no exp"),
        (signed(clinic, ehr, jti=None), "no jti"),
        (signed(clinic, ehr, jti=""), "no jti"),
    ):
        assert any(told in one for one in found(raw)), (told, found(raw))


@pytest.mark.parametrize("kind", [PUBLIC, SYMMETRIC])
def test_each_check_of_a_client_without_a_key_finds_what_it_is_for(
    clinic: Clinic, ehr: HostileEhr, kind: str
) -> None:
    client = play(clinic, ehr, kind, LAUNCH)
    coded = quote_plus(CLIENT) + ":" + quote_plus(SECRET)
    basic = f"Basic {base64.b64encode(coded.encode()).decode()}"
    planted = {
        PUBLIC: ("form", "client_id", None, "token: client_id"),
        SYMMETRIC: ("headers", "Authorization", basic, "Basic header"),
    }
    part, name, value, told = planted[kind]
    again = (
        (part, name, value, told),
        ("form", "refresh_token", "x", "refresh_token"),
        ("form", "redirect_uri", f"{REDIRECT}/", "redirect_uri"),
    )
    for part, name, value, told in again:
        failures = find_failures(client, bent(ehr.heard, "/token", part, name, value))
        assert any(told in one for one in failures), (name, failures)


def test_each_check_finds_what_it_is_for(clinic: Clinic, ehr: HostileEhr) -> None:
    client = play(clinic, ehr, ASYMMETRIC, LAUNCH)
    again = ehr.forms()[0]["client_assertion"]
    planted: tuple[tuple[str, str, str, Any, str], ...] = (
        ("/authorize", "query", "response_type", ["token"], "response_type"),
        ("/authorize", "query", "client_id", ["x"], "client_id"),
        ("/authorize", "query", "redirect_uri", [f"{REDIRECT}/"], "redirect_uri"),
        ("/authorize", "query", "launch", ["x"], "launch"),
        ("/authorize", "query", "state", [""], "state"),
        ("/authorize", "query", "aud", [f"{ehr.base}/"], "aud"),
        ("/authorize", "query", "code_challenge", [""], "code_challenge"),
        ("/authorize", "query", "code_challenge_method", ["plain"], "method"),
        ("/authorize", "query", "scope", [""], "scope"),
        ("/token", "form", "grant_type", "password", "grant_type"),
        ("/token", "form", "redirect_uri", "x", "redirect_uri"),
        ("/token", "form", "code", "x", "code was not issued"),
        ("/token", "form", "code_verifier", "x", "code_verifier"),
        ("/token", "form", "client_assertion_type", "x", "assertion: type"),
        ("/token", "form", "client_assertion", "a.b.c", "assertion: signature"),
        ("/token", "form", "client_assertion", again, "used"),
    )
    for path, part, name, value, found in planted:
        failures = find_failures(client, bent(ehr.heard, path, part, name, value))
        assert any(found in one for one in failures), (name, failures)
    plainer: tuple[tuple[Callable[[Registered], Registered], str], ...] = (
        (lambda one: replace(one, launch_uris=("http://a/l",)), "no https"),
        (lambda one: replace(one, redirect_uris=()), "no launch or redirect"),
        (lambda one: replace(one, jwks={"keys": []}), "no key"),
        (lambda one: replace(one, token_url="https://a/t"), "assertion: aud"),
        (lambda one: replace(one, client_id="x"), "assertion: iss"),
        (lambda one: replace(one, issued=frozenset()), "use: no request"),
        (lambda one: replace(one, kind=SYMMETRIC), "Basic header"),
        (lambda one: replace(one, kind=BACKEND), "grant_type"),
    )
    for change, found in plainer:
        failures = find_failures(change(client), ehr.heard)
        assert any(found in one for one in failures), (found, failures)
