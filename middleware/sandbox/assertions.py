"""private_key_jwt: a client proves who it is with a JWT that works once.

It may not answer HTTP; every refusal is an OAuthFault invalid_client.
Source: SMART App Launch 2.2, "Asymmetric (public key) Client Authentication";
RFC 7523 section 3.
"""

import threading
from datetime import datetime, timedelta
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.util import to_bytes, urlsafe_b64decode

from middleware.sandbox.client_keys import ClientKeys
from middleware.sandbox.clients import Client
from middleware.sandbox.oauth_fault import OAuthFault

ALGORITHMS = ("RS384", "ES384")
LONGEST_LIFE = timedelta(minutes=5)
# Two clocks on one network differ by less than this.
SKEW = timedelta(seconds=5)
LARGEST_ASSERTION = 8 * 1024


class Assertions:
    """Checks client assertions, and remembers each jti until it has expired."""

    def __init__(self, keys: ClientKeys, token_url: str) -> None:
        self._keys = keys
        self._token_url = token_url
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], datetime] = {}

    def verify(self, raw: str, client: Client, now: datetime) -> None:
        """Return when the assertion proves the client; OAuthFault otherwise.

        The jti is spent only by an assertion that is good in all else.
        """
        header, _ = peek(raw)
        self._check_header(header, client)
        claims = self._decode(raw, header, client)
        expires_at = self._check_claims(claims, client, now)
        self._spend(client.client_id, claims, expires_at, now)

    def _check_header(self, header: dict[str, Any], client: Client) -> None:
        if header.get("typ") != "JWT":
            raise refuse("the assertion's header has no typ JWT")
        if header.get("alg") not in ALGORITHMS:
            raise refuse("the assertion is signed with neither RS384 nor ES384")
        if not isinstance(header.get("kid"), str) or not header["kid"]:
            raise refuse("the assertion's header has no kid")
        if "jku" in header and header["jku"] != client.jwks_uri:
            raise refuse("the assertion's jku is not the registered jwks_uri")

    def _decode(
        self, raw: str, header: dict[str, Any], client: Client
    ) -> dict[str, Any]:
        try:
            key = self._keys.find(client, header["kid"])
        except ValueError as error:
            raise refuse(f"no key for the assertion: {error}") from error
        try:
            return jwt.decode(raw, key, algorithms=[header["alg"]]).claims
        except (JoseError, ValueError) as error:
            raise refuse("the assertion's signature does not verify") from error

    def _check_claims(
        self, claims: dict[str, Any], client: Client, now: datetime
    ) -> datetime:
        if not claims.get("iss") == claims.get("sub") == client.client_id:
            raise refuse("iss and sub are not both the client_id")
        if claims.get("aud") != self._token_url:
            raise refuse(f"aud is not {self._token_url}")
        exp = claims.get("exp")
        if exp is None or not _is_number(exp):
            raise refuse("exp is missing or is not a number")
        seconds = now.timestamp()
        if exp <= seconds - SKEW.total_seconds():
            raise refuse("the assertion has expired")
        if exp > seconds + (LONGEST_LIFE + SKEW).total_seconds():
            raise refuse("exp is more than five minutes ahead")
        for name in ("iat", "nbf"):
            value = claims.get(name, seconds)
            if not _is_number(value) or value > seconds + SKEW.total_seconds():
                raise refuse(f"{name} is in the future or is not a number")
        return datetime.fromtimestamp(exp, now.tzinfo)

    def _spend(
        self,
        client_id: str,
        claims: dict[str, Any],
        expires_at: datetime,
        now: datetime,
    ) -> None:
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise refuse("jti is missing or is not a text")
        with self._lock:
            self._seen = {
                key: until for key, until in self._seen.items() if until + SKEW > now
            }
            if (client_id, jti) in self._seen:
                raise refuse("the jti was used before; sign a new assertion")
            self._seen[(client_id, jti)] = expires_at


def peek(raw: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Answer header and claims of a compact JWT, unverified."""
    parts = raw.split(".")
    if len(parts) != 3 or len(raw) > LARGEST_ASSERTION:
        raise refuse("the assertion is not a compact JWT")
    try:
        header, claims = (
            orjson.loads(urlsafe_b64decode(to_bytes(part))) for part in parts[:2]
        )
    except ValueError as error:
        raise refuse("the assertion is not a compact JWT") from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise refuse("the assertion is not a compact JWT")
    return header, claims


def refuse(sentence: str) -> OAuthFault:
    """Answer the fault for a client that did not prove itself."""
    return OAuthFault("invalid_client", sentence, 401)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
