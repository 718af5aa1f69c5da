"""Who calls: the EHR's JWT, checked against the keys that the site wrote down.

Pure but for the key sets it is handed. A ``jku`` only chooses among the URLs of the
endpoint that ``iss`` belongs to; a key inside the JWT is never looked at. Source: CDS
Hooks 2.0, Trusting CDS Clients; RFC 8725.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, CdsError, CdsReason
from smart_app.signatures import ALGORITHMS, decode_claims

LEEWAY = timedelta(seconds=30)
LONGEST_LIFE = timedelta(minutes=5)
LONGEST_JWT = 8192
LONGEST_JTI = 255

Keys = Callable[[Endpoint, str, bool], dict[str, Any]]
Claims = dict[str, Any]


@dataclass(frozen=True)
class Claimed:
    """A JWT before anything of it is proven: whose it says it is, and whose keys to ask."""

    raw: str
    claims: Claims
    endpoints: tuple[Endpoint, ...]
    key_url: str
    kid: object

    @property
    def endpoint_id(self) -> str:
        """Return the endpoint that it says to speak for; empty where that is not one."""
        return self.endpoints[0].id if len(self.endpoints) == 1 else ""


@dataclass(frozen=True)
class Proof:
    """A good JWT: the endpoints that its issuer speaks for, and a mark to use it once."""

    endpoints: tuple[Endpoint, ...]
    mark: str
    expires_at: datetime


def read_claim(authorization: str, endpoints: Sequence[Endpoint]) -> Claimed:
    """Return who says to call; CdsError (401) where nobody here is named."""
    raw = _bearer(authorization)
    header, claims = _look(raw)
    known, url = _choose_endpoints(header, claims, endpoints)
    return Claimed(raw, claims, known, url, header.get("kid"))


def prove_claim(
    claimed: Claimed, keys: Keys, *, audiences: Sequence[str], now: datetime
) -> Proof:
    """Return who calls; CdsError (401) for anything but a JWT that is good in full.

    ``audiences`` are the URLs, letter for letter, that the call may be meant for. The
    key set is asked for anew once, when no known key fits.
    """
    known = claimed.endpoints
    if not isinstance(claimed.kid, str) or not claimed.kid:
        raise _refuse("it has no kid", "jwt-claims")
    claims = _prove(claimed.raw, lambda fresh: keys(known[0], claimed.key_url, fresh))
    _check_claims(claims, str(claimed.claims["iss"]), audiences, now)
    jti, expires = claims["jti"], datetime.fromtimestamp(claims["exp"], now.tzinfo)
    mark = hashlib.sha256(f"{claims['iss']}\0{jti}".encode()).hexdigest()
    return Proof(known, mark, expires + LEEWAY)


def _bearer(authorization: str) -> str:
    kind, _, raw = authorization.partition(" ")
    if kind.lower() != "bearer" or not raw.strip():
        raise _refuse("there is none", "jwt-missing")
    if len(raw) > LONGEST_JWT:
        raise _refuse("it is too long", "jwt-unreadable")
    return raw.strip()


def _look(raw: str) -> tuple[dict[str, Any], Claims]:
    """Read header and claims before anything is proven: to find whose keys to ask."""
    try:
        found = jws.extract_compact(raw.encode())
        header, claims = found.headers(), orjson.loads(found.payload)
    except (JoseError, ValueError, TypeError):
        raise _refuse("it cannot be read", "jwt-unreadable") from None
    if header.get("alg") not in ALGORITHMS:
        raise _refuse(
            "its alg is not one of ES384, RS384, RS256 and ES256", "jwt-algorithm"
        )
    if not isinstance(claims, dict) or not isinstance(claims.get("iss"), str):
        raise _refuse("it names no iss", "issuer-unknown")
    return header, claims


def _choose_endpoints(
    header: dict[str, Any], claims: Claims, endpoints: Sequence[Endpoint]
) -> tuple[tuple[Endpoint, ...], str]:
    """Return the endpoints of the issuer that take keys from the URL, and the URL."""
    issuer, tenant = claims["iss"], claims.get("tenant")
    known = [
        item
        for item in endpoints
        if issuer in item.cds.issuers
        and (not item.cds.tenants or tenant in item.cds.tenants)
    ]
    if not known:
        raise _refuse("its iss and tenant are not registered here", "issuer-unknown")
    named = header.get("jku")
    url = known[0].cds.key_urls[0] if named is None else named
    taken = tuple(item for item in known if url in item.cds.key_urls)
    if not taken:
        raise _refuse(
            "its jku is not registered for its iss, and was not asked",
            "key-url-unknown",
        )
    return taken, str(url)


def _prove(raw: str, keys: Callable[[bool], dict[str, Any]]) -> Claims:
    for fresh in (False, True):
        try:
            known = keys(fresh)
        except CareCueError:
            raise CdsError(
                "The keys of the calling EHR could not be fetched, so the call cannot "
                "be trusted. No card was made. It may be tried again.",
                status=503,
                reason="keys-unreachable",
                code="transient",
            ) from None
        with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
            return decode_claims(raw, known)
    raise _refuse(
        "no registered key has its kid and fits its signature", "signature-wrong"
    )


def _check_claims(
    claims: Claims, issuer: str, audiences: Sequence[str], now: datetime
) -> None:
    rules: dict[str, Any] = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "values": list(audiences)},
        "exp": {"essential": True},
        "iat": {"essential": True},
        "jti": {"essential": True},
    }
    seconds = int(LEEWAY.total_seconds())
    try:
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()), leeway=seconds, **rules
        ).validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        wrong = getattr(error, "claim", None) or "a claim"
        raise _refuse(
            f"{wrong} is missing, wrong or out of time", _reason_of(error)
        ) from None
    latest = (now + LONGEST_LIFE + LEEWAY).timestamp()
    earliest = (now - LONGEST_LIFE - LEEWAY).timestamp()
    if not all(type(claims[name]) in (int, float) for name in ("exp", "iat")):
        raise _refuse("exp and iat have to be numbers", "jwt-time")
    if claims["exp"] > latest or claims["iat"] < earliest:
        raise _refuse("it lasts for more than five minutes", "jwt-time")
    jti = claims["jti"]
    if not isinstance(jti, str) or not 0 < len(jti) <= LONGEST_JTI:
        raise _refuse("its jti is no text of up to 255 characters", "jwt-claims")


def _reason_of(error: Exception) -> CdsReason:
    claim = getattr(error, "claim", None)
    if claim == "aud":
        return "audience-wrong"
    return "jwt-time" if claim in ("exp", "iat", "nbf") else "jwt-claims"


def _refuse(why: str, reason: CdsReason) -> CdsError:
    return CdsError(
        f"The call's JWT is not good: {why}. No card was made and nothing was read.",
        status=401,
        reason=reason,
        code="login",
    )
