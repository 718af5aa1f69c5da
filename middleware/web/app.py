"""The public listener: notifications, provider callbacks, our keys and health.

The SMART app's blueprint is mounted by wiring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Flask, Response

from mappings.errors import BadInputError, CareCueError
from middleware.web import security
from middleware.web.health import add_health

BODY_LIMIT = 6 * 1024 * 1024


@dataclass(frozen=True)
class PublicPorts:
    """What the public listener is given: its parts, our public keys, a health probe."""

    blueprints: Sequence[Blueprint]
    public_jwks: Callable[[], dict[str, Any]]
    ready: Callable[[], str | None]


def create_public_app(ports: PublicPorts) -> Flask:
    """Compose the public WSGI application."""
    app = Flask("middleware.web", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_LIMIT
    security.register(app)
    for blueprint in ports.blueprints:
        app.register_blueprint(blueprint)
    _add_keys(app, ports)
    add_health(app, ports.ready)
    app.register_error_handler(CareCueError, _refuse)
    return app


def _add_keys(app: Flask, ports: PublicPorts) -> None:
    @app.get("/.well-known/jwks.json")
    def jwks() -> Response:
        answer = Response(
            orjson.dumps(ports.public_jwks()), content_type="application/json"
        )
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer


def _refuse(error: CareCueError) -> Response:
    """Say what kind of fault it was; its words may name parts of this installation."""
    bad = isinstance(error, BadInputError)
    body = {
        "error": type(error).__name__,
        "message": error.message if bad else "Nothing was lost. Please try again.",
    }
    return Response(
        orjson.dumps(body),
        status=400 if bad else 503,
        content_type="application/json",
    )
