"""SMART Backend Services: an access token for one endpoint, kept until it ends.

The token URL is the one pinned in the endpoint, never one from a document. Tokens,
assertions and keys appear in no message, log or representation. Sources: SMART App
Launch 2.2 backend-services and client-confidential-asymmetric; RFC 7523.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

from mappings.endpoint import BackendClient, Endpoint
from mappings.errors import AuthorizationError, ConfigurationError
from mappings.secret import Secret
from middleware.fhir.bounded import bound_session
from middleware.fhir.failing import name_failure
from middleware.fhir.keys import SigningKey, SigningKeys
from middleware.fhir.reach import read_reach
from middleware.ports import Clock, require_no_transaction

# SMART allows five minutes; a minute is left for clocks that differ.
ASSERTION_SECONDS = 240
_EARLY = timedelta(seconds=60)
_DEFAULT_LIFE = 300
_LONGEST_LIFE = 24 * 3600
_ANSWER_BYTES = 256 * 1024
_ANSWER_SECONDS = 15.0
# After a refusal the server is left alone for this long.
_REFUSED_PAUSE = timedelta(seconds=5)
_REFUSALS = {
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
}


class SmartPrivateKeyJWT(PrivateKeyJWT):  # type: ignore[misc]
    """A client assertion as SMART wants it: kid, typ, fresh jti, a short life."""

    def __init__(self, url: str, key: SigningKey, algorithm: str, clock: Clock) -> None:
        super().__init__(url, alg=algorithm)
        self._key = key
        self._clock = clock

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """Return a new assertion for ``auth.client_id`` and the token URL."""
        return sign_assertion(
            self._key, auth.client_id, token_endpoint, self.alg, self._clock
        )


def sign_assertion(
    key: SigningKey, client_id: str, token_url: str, algorithm: str, clock: Clock
) -> str:
    """Return a client assertion that works once (RFC 7523 section 3)."""
    issued_at = int(clock.now().timestamp())
    assertion: str = private_key_jwt_sign(
        key,
        client_id=client_id,
        token_endpoint=token_url,
        alg=algorithm,
        header={"kid": key.kid, "typ": "JWT"},
        issued_at=issued_at,
        expires_at=issued_at + ASSERTION_SECONDS,
    )
    return assertion


def bound_token_session(
    session: requests.Session, url: str, *, private_network: bool, ca_file: str | None
) -> None:
    """Bound a session that asks ``url`` for a token: size, seconds, addresses."""
    reach = read_reach(url, private_network=private_network)
    bound_session(session, reach, _ANSWER_BYTES, _ANSWER_SECONDS, 1, ca_file)


class BackendTokens:
    """Hands out one endpoint's access token; asks for a new one before it ends.

    Any number of threads may ask: one request to the server serves them all.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        keys: SigningKeys,
        clock: Clock,
        *,
        ca_file: str | None = None,
    ) -> None:
        self._backend: BackendClient = endpoint.backend
        self._keys = keys
        self._clock = clock
        self._ca_file = ca_file
        self._private_network = endpoint.profile.get("private_network") is True
        self._lock = threading.Lock()
        self._token: Secret | None = None
        self._until: datetime | None = None
        self._refusal: tuple[datetime, AuthorizationError] | None = None

    def __repr__(self) -> str:
        return f"BackendTokens({self._backend.client_id})"

    def token(self) -> Secret | None:
        """Return a token that lives, or None where the server needs none.

        Raises AuthorizationError; ``permanent`` when the server knows us and says no.
        """
        if self._backend.token_url is None:
            return None
        require_no_transaction("a token request")
        with self._lock:
            now = self._clock.now()
            if self._token is None or self._until is None or now >= self._until:
                self._renew(now, self._backend.token_url)
            return self._token

    def forget(self, token: Secret) -> None:
        """Drop a token that a FHIR server refused, unless it was replaced already."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _renew(self, now: datetime, token_url: str) -> None:
        self._token = None
        if self._refusal is not None:
            refused_at, error = self._refusal
            if timedelta(0) <= now - refused_at < _REFUSED_PAUSE:
                raise error
        self._refusal = None
        try:
            answer = self._fetch(token_url)
        except AuthorizationError as error:
            if error.permanent:
                self._refusal = (now, error)
            raise
        self._token = _read_token(answer)
        life = timedelta(seconds=_read_life(answer))
        self._until = now + max(life - _EARLY, life / 2)

    def _fetch(self, token_url: str) -> dict[str, Any]:
        backend = self._backend
        if not backend.client_id:
            raise ConfigurationError(
                "The endpoint has a token URL and no client id; add the id that the "
                "EHR gave to this client"
            )
        key = self._keys.signing_key(backend.algorithm)
        method = SmartPrivateKeyJWT(token_url, key, backend.algorithm, self._clock)
        with OAuth2Session(
            backend.client_id,
            scope=backend.scope,
            token_endpoint_auth_method=method.name,
            default_timeout=(3.0, 10.0),
        ) as session:
            bound_token_session(
                session,
                token_url,
                private_network=self._private_network,
                ca_file=self._ca_file,
            )
            session.register_client_auth_method(method)
            return _ask(session, token_url, backend.scope)


def _ask(session: Any, token_url: str, scope: str) -> dict[str, Any]:
    try:
        answer = session.fetch_token(
            token_url,
            grant_type="client_credentials",
            scope=scope,
            allow_redirects=False,
        )
    except OAuthError as error:
        refused = str(error.error) in _REFUSALS
        code = str(error.error) if refused else "an unknown error"
        raise AuthorizationError(
            f"The authorization server refused us ({code}); check the registration of "
            "this client, its keys and scopes",
            permanent=refused,
        ) from None
    except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
        raise AuthorizationError(
            f"The authorization server gave no usable answer: {name_failure(error)}; "
            "it will be asked again"
        ) from None
    if not isinstance(answer, dict):
        raise AuthorizationError("The authorization server's answer is not an object")
    return answer


def _read_token(answer: dict[str, Any]) -> Secret:
    token = answer.get("access_token")
    kind = answer.get("token_type")
    usable = isinstance(token, str) and token.isascii() and token.isprintable()
    if not usable or not token or str(kind).lower() != "bearer":
        raise AuthorizationError(
            "The authorization server's answer holds no bearer token; it was not used"
        )
    return Secret(str(token))


def _read_life(answer: dict[str, Any]) -> int:
    """Return expires_in in seconds; servers send numbers, texts or nothing."""
    try:
        life = int(float(answer.get("expires_in") or _DEFAULT_LIFE))
    except (TypeError, ValueError, OverflowError):
        life = _DEFAULT_LIFE
    return min(max(life, 0), _LONGEST_LIFE)
