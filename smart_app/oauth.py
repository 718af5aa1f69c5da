"""OAuth with the EHR's authorization server, through Authlib's requests session.

It builds the authorization request, exchanges codes, renews tokens and ends them. It
keeps nothing, and no secret, code or token goes into a message or a log. Sources:
SMART App Launch 2.2, RFC 6749, RFC 7009, RFC 7636, RFC 7523.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import (
    OAuth2Auth,
    OAuth2Session,
    OAuthError,
)
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

from mappings.endpoint import Endpoint
from mappings.errors import LaunchError
from mappings.secret import Secret
from smart_app.discovery import AuthorizationServer
from smart_app.ports import SmartPorts

ASSERTION_LIFE = timedelta(minutes=4)
TIMEOUT_SECONDS = (3.05, 15)
LONGEST_TEXT = 200
# Whatever the transport raises is an OSError: refused, timed out, cut off.
FAULTS = (AuthlibBaseError, OSError, ValueError, TypeError, AttributeError)
# RFC 6749 4.1.2.1: what a server says that cannot answer now, and may later.
PASSING = frozenset({"server_error", "temporarily_unavailable"})


class UnusableAnswerError(ValueError):
    """A token endpoint answered with what is no JSON: a page, a redirect."""

    def __init__(self, answer: Any) -> None:
        kind = clean_text(answer.headers.get("Content-Type", "").partition(";")[0], 60)
        super().__init__(", ".join(filter(None, (f"HTTP {answer.status_code}", kind))))


class PlainTokens(OAuth2Auth):  # type: ignore[misc]
    """Keeps a token response as it came.

    The library's own counts the end of a token by the system's time, and fails over an
    ``expires_in`` that is no whole number.
    """

    def set_token(self, token: dict[str, Any]) -> None:
        """Take a token response over."""
        self.token = token


class TokenSession(OAuth2Session):  # type: ignore[misc]
    """The library's session with token responses as they came."""

    token_auth_class = PlainTokens


class SmartAssertion(PrivateKeyJWT):  # type: ignore[misc]
    """A client assertion as SMART wants it: 4 minutes, own kid, a fresh jti each.

    The library's own assertion lives an hour and reads the system's time.
    """

    def __init__(self, token_url: str, key: Any, algorithm: str, now: datetime) -> None:
        super().__init__(token_url, alg=algorithm)
        self._key = key
        self._now = now

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """Return the signed assertion for this client.

        Its audience is the token endpoint, wherever it is sent (SMART App Launch).
        """
        return str(
            private_key_jwt_sign(
                self._key,
                client_id=auth.client_id,
                token_endpoint=self.token_endpoint or token_endpoint,
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
    aud: str,
    scope: str,
    state: str,
    verifier: str,
    nonce: str,
    launch: str | None,
) -> str:
    """Return the URL to send the browser to: code flow, PKCE S256.

    ``aud`` is the FHIR base as the EHR wrote it: servers compare it letter for letter.
    """
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
            aud=aud,
            **extra,
        )
    return str(url)


class TokenClient:
    """Asks token endpoints as this app: exchanges, renews and ends tokens."""

    def __init__(self, ports: SmartPorts) -> None:
        self._ports = ports

    def exchange(
        self,
        endpoint: Endpoint,
        url: str,
        *,
        redirect_uri: str,
        code: str,
        verifier: Secret,
    ) -> dict[str, Any]:
        """Exchange a code, once; return the answer as it came.

        Raises LaunchError T1 when the server refuses, does not answer or breaks a
        bound.
        """
        try:
            with self._open(endpoint, url, redirect_uri) as session:
                return _object(
                    session.fetch_token(
                        url,
                        grant_type="authorization_code",
                        code=code,
                        code_verifier=verifier.reveal(),
                        allow_redirects=False,
                    )
                )
        except FAULTS as error:
            raise LaunchError(
                "The EHR did not exchange the sign-in for access. Nothing was opened. "
                "Open this app again from the chart.",
                code="T1",
                status=502,
                said=_told(error),
            ) from error

    def renew(
        self,
        endpoint: Endpoint,
        url: str,
        refresh_token: Secret,
        active_at: int | None = None,
    ) -> dict[str, Any]:
        """Ask for a new access token; return the answer as it came.

        ``active_at`` is how many seconds ago the user was last seen, where that is asked.

        Raises NotRenewedError, which says what is known of the refresh token now.
        """
        try:
            with self._open(endpoint, url) as session:
                return _object(
                    session.refresh_token(
                        url,
                        refresh_token=refresh_token.reveal(),
                        allow_redirects=False,
                        **({} if active_at is None else {"active_at": str(active_at)}),
                    )
                )
        except FAULTS as error:
            told = isinstance(error, OAuthError)
            answered = told or getattr(error, "response", None) is not None
            raise NotRenewedError(
                _told(error),
                refused=isinstance(error, OAuthError) and error.error not in PASSING,
                spent=not answered,
            ) from error

    def end(
        self, endpoint: Endpoint, server: AuthorizationServer, token: Secret, kind: str
    ) -> bool:
        """Revoke a token (RFC 7009); tell whether the server took it."""
        url = server.revocation_endpoint
        if url is None:
            return False
        try:
            with self._open(endpoint, url, audience=server.token_endpoint) as session:
                answer = session.revoke_token(
                    url,
                    token=token.reveal(),
                    token_type_hint=kind,
                    allow_redirects=False,
                )
        except FAULTS:
            return False
        return bool(answer.status_code == 200)

    def _open(
        self,
        endpoint: Endpoint,
        url: str,
        redirect_uri: str | None = None,
        *,
        audience: str | None = None,
    ) -> OAuth2Session:
        app, ports = endpoint.app, self._ports
        basic = app.authentication == "client_secret_basic"
        secret = ports.client_secret(endpoint.id) if basic else None
        clear = secret.reveal() if secret else None
        # SMART joins the two as they are; RFC 6749 2.3.1 encodes them first.
        encoded = clear and endpoint.profile.get("secret_encoded")
        session = TokenSession(
            quote_plus(app.client_id or "") if encoded else app.client_id,
            quote_plus(clear) if clear and encoded else clear,
            redirect_uri=redirect_uri,
            token_endpoint_auth_method=app.authentication,
            revocation_endpoint_auth_method=app.authentication,
            default_timeout=TIMEOUT_SECONDS,
        )
        ports.bound(session, endpoint, url)
        for kind in ("access_token_response", "refresh_token_response"):
            session.register_compliance_hook(kind, _require_json)
        if app.authentication == "private_key_jwt":
            key, now = ports.signing_key(app.algorithm), ports.clock.now()
            session.register_client_auth_method(
                SmartAssertion(audience or url, key, app.algorithm, now)
            )
        return session


class NotRenewedError(Exception):
    """A token was not renewed.

    ``refused`` is the server's word that it never will be; ``spent`` says that nobody
    knows whether the refresh token was used, for no answer came.
    """

    def __init__(self, said: str, *, refused: bool, spent: bool) -> None:
        super().__init__(said)
        self.said = said
        self.refused = refused
        self.spent = spent


def clean_text(value: Any, longest: int = LONGEST_TEXT) -> str:
    """Return what may be shown of a server's own words: one line, bounded."""
    text = value if isinstance(value, str) else ""
    plain = "".join(char if char.isprintable() else " " for char in text[: longest + 1])
    return plain if len(plain) <= longest else f"{plain[:longest]}…"


def _told(error: Exception) -> str:
    if isinstance(error, OAuthError):
        words = (clean_text(error.error), clean_text(error.description))
        return ": ".join(word for word in words if word)
    if isinstance(error, UnusableAnswerError):
        return str(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP {status}" if status else "no usable answer"


def _require_json(answer: Any) -> Any:
    # JSON says itself how it is written (RFC 8259): UTF-8, also after a byte order mark.
    answer.encoding = None
    if answer.status_code < 400:
        try:
            answer.json()
        except ValueError:
            raise UnusableAnswerError(answer) from None
    return answer


def _object(answer: Any) -> dict[str, Any]:
    return dict(answer) if isinstance(answer, dict) else {}
