"""The authorization server's memory and its one way of making a token response.

It may not read requests; the endpoints do, and ask it.
Source: SMART App Launch 2.2, "Launch context arrives with your access_token".
"""

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from middleware.sandbox.access import Tokens
from middleware.sandbox.authentication import Authentication
from middleware.sandbox.authorization import Request
from middleware.sandbox.clients import Client, Clients
from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.keys import SigningKeys
from middleware.sandbox.launches import (
    CODE_LIFE,
    LAUNCH_LIFE,
    PENDING_LIFE,
    Code,
    Context,
    Launch,
    OneTime,
    Refreshes,
)
from middleware.sandbox.scopes import parse_scope

USER_TOKEN_LIFE = timedelta(minutes=10)
BACKEND_TOKEN_LIFE = timedelta(seconds=300)
ID_TOKEN_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class Pending:
    """An authorization that waits for a person; `user` is None before the log-in."""

    request: Request
    user: str | None = None


class Authority:
    """Launches, codes, refresh tokens and access tokens of the sandbox.

    `issuer` is the FHIR base, `base_url` the same without `/fhir`.
    """

    def __init__(
        self,
        *,
        clock: SandboxClock,
        tokens: Tokens,
        keys: SigningKeys,
        clients: Clients,
        refreshes: Refreshes,
        authentication: Authentication,
        base_url: str,
    ) -> None:
        self.clock = clock
        self.tokens = tokens
        self.keys = keys
        self.clients = clients
        self.authentication = authentication
        self.refreshes = refreshes
        self.base_url = base_url
        self.issuer = f"{base_url}/fhir"
        self.launches: OneTime[Launch] = OneTime(clock, LAUNCH_LIFE)
        self.pending: OneTime[Pending] = OneTime(clock, PENDING_LIFE)
        self.codes: OneTime[Code] = OneTime(clock, CODE_LIFE)
        # Held while a code or refresh token is exchanged, so that a replay
        # at the same moment finds the tokens that it has to revoke.
        self.exchanging = threading.Lock()

    def grant_code(self, request: Request, context: Context) -> str:
        """Answer an authorization code for a request that a person allowed."""
        code = Code(
            request.client.client_id,
            request.redirect_uri,
            request.scopes,
            request.challenge,
            request.nonce,
            context,
            secrets.token_urlsafe(16),
        )
        return self.codes.put(code)

    def redeem(self, code: Code, client: Client) -> dict[str, Any]:
        """Answer the token response for a code."""
        body = self.respond(code.client_id, code.scopes, code.context, code.family)
        if "openid" in code.scopes:
            body["id_token"] = self._sign_id_token(code)
        offline = "offline_access" in code.scopes
        if "refresh_token" in client.grant_types and (
            offline or "online_access" in code.scopes
        ):
            body["refresh_token"] = self.refreshes.begin(code, offline)
        return body

    def respond(
        self, client_id: str, scopes: tuple[str, ...], context: Context, family: str
    ) -> dict[str, Any]:
        """Answer a token response with its context, without id and refresh token."""
        token = self.tokens.issue(
            client_id,
            frozenset(scopes),
            USER_TOKEN_LIFE,
            patient=context.patient,
            user=context.user,
            encounter=context.encounter,
            family=family,
        )
        body: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(USER_TOKEN_LIFE.total_seconds()),
            "scope": " ".join(scopes),
        }
        if context.patient is not None:
            body["patient"] = context.patient
        if context.encounter is not None:
            body["encounter"] = context.encounter
        body["need_patient_banner"] = context.need_patient_banner
        body["smart_style_url"] = f"{self.base_url}/ehr/smart-style.json"
        return body

    def respond_backend(
        self, client_id: str, scopes: tuple[str, ...]
    ) -> dict[str, Any]:
        """Answer a token response for a backend service."""
        return {
            "access_token": self.tokens.issue(
                client_id, frozenset(scopes), BACKEND_TOKEN_LIFE
            ),
            "token_type": "Bearer",
            "expires_in": int(BACKEND_TOKEN_LIFE.total_seconds()),
            "scope": " ".join(scopes),
        }

    def revoke(self, family: str) -> None:
        """End an authorization: its access tokens and its refresh tokens."""
        self.tokens.revoke_family(family)
        self.refreshes.end(family)

    def subject(self, user: str) -> str:
        """Answer the stable, opaque `sub` of a user such as Practitioner/p1."""
        return hashlib.sha256(f"{self.issuer} {user}".encode()).hexdigest()[:32]

    def _sign_id_token(self, code: Code) -> str:
        now: datetime = self.clock.now()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject(code.context.user),
            "aud": code.client_id,
            "iat": int(now.timestamp()),
            "exp": int((now + ID_TOKEN_LIFE).timestamp()),
        }
        if "fhirUser" in code.scopes:
            claims["fhirUser"] = f"{self.issuer}/{code.context.user}"
        if code.nonce is not None:
            claims["nonce"] = code.nonce
        return self.keys.sign(claims)


def wants_encounter(scopes: tuple[str, ...]) -> bool:
    """Tell whether an encounter in context may be told to the app."""
    return "launch" in scopes or "launch/encounter" in scopes


def has_system_scopes_only(scopes: tuple[str, ...]) -> bool:
    """Tell whether every word is a system-level resource scope."""
    parsed = [parse_scope(word) for word in scopes]
    return all(scope is not None and scope.level == "system" for scope in parsed)


def read_authority() -> Authority:
    """Answer the authority of the application that handles this request."""
    authority: Authority = current_app.extensions["smart"]
    return authority
