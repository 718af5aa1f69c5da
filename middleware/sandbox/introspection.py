"""What a token is worth, and the end of one: /oauth/introspect, /oauth/revoke.

It may not issue. Source: RFC 7662; RFC 7009; SMART App Launch 2.2, "Token
Introspection".
"""

from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request

from middleware.sandbox.access import Grant
from middleware.sandbox.authentication import read_form
from middleware.sandbox.authority import Authority, read_authority
from middleware.sandbox.oauth_fault import (
    OAuthFault,
    answer_fault,
    keep_out_of_caches,
)

routes = Blueprint("introspection", __name__)


@routes.post("/oauth/introspect")
def introspect() -> Response:
    """Answer what an access token grants; only that it is not active otherwise.

    The caller is a confidential client, or bears an access token of its own.
    """
    authority = read_authority()
    try:
        form = read_form(request)
        _admit(authority, form)
        token = _token(form)
    except OAuthFault as fault:
        return answer_fault(fault)
    grant = authority.tokens.lookup(token)
    body = {"active": False} if grant is None else _describe(authority, grant)
    return keep_out_of_caches(jsonify(body))


@routes.post("/oauth/revoke")
def revoke() -> Response:
    """End a token of the calling client; 200 even when there was none to end."""
    authority = read_authority()
    try:
        form = read_form(request)
        header = request.headers.get("Authorization")
        now = authority.clock.now()
        client = authority.authentication.identify(form, header, now)
        token = _token(form)
    except OAuthFault as fault:
        return answer_fault(fault)
    family = authority.refreshes.find(token)
    if family is not None and family.client_id == client.client_id:
        authority.revoke(family.id)
    grant = authority.tokens.lookup(token)
    if grant is not None and grant.client_id == client.client_id:
        authority.tokens.revoke(token)
    return keep_out_of_caches(Response(status=200))


def _admit(authority: Authority, form: dict[str, str]) -> None:
    header = request.headers.get("Authorization")
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        if authority.tokens.lookup(token) is None:
            raise OAuthFault(
                "invalid_token",
                "the bearer token is not active",
                401,
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return
    now = authority.clock.now()
    client = authority.authentication.identify(form, header, now)
    if client.proves_by("none"):
        raise OAuthFault("invalid_client", "public clients may not introspect", 401)


def _token(form: dict[str, str]) -> str:
    if "token" not in form:
        raise OAuthFault("invalid_request", "token is missing")
    return form["token"]


def _describe(authority: Authority, grant: Grant) -> dict[str, Any]:
    body: dict[str, Any] = {
        "active": True,
        "scope": " ".join(sorted(grant.scopes)),
        "client_id": grant.client_id,
        "token_type": "Bearer",
        "exp": int(grant.expires_at.timestamp()),
        "iss": authority.issuer,
    }
    if grant.patient is not None:
        body["patient"] = grant.patient
    if grant.encounter is not None:
        body["encounter"] = grant.encounter
    if grant.user is not None:
        body["sub"] = authority.subject(grant.user)
        if "fhirUser" in grant.scopes:
            body["fhirUser"] = f"{authority.issuer}/{grant.user}"
    return body


def register(app: Flask) -> None:
    """Mount the endpoints."""
    app.register_blueprint(routes)
