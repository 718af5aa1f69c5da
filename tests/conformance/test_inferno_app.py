"""Our app and backend client, as each kind of client of Inferno's suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind
from middleware.wiring.pipeline import fhir_factory
from tests.conformance.clinic import PUBLIC as OUR_URL
from tests.conformance.clinic import SITE, Clinic, near_the_end
from tests.conformance.heard import Heard
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


def play(clinic: Clinic, ehr: HostileEhr, kind: str, launch: str | None) -> Registered:
    """Let the app go through the suite's interaction; return what was registered."""
    way = behave(ehr, ehr.root, INFERNO)
    sealed = clinic.runtime.sealer.seal(SECRET.encode()).hex()
    way["profile"] = {**way["profile"], "app_secret": sealed}
    if kind != ASYMMETRIC:
        ehr.habits.check_client = lambda form, headers: None
    ehr.habits.refreshes, ehr.habits.life = True, 600
    clinic.connect(**way, authentication=METHODS[kind])
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
@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("launch", [LAUNCH, None])
def test_app_passes_every_check(
    clinic: Clinic, ehr: HostileEhr, kind: str, launch: str | None
) -> None:
    registered = play(clinic, ehr, kind, launch)

    assert find_failures(registered, ehr.heard) == []
    grants = [one.form["grant_type"] for one in ehr.heard if one.path == "/token"]
    assert grants == ["authorization_code", "refresh_token"]


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
