"""Attacks on the keys that prove who is signed in."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.conformance.clinic import Clinic, assert_stranger, code_of
from tests.conformance.hostile import CLIENT, KEY, HostileEhr

STRANGER = RSAKey.generate_key(2048, {"kid": "as-1", "alg": "RS256"})
NEXT = ECKey.generate_key("P-384", {"kid": "as-2", "alg": "ES384"})


def public(*keys: Any, **changes: Any) -> list[dict[str, Any]]:
    """Return the public JWKs of keys; a change of None takes the member away."""
    return [
        {
            name: value
            for name, value in {**key.as_dict(private=False), **changes}.items()
            if value is not None
        }
        for key in keys
    ]


def write(value: bytes) -> str:
    """Return bytes as a JWT has them."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forge(
    header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]
) -> str:
    """Return a JWT that no library would write."""
    parts = [write(json.dumps(one).encode()) for one in (header, claims)]
    return ".".join([*parts, write(sign(".".join(parts).encode()))])


def by_stranger(signed: bytes) -> bytes:
    """Sign as RS256 does, with a key that nobody published."""
    return STRANGER.private_key.sign(signed, PKCS1v15(), SHA256())


@pytest.mark.attack(33)
@pytest.mark.attack(35)
def test_a_proof_without_a_signature_is_none(clinic: Clinic) -> None:
    # Even where the server's own document says that it signs with nothing.
    clinic.ehr.habits.document = {
        "id_token_signing_alg_values_supported": ["none", "NONE", "RS256"],
        "token_endpoint_auth_signing_alg_values_supported": ["none"],
    }
    for word in ("none", "None", "NONE", "nOnE", ""):
        for end in (b"", b"AAAA"):
            clinic.ehr.habits.write_id_token = lambda claims, word=word, end=end: forge(
                {"alg": word, "typ": "JWT"}, claims, lambda _: end
            )
            assert_stranger(clinic)


@pytest.mark.attack(34)
def test_a_public_key_is_no_shared_secret(clinic: Clinic) -> None:
    forms = (
        KEY.as_pem(private=False),
        KEY.as_pem(private=False).strip(),
        KEY.as_der(private=False),
        json.dumps(KEY.as_dict(private=False)).encode(),
        CLIENT.encode().ljust(32, b"0"),
    )
    for secret in forms:
        for word, made in (("HS256", "sha256"), ("HS384", "sha384")):
            header = {"alg": word, "kid": KEY.kid}
            sign = partial(hmac.digest, secret, digest=made)
            clinic.ehr.habits.write_id_token = partial(forge, header, sign=sign)
            assert_stranger(clinic)
    # The server may not lend its secret to everybody either.
    secret = OctKey.import_key(b"k" * 32, {"kid": "as-1"})
    clinic.ehr.habits.published = [secret.as_dict(private=True)]
    clinic.ehr.habits.write_id_token = lambda claims: jwt.encode(
        {"alg": "HS256", "kid": "as-1"}, claims, secret, algorithms=["HS256"]
    )
    assert_stranger(clinic)


@pytest.mark.attack(44)
def test_an_unknown_key_is_looked_for_once(clinic: Clinic) -> None:
    assert clinic.launch().status_code == 303
    clinic.ehr.heard.clear()
    clinic.ehr.habits.write_id_token = lambda claims: clinic.ehr.sign(
        claims, STRANGER, kid="unknown"
    )
    for _ in range(5):
        answer = clinic.launch()
        assert (answer.status_code, code_of(answer)) == (502, "T5")

    assert clinic.ehr.lines().count("GET /jwks") == 1


@pytest.mark.attack(45)
def test_keys_that_change_without_a_name_are_fetched_again(clinic: Clinic) -> None:
    clinic.ehr.habits.published = public(KEY, kid=None)
    clinic.ehr.habits.write_id_token = lambda claims: clinic.ehr.sign(claims, kid=None)
    assert clinic.launch().status_code == 303

    clinic.ehr.habits.published = public(NEXT, kid=None)
    clinic.ehr.habits.write_id_token = lambda claims: clinic.ehr.sign(
        claims, NEXT, kid=None, alg="ES384"
    )
    assert clinic.launch().status_code == 303
    assert clinic.ehr.lines().count("GET /jwks") == 2


@pytest.mark.attack(46)
def test_a_header_leads_nowhere(clinic: Clinic, elsewhere: HostileEhr) -> None:
    elsewhere.habits.published = public(STRANGER)
    there = f"{elsewhere.root}/jwks"
    headers: tuple[dict[str, Any], ...] = (
        {"kid": "../../../../dev/null"},
        {"kid": "' OR '1'='1"},
        {"kid": there},
        {"kid": "as-1\x00"},
        {"jku": there},
        {"x5u": there},
        {"jwk": STRANGER.as_dict(private=False)},
        {"jku": there, "jwk": STRANGER.as_dict(private=False), "kid": None},
        {"crit": ["exp"]},
    )
    for header in headers:
        whole = {"alg": "RS256", "kid": "as-1", **header}
        clinic.ehr.habits.write_id_token = partial(forge, whole, sign=by_stranger)
        assert_stranger(clinic)
    assert elsewhere.heard == []


@pytest.mark.attack(45)
@pytest.mark.attack(47)
def test_any_key_that_the_server_publishes_is_the_servers(clinic: Clinic) -> None:
    other = {"kty": "RSA", "kid": "as-1", "n": "AQAB"}
    curve = {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}
    later = {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "as-1"}
    sets = (
        public(KEY, STRANGER),
        public(STRANGER, KEY),
        public(STRANGER, KEY, kid=None),
        [other, curve, later, "?", *public(KEY)],
        [*public(STRANGER, use="enc"), *public(KEY)],
    )
    for published in sets:
        clinic.ehr.habits.published = published
        clinic.clock.instant += timedelta(minutes=10)
        fresh = clinic.app_again()
        answer = fresh.launch()
        assert answer.status_code == 303, published


@pytest.mark.attack(47)
def test_two_keys_of_one_name_let_no_third_in(clinic: Clinic) -> None:
    clinic.ehr.habits.published = public(
        KEY, RSAKey.generate_key(2048, {"kid": "as-1"})
    )
    clinic.ehr.habits.write_id_token = partial(clinic.ehr.sign, key=STRANGER)
    assert_stranger(clinic)
