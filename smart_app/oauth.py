"""OAuth with the EHR's authorization server, through Authlib's requests session.

It builds the authorization request and exchanges one code. It keeps nothing, and no
secret, code or token goes into a message or a log. Sources: SMART App Launch 2.2,
RFC 6749, RFC 7636, RFC 7523.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

from mappings.endpoint import Endpoint
from mappings.errors import LaunchError
from smart_app.discovery import AuthorizationServer

ASSERTION_LIFE = timedelta(minutes=4)
TIMEOUT_SECONDS = (3.05, 15)


class SmartAssertion(PrivateKeyJWT):  # type: ignore[misc]
    """A client assertion as SMART wants it: 4 minutes, own kid, a fresh jti each.

    The library's own assertion lives an hour and reads the system's time.
    """

    def __init__(self, token_url: str, key: Any, algorithm: str, now: datetime) -> None:
        super().__init__(token_url, alg=algorithm)
        self._key = key
        self._now = now

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """Return the signed assertion for this client and token endpoint."""
        return str(
            private_key_jwt_sign(
                self._key,
                client_id=auth.client_id,
                token_endpoint=token_endpoint,
                alg=self.alg,
                header={"kid": self._key.kid, "typ": "JWT"},
                issued_at=int(self._now.timestamp()),
                expires_at=int((self._now + ASSERTION_LIFE).timestamp()),
            )
        )


def write_authorization_url(
    endpoint: Endpoint,
    server: AuthorizationServer,
    *,
    redirect_uri: str,
    scope: str,
    state: str,
    verifier: str,
    nonce: str,
    launch: str | None,
) -> str:
    """Return the URL to send the browser to: code flow, PKCE S256, aud = the base."""
    session = OAuth2Session(
        endpoint.app.client_id,
        scope=scope,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
    )
    extra = {"launch": launch} if launch is not None else {}
    with session:
        url, _ = session.create_authorization_url(
            server.authorization_endpoint,
            state=state,
            code_verifier=verifier,
            nonce=nonce,
            aud=endpoint.fhir_base,
            **extra,
        )
    return str(url)


def fetch_token(
    endpoint: Endpoint,
    token_url: str,
    *,
    redirect_uri: str,
    code: str,
    verifier: str,
    key: Any,
    secret: str | None,
    now: datetime,
    bound: Callable[[Any, Endpoint, str], None],
) -> dict[str, Any]:
    """Exchange the code once in a ``bound`` session; return the answer as it came.

    Raises LaunchError T1 when the server refuses, does not answer or breaks a bound.
    """
    session = _open_session(endpoint, redirect_uri, secret)
    bound(session, endpoint, token_url)
    if key is not None:
        session.register_client_auth_method(
            SmartAssertion(token_url, key, endpoint.app.algorithm, now)
        )
    try:
        with session:
            answer = session.fetch_token(
                token_url,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                allow_redirects=False,
            )
    # Whatever the transport raises is an OSError: refused, timed out, cut off.
    except (AuthlibBaseError, OSError, ValueError, TypeError) as error:
        raise LaunchError(
            "The EHR did not exchange the sign-in for access. Nothing was opened. "
            "Open this app again from the chart.",
            code="T1",
            status=502,
        ) from error
    return dict(answer) if isinstance(answer, dict) else {}


def _open_session(
    endpoint: Endpoint, redirect_uri: str, secret: str | None
) -> OAuth2Session:
    return OAuth2Session(
        endpoint.app.client_id,
        secret,
        redirect_uri=redirect_uri,
        token_endpoint_auth_method=endpoint.app.authentication,
        default_timeout=TIMEOUT_SECONDS,
    )
