"""Attacks on the backend client: its assertions, keys, tokens and paging."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Response, request
from joserfc import jwt
from joserfc.jwk import KeySet

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind
from mappings.errors import BadInputError, ConfigurationError, FhirError
from middleware.clock import FixedClock
from middleware.fhir.auth import sign_assertion
from middleware.fhir.keys import SigningKeys
from middleware.sealing import read_keys
from middleware.stages.reconcile import poll_endpoints
from middleware.storage.audit import list_audit
from middleware.storage.endpoints import update_endpoint
from middleware.wiring.pipeline import fhir_factory, stage_context
from middleware.wiring.runtime import signing_keys
from middleware.wiring.signing import WAIT, rotate_signing
from tests.conformance.charts import write_fhir, write_outcome
from tests.conformance.clinic import SITE, Clinic
from tests.conformance.hostile import CLIENT, HostileEhr

SKEW = 60


def backend(ehr: HostileEhr, algorithm: str = "ES384") -> Endpoint:
    """Return the EHR as an endpoint of the backend client."""
    return Endpoint(
        id="north",
        name="North",
        kind=EndpointKind.TEST,
        fhir_base=ehr.base,
        backend=BackendClient(CLIENT, f"{ehr.root}/token", "system/*.rs", algorithm),
        app=AppClient(),
        site=SITE,
    )


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@308")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@309")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@319")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@331")
@pytest.mark.attack(70)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_an_assertion_is_short_named_and_good_once(
    keys: SigningKeys, clock: FixedClock, algorithm: str
) -> None:
    count = 10_000 if algorithm == "ES384" else 100
    key = keys.signing_key(algorithm)
    public = KeySet.import_key_set(keys.public_jwks())
    raws = [
        sign_assertion(key, CLIENT, "https://as.example/token", algorithm, clock)
        for _ in range(count)
    ]
    parts = [json.loads(_open(raw.split(".")[1])) for raw in raws]
    now = int(clock.now().timestamp())

    assert len({part["jti"] for part in parts}) == count
    for part in parts:
        # A server whose clock is a minute off still sees at most five minutes left.
        assert SKEW < part["exp"] - now <= 300 - SKEW
        assert part["iat"] <= now
    token = jwt.decode(raws[0], public, algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": key.kid}


@pytest.mark.attack(70)
@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_no_assertion_is_sent_twice(
    clinic: Clinic, ehr: HostileEhr, algorithm: str
) -> None:
    ehr.keys = clinic.keys.public_jwks()
    api = fhir_factory(clinic.runtime)(backend(ehr, algorithm))
    for _ in range(5):
        assert api.fetch("Patient/rosa")["id"] == "rosa"
        ehr.tokens.clear()

    assert len(ehr.forms("client_credentials")) == 5
    assert len(ehr.jtis) == 5


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@290")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@303")
@pytest.mark.attack(71)
def test_a_key_is_published_before_it_signs_and_after(clinic: Clinic) -> None:
    def published() -> list[dict[str, Any]]:
        answer = clinic.app_again().browser.get("/.well-known/jwks.json")
        assert "max-age" in answer.headers["Cache-Control"]
        keys: list[dict[str, Any]] = answer.get_json()["keys"]
        for key in keys:
            assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(key)
        return keys

    old = {key["kid"] for key in published()}
    signs = signing_keys(clinic.runtime).signing_key
    rotate_signing(clinic.runtime, "ops")
    both = {key["kid"] for key in published()}
    assert old < both
    assert str(signing_keys(clinic.runtime).signing_key("ES384").kid) in old
    with pytest.raises(BadInputError):
        rotate_signing(clinic.runtime, "ops")

    clinic.clock.instant += WAIT
    last = sign_assertion(signs("ES384"), CLIENT, "https://a/t", "ES384", clinic.clock)
    rotate_signing(clinic.runtime, "ops")
    assert str(signing_keys(clinic.runtime).signing_key("ES384").kid) not in old
    ends = json.loads(_open(last.split(".")[1]))["exp"]
    while clinic.clock.now().timestamp() <= ends:
        assert {key["kid"] for key in published()} == both
        clinic.clock.instant += timedelta(minutes=2)
        with pytest.raises(BadInputError):
            rotate_signing(clinic.runtime, "ops")
    clinic.clock.instant += WAIT
    rotate_signing(clinic.runtime, "ops")
    assert {key["kid"] for key in published()} == both - old
    with clinic.runtime.database.tx() as tx:
        assert len([row for row in list_audit(tx) if "signing" in row.action]) == 3


def pages(ehr: HostileEhr, count: int, end: Callable[[int], None]) -> None:
    """Serve a search of so many pages; ``end`` is told of each page asked for."""

    def view() -> Any:
        number = int(request.args.get("page", "1"))
        end(number)
        word = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if word not in ehr.tokens:
            return write_fhir(write_outcome("login"), 401)
        following = {
            "relation": "next",
            "url": f"{ehr.base}/Condition?page={number + 1}",
        }
        resource = {"resourceType": "Condition", "id": f"c{number}"}
        return write_fhir(
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": resource}],
                "link": [following] if number < count else [],
            }
        )

    ehr.habits.instead["/fhir/Condition"] = view


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@263")
@pytest.mark.attack(72)
def test_a_token_that_ends_between_pages_is_renewed_once(
    clinic: Clinic, ehr: HostileEhr
) -> None:
    ehr.keys = clinic.keys.public_jwks()
    ended = itertools.count()

    def end(number: int) -> None:
        if number == 3 and next(ended) == 0:
            ehr.tokens.clear()

    pages(ehr, 5, end)
    found = fhir_factory(clinic.runtime)(backend(ehr)).fetch_search("Condition?x=y")

    assert found.complete
    assert [one["id"] for one in found.resources] == ["c1", "c2", "c3", "c4", "c5"]
    assert len(ehr.forms("client_credentials")) == 2
    assert [line for line in ehr.lines() if "Condition" in line] == [
        "GET /fhir/Condition"
    ] * 6


@pytest.mark.attack(72)
def test_tokens_that_never_work_end_the_search(clinic: Clinic, ehr: HostileEhr) -> None:
    ehr.keys = clinic.keys.public_jwks()
    pages(ehr, 5, lambda number: ehr.tokens.clear())
    with pytest.raises(FhirError) as caught:
        fhir_factory(clinic.runtime)(backend(ehr)).fetch_search("Condition?x=y")

    assert caught.value.status == 401
    assert len(ehr.forms("client_credentials")) == 2


@pytest.mark.attack(73)
@pytest.mark.parametrize("word", ["invalid_client", "unauthorized_client"])
def test_a_client_that_is_refused_does_not_ask_in_a_loop(
    clinic: Clinic, ehr: HostileEhr, word: str
) -> None:
    ehr.habits.instead["/token"] = lambda: ({"error": word}, 401)
    api = fhir_factory(clinic.runtime)(backend(ehr))
    for _ in range(50):
        with pytest.raises(FhirError) as caught:
            api.fetch("Patient/rosa")
        assert word in str(caught.value)
        assert caught.value.status == 401

    assert ehr.lines() == ["POST /token"]
    clinic.clock.instant += timedelta(seconds=4)
    with pytest.raises(FhirError):
        api.fetch("Patient/rosa")
    assert ehr.lines() == ["POST /token"]


@pytest.mark.attack(73)
def test_a_client_that_is_refused_is_told_to_a_person(
    clinic: Clinic, ehr: HostileEhr
) -> None:
    ehr.keys = clinic.keys.public_jwks()
    with clinic.runtime.database.tx() as tx:
        assert update_endpoint(tx, replace(backend(ehr), id="northside"))
    poll_endpoints(stage_context(clinic.runtime))
    assert clinic.rows("SELECT 1 FROM poll_cursor WHERE error IS NULL")
    ehr.heard.clear()
    ehr.habits.instead["/token"] = lambda: ({"error": "invalid_client"}, 401)
    clinic.clock.instant += timedelta(hours=2)
    poll_endpoints(stage_context(clinic.runtime))

    told = clinic.rows("SELECT error FROM poll_cursor WHERE endpoint_id = 'northside'")
    assert told
    assert all("invalid_client" in row["error"] for row in told)
    assert ehr.lines() == ["POST /token"]


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@295")
@pytest.mark.attack(74)
def test_the_private_keys_are_nowhere_to_be_read(
    clinic: Clinic, ehr: HostileEhr, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ehr.keys = clinic.keys.public_jwks()
    endpoint = backend(ehr)
    api = fhir_factory(clinic.runtime)(endpoint)
    api.fetch("Patient/rosa")
    ehr.tokens.clear()
    ehr.habits.instead["/token"] = lambda: ("<html>", 500)
    with pytest.raises(FhirError) as caught:
        api.fetch("Patient/rosa")
    crash = "".join(
        traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        ).format()
    )
    kept = repr(clinic.rows("SELECT * FROM mark")) + repr(clinic.rows("TABLE endpoint"))
    said = caplog.text + repr(api) + kept
    assert "at-1" not in said
    said += crash
    private = json.loads(clinic.keys.dump())["keys"]
    assertion = ehr.forms("client_credentials")[0]["client_assertion"]
    secrets = [key[name] for key in private for name in ("d", "p", "q") if name in key]

    assert len(secrets) == 4
    for secret in (*secrets, "PRIVATE KEY", assertion):
        assert secret not in said


@pytest.mark.attack(74)
def test_a_key_file_that_others_can_read_is_not_used(clinic: Clinic) -> None:
    path = clinic.runtime.settings.secret_key_path
    assert path.stat().st_mode & 0o777 == 0o600
    for mode in (0o640, 0o604, 0o644, 0o660, 0o666, 0o610):
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match="can be read by others"):
            read_keys(path)
    path.chmod(0o600)
    assert read_keys(path)


@pytest.mark.attack(75)
def test_a_server_that_asks_for_patience_gets_it(
    clinic: Clinic, ehr: HostileEhr
) -> None:
    ehr.keys = clinic.keys.public_jwks()
    asked: list[float] = []

    def busy() -> Any:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return Response("", 429, {"Retry-After": "1"})
        return write_fhir(ehr.charts.resources["Patient/rosa"])

    ehr.habits.instead["/fhir/Patient/rosa"] = busy
    api = fhir_factory(clinic.runtime)(backend(ehr))
    assert api.fetch("Patient/rosa")["id"] == "rosa"
    assert asked[1] - asked[0] >= 1.0

    asked.clear()
    ehr.habits.instead["/fhir/Patient/rosa"] = lambda: (
        asked.append(0.0) or Response("", 503, {"Retry-After": "3600"})
    )
    with pytest.raises(FhirError) as caught:
        api.fetch("Patient/rosa")
    assert caught.value.retry_after == 3600
    assert len(asked) == 1


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@267-268")
@pytest.mark.attack(75)
def test_a_page_on_another_host_gets_no_token(
    clinic: Clinic, ehr: HostileEhr, elsewhere: HostileEhr
) -> None:
    ehr.keys = clinic.keys.public_jwks()

    def lead_away(kind: str, bundle: dict[str, Any]) -> dict[str, Any]:
        url = f"{elsewhere.base}/{kind}?page=2"
        return {**bundle, "link": [{"relation": "next", "url": url}]}

    ehr.charts.bend = lead_away
    found = fhir_factory(clinic.runtime)(backend(ehr)).fetch_search("Patient?x=y")

    assert not found.complete
    assert elsewhere.heard == []


def _open(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
