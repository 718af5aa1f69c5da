"""Registration over HTTP: /sandbox/clients, for whoever runs the sandbox.

It may not decide what a good registration is; clients.py does.
"""

from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, request

from middleware.sandbox.clients import Clients, read_client

routes = Blueprint("clients", __name__, url_prefix="/sandbox/clients")


@routes.get("")
def list_clients() -> Response:
    """Answer all registrations, without secrets."""
    return jsonify(clients=[client.public() for client in _clients().all()])


@routes.get("/<client_id>")
def show_client(client_id: str) -> tuple[Response, int]:
    """Answer one registration, without its secret."""
    client = _clients().get(client_id)
    if client is None:
        return _refuse("no client is registered under this id", 404)
    return jsonify(client.public()), 200


@routes.post("")
def register_client() -> tuple[Response, int]:
    """Register a client; 409 when the id is taken."""
    return _keep(request.get_json(silent=True), replace=False)


@routes.put("", defaults={"client_id": None})
@routes.put("/<client_id>")
def put_client(client_id: str | None) -> tuple[Response, int]:
    """Register a client, or replace the one with this id."""
    body = request.get_json(silent=True)
    if isinstance(body, dict) and client_id is not None:
        body.setdefault("client_id", client_id)
        if body["client_id"] != client_id:
            return _refuse("client_id in the body differs from the address", 400)
    return _keep(body, replace=True)


def _keep(body: Any, replace: bool) -> tuple[Response, int]:
    try:
        client = read_client(body)
    except ValueError as error:
        return _refuse(str(error), 400)
    new = _clients().insert(client, replace)
    if new is None:
        return _refuse("the id is taken; PUT replaces a registration", 409)
    return jsonify(client.public()), 201 if new else 200


def _refuse(sentence: str, status: int) -> tuple[Response, int]:
    # The word is RFC 7591's (section 3.2.2) for every registration that fails.
    return jsonify(error="invalid_client_metadata", error_description=sentence), status


def _clients() -> Clients:
    clients: Clients = current_app.extensions["clients"]
    return clients


def register(app: Flask) -> None:
    """Mount the routes."""
    app.register_blueprint(routes)
