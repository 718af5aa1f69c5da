"""The token endpoint: codes, refresh tokens and assertions become access tokens.

It may not show a page. Source: RFC 6749 sections 4.1.3, 4.4, 5 and 6; RFC 7636
section 4.6; SMART App Launch 2.2, "Backend Services".
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from middleware.sandbox.authentication import read_form
from middleware.sandbox.authority import (
    Authority,
    has_system_scopes_only,
    read_authority,
)
from middleware.sandbox.clients import Client
from middleware.sandbox.oauth_fault import (
    OAuthFault,
    answer_fault,
    keep_out_of_caches,
)
from middleware.sandbox.scopes import find_uncovered, parse_scopes

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

routes = Blueprint("token", __name__)
Form = dict[str, str]


@routes.post("/oauth/token")
def exchange() -> Response:
    """Answer a token response, or the refusal in RFC 6749's words."""
    authority = read_authority()
    try:
        body = _exchange(authority, read_form(request))
    except OAuthFault as fault:
        return answer_fault(fault)
    return keep_out_of_caches(jsonify(body))


def _exchange(authority: Authority, form: Form) -> dict[str, Any]:
    header = request.headers.get("Authorization")
    client = authority.authentication.identify(form, header, authority.clock.now())
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise OAuthFault("invalid_request", "grant_type is missing")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthFault("unsupported_grant_type", "no such grant type here")
    if grant_type not in client.grant_types:
        raise OAuthFault("unauthorized_client", f"not registered for {grant_type}")
    return grant(authority, client, form)


def grant_code(authority: Authority, client: Client, form: Form) -> dict[str, Any]:
    """Answer the token response for an authorization code, which is then spent.

    A code that comes again revokes what came of it (RFC 6749 section 4.1.2).
    """
    raw = _required(form, "code")
    with authority.exchanging:
        code = authority.codes.take(raw)
        if code is None:
            replayed = authority.codes.taken(raw)
            if replayed is not None:
                authority.revoke(replayed.family)
            raise OAuthFault("invalid_grant", "the code is unknown, used or expired")
        if code.client_id != client.client_id:
            raise OAuthFault("invalid_grant", "the code is another client's")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthFault("invalid_grant", "redirect_uri is not the code's")
        if not _verifies(form.get("code_verifier", ""), code.challenge):
            raise OAuthFault("invalid_grant", "code_verifier does not match")
        return authority.redeem(code, client)


def grant_refresh(authority: Authority, client: Client, form: Form) -> dict[str, Any]:
    """Answer the token response for a refresh token, which is then replaced.

    An old token means that somebody copied one: the whole family ends.
    """
    raw = _required(form, "refresh_token")
    refreshes = authority.refreshes
    with authority.exchanging:
        family = refreshes.find(raw)
        if family is None or family.client_id != client.client_id:
            raise OAuthFault("invalid_grant", "the refresh token is not known")
        if not refreshes.is_current(raw):
            authority.revoke(family.id)
            raise OAuthFault(
                "invalid_grant", "the refresh token is used or expired; launch again"
            )
        scopes = _wanted(form, family.scopes) if "scope" in form else family.scopes
        body = authority.respond(family.client_id, scopes, family.context, family.id)
        body["refresh_token"] = refreshes.rotate(raw)
        return body


def grant_backend(authority: Authority, client: Client, form: Form) -> dict[str, Any]:
    """Answer the token response for a backend service: no refresh, no context."""
    scopes = _wanted(form, client.scope)
    if not has_system_scopes_only(scopes):
        raise OAuthFault("invalid_scope", "backend services have system scopes only")
    return authority.respond_backend(client.client_id, scopes)


GRANTS: dict[str, Callable[[Authority, Client, Form], dict[str, Any]]] = {
    "authorization_code": grant_code,
    "refresh_token": grant_refresh,
    "client_credentials": grant_backend,
}


def _wanted(form: Form, granted: tuple[str, ...]) -> tuple[str, ...]:
    try:
        scopes = parse_scopes(_required(form, "scope"))
    except ValueError as error:
        raise OAuthFault("invalid_scope", str(error)) from error
    refused = find_uncovered(granted, scopes)
    if refused or not scopes:
        raise OAuthFault("invalid_scope", f"not granted: {' '.join(refused)}")
    return scopes


def _required(form: Form, name: str) -> str:
    if name not in form:
        raise OAuthFault("invalid_request", f"{name} is missing")
    return form[name]


def _verifies(verifier: str, challenge: str) -> bool:
    if not VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def register(app: Flask) -> None:
    """Mount the endpoint."""
    app.register_blueprint(routes)
