"""Which client speaks to the token, introspection and revocation endpoints.

It may not issue anything. A client proves itself in the one way that it
registered, and in no other. Source: RFC 6749 section 2.3.
"""

import base64
import binascii
import hmac
from datetime import datetime

from flask import Request
from werkzeug.datastructures import MultiDict

from middleware.sandbox.assertions import Assertions, peek, refuse
from middleware.sandbox.clients import Client, Clients
from middleware.sandbox.oauth_fault import OAuthFault

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"


class Authentication:
    """Finds the client of a request and makes it prove itself."""

    def __init__(self, clients: Clients, assertions: Assertions) -> None:
        self._clients = clients
        self._assertions = assertions

    def identify(
        self, form: dict[str, str], header: str | None, now: datetime
    ) -> Client:
        """Answer the client; OAuthFault when it cannot be told or is not proven."""
        asserted = "client_assertion" in form or "client_assertion_type" in form
        if "client_secret" in form:
            raise refuse("client_secret in the form is not accepted; use HTTP Basic")
        if header and asserted:
            raise OAuthFault("invalid_request", "two ways of authentication at once")
        if header:
            return self._by_secret(form, header)
        if asserted:
            return self._by_assertion(form, now)
        return self._by_name(form)

    def _by_secret(self, form: dict[str, str], header: str) -> Client:
        client_id, secret = _read_basic(header)
        client = self._clients.get(client_id)
        known = client.client_secret if client else None
        # Compared even for an unknown client, so that time does not tell.
        same = hmac.compare_digest((known or "").encode(), secret.encode())
        if client is None or known is None or not same:
            raise _challenge("unknown client or wrong secret")
        return _same_id(client, form)

    def _by_assertion(self, form: dict[str, str], now: datetime) -> Client:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise refuse(f"client_assertion_type is not {ASSERTION_TYPE}")
        raw = form.get("client_assertion", "")
        _, claims = peek(raw)
        client = self._clients.get(str(claims.get("sub")))
        if client is None or not client.proves_by("private_key_jwt"):
            raise refuse("no such client, or it does not use private_key_jwt")
        self._assertions.verify(raw, _same_id(client, form), now)
        return client

    def _by_name(self, form: dict[str, str]) -> Client:
        client = self._clients.get(form.get("client_id", ""))
        if client is None or not client.proves_by("none"):
            raise refuse("the client did not authenticate")
        return client


def read_form(request: Request) -> dict[str, str]:
    """Answer the form of a request, each parameter once, empty ones left out.

    OAuthFault invalid_request for another content type, for parameters in the
    URL and for repeated ones. Source: RFC 6749 sections 2.3.1 and 3.2.
    """
    if request.mimetype != FORM:
        raise OAuthFault("invalid_request", f"the content type is not {FORM}")
    if request.args:
        raise OAuthFault("invalid_request", "parameters belong in the body")
    return read_once(request.form)


def read_once(values: MultiDict[str, str]) -> dict[str, str]:
    """Answer parameters as a plain dict; OAuthFault when one is repeated."""
    found = {name: values.getlist(name) for name in values}
    if any(len(each) > 1 for each in found.values()):
        raise OAuthFault("invalid_request", "a parameter is repeated")
    return {name: each[0] for name, each in found.items() if each[0]}


def _read_basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise _challenge("the Authorization header is not HTTP Basic")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _challenge("the Authorization header cannot be read") from error
    client_id, _, secret = text.partition(":")
    return client_id, secret


def _same_id(client: Client, form: dict[str, str]) -> Client:
    if form.get("client_id", client.client_id) != client.client_id:
        raise refuse("client_id in the form is another client")
    return client


def _challenge(sentence: str) -> OAuthFault:
    headers = {"WWW-Authenticate": 'Basic realm="oauth", charset="UTF-8"'}
    return OAuthFault("invalid_client", sentence, 401, headers)
