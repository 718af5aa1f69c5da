"""The apps that the sandbox knows: registered, checked and kept.

It may not authenticate anybody; it holds what was registered. Secrets go in and
never come out again.
"""

import threading
from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask

from middleware.sandbox.addresses import is_loopback
from middleware.sandbox.journal import Journal
from middleware.sandbox.key_sets import read_key_set
from middleware.sandbox.scopes import parse_scopes

KIND = "client"
GRANT_TYPES = frozenset({"authorization_code", "refresh_token", "client_credentials"})
METHODS = frozenset({"private_key_jwt", "client_secret_basic", "none"})
MINIMUM_SECRET = 16


@dataclass(frozen=True)
class Client:
    """One registered app, in the words of RFC 7591; `scope` is what it may ask."""

    client_id: str
    client_name: str
    grant_types: tuple[str, ...]
    token_endpoint_auth_method: str
    scope: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()
    launch_uri: str | None = None
    jwks_uri: str | None = None
    jwks: dict[str, Any] | None = None
    client_secret: str | None = None

    def proves_by(self, method: str) -> bool:
        """Tell whether this is how the client authenticates."""
        return self.token_endpoint_auth_method == method

    def public(self) -> dict[str, Any]:
        """Answer the registration without its secret, absent members left out."""
        shown = {**asdict(self), "scope": " ".join(self.scope)}
        shown.pop("client_secret")
        return {name: value for name, value in shown.items() if value not in (None, ())}


def read_client(body: Any) -> Client:
    """Answer the client that a registration says.

    ValueError says what is wrong; nothing is guessed or mended.
    """
    if not isinstance(body, dict):
        raise ValueError("a registration is one JSON object")  # noqa: TRY004 (bad input)
    strange = sorted(set(body) - set(Client.__dataclass_fields__))
    if strange:
        raise ValueError(f"unknown members: {', '.join(strange)}")
    client = Client(
        client_id=_text(body, "client_id"),
        client_name=str(body.get("client_name") or body["client_id"]),
        grant_types=_list(body, "grant_types"),
        token_endpoint_auth_method=_text(body, "token_endpoint_auth_method"),
        scope=parse_scopes(_text(body, "scope")),
        redirect_uris=_list(body, "redirect_uris"),
        launch_uri=body.get("launch_uri"),
        jwks_uri=body.get("jwks_uri"),
        jwks=body.get("jwks"),
        client_secret=body.get("client_secret"),
    )
    _check_grants(client)
    _check_secrets(client)
    _check_addresses(client)
    return client


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is missing or is not a text")
    return value


def _list(body: dict[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(i, str) for i in value):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(value)


def _check_grants(client: Client) -> None:
    unknown = set(client.grant_types) - GRANT_TYPES
    if unknown or not client.grant_types:
        raise ValueError(f"grant_types are some of {', '.join(sorted(GRANT_TYPES))}")
    method = client.token_endpoint_auth_method
    if method not in METHODS:
        raise ValueError(
            f"token_endpoint_auth_method is one of {', '.join(sorted(METHODS))}"
        )
    if "client_credentials" in client.grant_types and method != "private_key_jwt":
        raise ValueError("client_credentials needs private_key_jwt")
    if "authorization_code" in client.grant_types and not client.redirect_uris:
        raise ValueError("authorization_code needs redirect_uris")


def _check_secrets(client: Client) -> None:
    method = client.token_endpoint_auth_method
    keys = [key for key in (client.jwks, client.jwks_uri) if key is not None]
    if len(keys) != (1 if method == "private_key_jwt" else 0):
        raise ValueError("private_key_jwt, and it alone, has one of jwks and jwks_uri")
    if (client.client_secret is not None) != (method == "client_secret_basic"):
        raise ValueError("client_secret_basic, and it alone, has a client_secret")
    if client.client_secret is not None and len(client.client_secret) < MINIMUM_SECRET:
        raise ValueError(f"client_secret has fewer than {MINIMUM_SECRET} characters")
    if client.jwks_uri is not None and not is_loopback(client.jwks_uri):
        raise ValueError("jwks_uri is not on this machine")
    if client.jwks is not None:
        read_key_set(client.jwks)


def _check_addresses(client: Client) -> None:
    launch = [client.launch_uri] if client.launch_uri is not None else []
    for url in (*client.redirect_uris, *launch):
        if not is_loopback(url) or "#" in url:
            raise ValueError("a redirect or launch URI is not on this machine")


class Clients:
    """The registered clients, kept in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        for record in journal.recorded(KIND):
            client = read_client(record)
            self._clients[client.client_id] = client

    def get(self, client_id: str) -> Client | None:
        """Answer a client by its id; None when it is not registered."""
        with self._lock:
            return self._clients.get(client_id)

    def all(self) -> list[Client]:
        """Answer all clients, in the order of their registration."""
        with self._lock:
            return list(self._clients.values())

    def launchable(self) -> list[Client]:
        """Answer the clients that can be launched from a chart."""
        return [client for client in self.all() if client.launch_uri]

    def insert(self, client: Client, replace: bool) -> bool | None:
        """Keep a client; tell whether it is new, None when it may not replace."""
        with self._lock:
            new = client.client_id not in self._clients
            if not new and not replace:
                return None
            if self._clients.get(client.client_id) != client:
                self._clients[client.client_id] = client
                self._journal.append(KIND, _record(client))
            return new


def _record(client: Client) -> dict[str, Any]:
    kept = {**asdict(client), "scope": " ".join(client.scope)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in kept.items()
        if value is not None
    }


def register(app: Flask) -> None:
    """Put the clients into the application."""
    app.extensions["clients"] = Clients(app.extensions["journal"])
