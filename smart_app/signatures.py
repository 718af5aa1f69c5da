"""A JWT's signature against a published key set: the one way that any is checked.

Pure. Which algorithms are allowed is said here alone: none without a signature, none
with a shared secret. Sources: RFC 7517, RFC 8725.
"""

from __future__ import annotations

from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS = ["RS256", "RS384", "ES256", "ES384"]
CURVES = ("P-256", "P-384")


def decode_claims(raw: str, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the claims, checked with whichever published key fits.

    Servers publish several keys of one name or of none while they rotate, and keys
    that nobody here can read (RFC 7517 section 5); one that fits is enough. Raises
    JoseError, ValueError, TypeError or KeyError where none does.
    """
    fault: Exception = ValueError("no published key may fit")
    for jwk in _choose_keys(raw, keys):
        kind = RSAKey if jwk["kty"] == "RSA" else ECKey
        try:
            key = kind.import_key(jwk)
            return dict(jwt.decode(raw, key, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, TypeError) as error:
            fault = error
    raise fault


def list_usable(keys: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the published keys that a signature may be checked with."""
    return [jwk for jwk in _list_signing(keys) if _is_usable(jwk)]


def _is_usable(jwk: dict[str, Any]) -> bool:
    kind = RSAKey if jwk["kty"] == "RSA" else ECKey
    try:
        kind.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    known = jwk["kty"] == "RSA" or jwk.get("crv") in CURVES
    return known and jwk.get("alg", ALGORITHMS[0]) in ALGORITHMS


def _choose_keys(raw: str, keys: dict[str, Any]) -> list[dict[str, Any]]:
    kid = jws.extract_compact(raw.encode()).headers().get("kid")
    return [
        jwk
        for jwk in _list_signing(keys)
        if kid is None or jwk.get("kid") in (None, kid)
    ]


def _list_signing(keys: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        jwk
        for jwk in keys["keys"]
        if isinstance(jwk, dict)
        and jwk.get("kty") in ("RSA", "EC")
        and jwk.get("use", "sig") == "sig"
    ]
