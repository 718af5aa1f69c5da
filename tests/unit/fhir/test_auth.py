from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import AuthorizationError, ConfigurationError
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.auth import BackendTokens
from middleware.fhir.keys import ALGORITHMS, SigningKeys
from middleware.ports import transaction_scope
from tests.unit.fhir.scripted import NOW, Reply, Script


def endpoint(script: Script, algorithm: str = "ES384", **changes: Any) -> Endpoint:
    backend = {
        "client_id": "carecue",
        "token_url": f"{script.base}/token",
        "scope": "system/Patient.rs",
        "algorithm": algorithm,
        **changes,
    }
    return Endpoint(
        id="e",
        name="E",
        kind=EndpointKind.SANDBOX,
        fhir_base=script.base,
        backend=BackendClient(**backend),
        app=AppClient(),
        site=Site(name="S", phone="", booking_url="", zone="UTC"),
    )


def granted(token: str = "T1", **changes: Any) -> Reply:
    body = {"access_token": token, "token_type": "bearer", "expires_in": 300}
    return Reply(200, {**body, **changes})


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@308")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@309")
@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@319")
@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_token_request_carries_the_assertion_of_smart(
    script: Script, keys: SigningKeys, algorithm: str
) -> None:
    script.then(granted())
    tokens = BackendTokens(endpoint(script, algorithm), keys, FixedClock(NOW))
    assert tokens.token() == Secret("T1")
    form = {
        name: values[0]
        for name, values in parse_qs(script.asked[0].body.decode()).items()
    }
    raw = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": (
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        ),
    }
    public = KeySet.import_key_set(keys.public_jwks())
    decoded = jwt.decode(raw, public, algorithms=[algorithm])
    assert decoded.header == {
        "alg": algorithm,
        "typ": "JWT",
        "kid": keys.signing_key(algorithm).kid,
    }
    seconds = int(NOW.timestamp())
    assert len(decoded.claims.pop("jti")) >= 32
    assert decoded.claims == {
        "iss": "carecue",
        "sub": "carecue",
        "aud": f"{script.base}/token",
        "iat": seconds,
        "exp": seconds + 240,
    }


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@263")
def test_token_is_kept_until_a_minute_before_its_end(
    script: Script, keys: SigningKeys
) -> None:
    script.then(granted("T1"), granted("T2"))
    clock = FixedClock(NOW)
    tokens = BackendTokens(endpoint(script), keys, clock)
    assert tokens.token() == Secret("T1")
    clock.instant = NOW + timedelta(seconds=239)
    assert tokens.token() == Secret("T1")
    clock.instant = NOW + timedelta(seconds=240)
    assert tokens.token() == Secret("T2")
    assertions = [parse_qs(a.body.decode())["client_assertion"] for a in script.asked]
    assert assertions[0] != assertions[1]


def test_token_is_asked_for_once_by_many_threads(
    script: Script, keys: SigningKeys
) -> None:
    script.then(granted())
    tokens = BackendTokens(endpoint(script), keys, FixedClock(NOW))
    barrier = threading.Barrier(8)

    def ask(_: int) -> str | None:
        barrier.wait()
        return tokens.token()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {Secret("T1")}
    assert len(script.asked) == 1


def test_forget_drops_only_the_token_named(script: Script, keys: SigningKeys) -> None:
    script.then(granted("T1"), granted("T2"))
    tokens = BackendTokens(endpoint(script), keys, FixedClock(NOW))
    tokens.token()
    tokens.forget(Secret("older"))
    assert tokens.token() == Secret("T1")
    tokens.forget(Secret("T1"))
    assert tokens.token() == Secret("T2")


def test_no_token_url_needs_no_token(script: Script, keys: SigningKeys) -> None:
    tokens = BackendTokens(endpoint(script, token_url=None), keys, FixedClock(NOW))
    assert tokens.token() is None
    assert script.lines == []


def test_invalid_client_is_permanent_and_not_asked_again_at_once(
    script: Script, keys: SigningKeys
) -> None:
    script.then(Reply(401, {"error": "invalid_client"}), granted())
    clock = FixedClock(NOW)
    tokens = BackendTokens(endpoint(script), keys, clock)
    for _ in range(3):
        with pytest.raises(AuthorizationError, match="invalid_client") as caught:
            tokens.token()
        assert caught.value.permanent
    assert len(script.asked) == 1
    clock.instant = NOW + timedelta(seconds=5)
    assert tokens.token() == Secret("T1")


HOSTILE = {
    "html": Reply(200, b"<html>"),
    "list": Reply(200, []),
    "null": Reply(200, b"null"),
    "empty": Reply(200, b""),
    "no token": Reply(200, {"token_type": "bearer"}),
    "mac token": granted(token_type="mac"),
    "no type": Reply(200, {"access_token": "T"}),
    "number token": granted(token=7),
    "line break": granted(token="T\r\nX-Evil: 1"),
    "server error": Reply(503, b"down"),
    "redirect": Reply(307, None, {"Location": "http://127.0.0.1:1/token"}),
    "unknown error": Reply(400, {"error": "<script>", "error_description": "x"}),
    "odd life": granted(expires_in="soon"),
    "too large": Reply(200, b" " * 300_000),
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_an_unusable_answer_is_a_temporary_error(
    script: Script, keys: SigningKeys, reply: Reply
) -> None:
    script.then(reply)
    tokens = BackendTokens(endpoint(script), keys, FixedClock(NOW))
    with pytest.raises(AuthorizationError) as caught:
        tokens.token()
    assert not caught.value.permanent
    assert "script" not in str(caught.value)


@pytest.mark.parametrize(
    ("expires_in", "kept"),
    [("300", 239), (None, 239), (-5, 0), (60, 29)],
)
def test_expires_in_of_any_kind_is_read(
    script: Script, keys: SigningKeys, expires_in: object, kept: int
) -> None:
    script.then(granted("T1", expires_in=expires_in), granted("T2"))
    clock = FixedClock(NOW)
    tokens = BackendTokens(endpoint(script), keys, clock)
    tokens.token()
    clock.instant = NOW + timedelta(seconds=kept)
    assert tokens.token() == Secret("T1" if kept else "T2")
    clock.instant = NOW + timedelta(seconds=kept + 1)
    assert tokens.token() == Secret("T2")


def test_token_inside_a_transaction_is_a_programming_error(
    script: Script, keys: SigningKeys
) -> None:
    tokens = BackendTokens(endpoint(script), keys, FixedClock(NOW))
    with transaction_scope(), pytest.raises(RuntimeError):
        tokens.token()


def test_secrets_appear_in_no_log_and_no_representation(
    script: Script, keys: SigningKeys, caplog: pytest.LogCaptureFixture
) -> None:
    script.then(granted("VERY-SECRET"))
    tokens = BackendTokens(endpoint(script), keys, FixedClock(NOW))
    with caplog.at_level(logging.DEBUG):
        tokens.token()
    private = [part["d"] for part in _private(keys)]
    said = caplog.text + repr(tokens) + repr(keys) + repr(vars(keys))
    assertion = parse_qs(script.asked[0].body.decode())["client_assertion"][0]
    for secret in ("VERY-SECRET", assertion, *private):
        assert secret not in said


def _private(keys: SigningKeys) -> list[dict[str, str]]:
    import orjson

    found: list[dict[str, str]] = orjson.loads(keys.dump())["keys"]
    return found


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@290")
def test_public_jwks_have_no_private_members(keys: SigningKeys) -> None:
    published = keys.public_jwks()["keys"]
    assert [sorted(key) for key in published] == [
        ["alg", "e", "kid", "kty", "n", "use"],
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
    ]
    assert [key["alg"] for key in published] == ["RS384", "ES384"]
    assert published[1]["crv"] == "P-384"


def test_keys_survive_dump_and_load(keys: SigningKeys) -> None:
    again = SigningKeys.load(keys.dump())
    assert again.public_jwks() == keys.public_jwks()
    assert again.dump() == keys.dump()
    public = KeySet.import_key_set(keys.public_jwks())
    for name in ALGORITHMS:
        key = again.signing_key(name)
        signed = jwt.encode({"alg": name, "kid": key.kid}, {}, key, [name])
        assert jwt.decode(signed, public, algorithms=[name]).claims == {}


def test_load_of_keys_proves_no_primes_again(keys: SigningKeys) -> None:
    """Every process reads them each minute, and proving costs as much as making."""
    jwks = keys.dump()

    def seconds(act: Callable[[], object]) -> float:
        began = time.thread_time()
        act()
        return time.thread_time() - began

    rsa = json.loads(jwks)["keys"][0]
    proving = min(seconds(lambda: RSAKey.import_key(rsa)) for _ in range(3))
    assert min(seconds(lambda: SigningKeys.load(jwks)) for _ in range(3)) < proving / 3


def test_kid_is_the_thumbprint(keys: SigningKeys) -> None:
    key = keys.signing_key("ES384")
    assert key.kid == key.thumbprint()


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"keys":[]}', b'{"keys":[{"kty":"x"}]}'])
def test_load_of_anything_else_is_a_configuration_error(raw: bytes) -> None:
    with pytest.raises(ConfigurationError):
        SigningKeys.load(raw)


def test_rotation_publishes_before_it_signs(keys: SigningKeys) -> None:
    old = keys.signing_key("ES384").kid
    announced = keys.announce()
    new = announced.public_jwks()["keys"][-1]["kid"]
    assert announced.signing_key("ES384").kid == old
    promoted = announced.promote()
    assert promoted.signing_key("ES384").kid == new
    published = {key["kid"] for key in promoted.public_jwks()["keys"]}
    assert published >= {old, new}
    retired = promoted.retire()
    assert len(retired.public_jwks()["keys"]) == 2
    assert retired.signing_key("ES384").kid == new


def test_signing_key_of_another_algorithm_is_refused(keys: SigningKeys) -> None:
    with pytest.raises(ConfigurationError):
        keys.signing_key("HS256")
