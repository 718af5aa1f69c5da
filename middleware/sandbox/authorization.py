"""An authorization request, read and judged before anybody signs in.

It may not answer HTTP or remember anything. Source: SMART App Launch 2.2,
"Obtain authorization code"; RFC 6749 section 4.1; RFC 7636.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

from middleware.sandbox.clients import Client, Clients
from middleware.sandbox.oauth_fault import OAuthFault
from middleware.sandbox.scopes import find_uncovered, parse_scope, parse_scopes

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
LONGEST = 4096


@dataclass(frozen=True)
class Request:
    """A request that may go on: every part was checked against the client."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    challenge: str
    nonce: str | None
    launch: str | None

    @property
    def wants_patient(self) -> bool:
        """Tell whether a patient has to be in context."""
        words = (parse_scope(word) for word in self.scopes)
        return "launch/patient" in self.scopes or any(
            scope is not None and scope.level == "patient" for scope in words
        )


class AuthorizationFault(OAuthFault):
    """A refusal that is told to the app at `redirect_uri`; None: shown as a page."""

    def __init__(
        self,
        error: str,
        description: str,
        redirect_uri: str | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(error, description)
        self.redirect_uri = redirect_uri
        self.state = state


def read_request(params: dict[str, str], clients: Clients, aud: str) -> Request:
    """Answer the request that the parameters say; `aud` is our FHIR base.

    AuthorizationFault is a page until client and redirect URI are known to be
    good (RFC 6749 section 4.1.2.1), and goes to the app after that.
    """
    client = clients.get(params.get("client_id", ""))
    if client is None:
        raise AuthorizationFault("invalid_request", "This app is not registered here.")
    redirect_uri = params.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris:
        raise AuthorizationFault(
            "invalid_request", "The app's return address is not the registered one."
        )
    try:
        return _read_rest(params, client, redirect_uri, aud)
    except OAuthFault as fault:
        raise AuthorizationFault(
            fault.error, fault.description, redirect_uri, params.get("state")
        ) from fault


def extend(url: str, **params: str | None) -> str:
    """Answer a URL with parameters added to its query; None ones are left out."""
    parts = urlsplit(url)
    added = urlencode({name: v for name, v in params.items() if v is not None})
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))


def _read_rest(
    params: dict[str, str], client: Client, redirect_uri: str, aud: str
) -> Request:
    if any(len(value) > LONGEST for value in params.values()):
        raise OAuthFault("invalid_request", f"a parameter is over {LONGEST} long")
    if "authorization_code" not in client.grant_types:
        raise OAuthFault("unauthorized_client", "not registered for this grant")
    if params.get("response_type") != "code":
        raise OAuthFault("unsupported_response_type", "response_type is not code")
    if "state" not in params:
        raise OAuthFault("invalid_request", "state is missing")
    if params.get("aud") != aud:
        raise OAuthFault("invalid_request", f"aud is not {aud}")
    if params.get("code_challenge_method") != "S256":
        raise OAuthFault("invalid_request", "code_challenge_method is not S256")
    if not CHALLENGE.fullmatch(params.get("code_challenge", "")):
        raise OAuthFault("invalid_request", "code_challenge is not a SHA-256")
    scopes = _read_scopes(params, client)
    if ("launch" in scopes) != ("launch" in params):
        raise OAuthFault("invalid_request", "launch and its scope go together")
    return Request(
        client,
        redirect_uri,
        scopes,
        params["state"],
        params["code_challenge"],
        params.get("nonce"),
        params.get("launch"),
    )


def _read_scopes(params: dict[str, str], client: Client) -> tuple[str, ...]:
    try:
        scopes = parse_scopes(params.get("scope", ""))
    except ValueError as error:
        raise OAuthFault("invalid_scope", str(error)) from error
    if not scopes:
        raise OAuthFault("invalid_scope", "scope is missing")
    refused = find_uncovered(client.scope, scopes)
    if refused:
        raise OAuthFault("invalid_scope", f"not registered: {' '.join(refused)}")
    parsed = (parse_scope(word) for word in scopes)
    if any(scope is not None and scope.level == "system" for scope in parsed):
        raise OAuthFault("invalid_scope", "system scopes are for backend services")
    return scopes
