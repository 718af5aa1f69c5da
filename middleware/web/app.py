"""The public listener: notifications, provider callbacks, our keys and health.

The SMART app's blueprint and the receiver are mounted by wiring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from flask import Blueprint, Flask, Response

from mappings.errors import BadInputError, CareCueError
from middleware.web import security
from middleware.web.health import add_health

BODY_LIMIT = 6 * 1024 * 1024


@dataclass(frozen=True)
class PublicPorts:
    """What the public listener is given: its parts, our public keys, a health probe.

    ``hooks`` takes what comes below /hooks/ without Flask, which would cost more than
    all that it does.
    """

    blueprints: Sequence[Blueprint]
    public_jwks: Callable[[], dict[str, Any]]
    ready: Callable[[], str | None]
    hooks: WSGIApplication | None = None


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
    if ports.hooks is not None:
        mounted = _mount(app.wsgi_app, ports.hooks)
        app.wsgi_app = mounted  # type: ignore[assignment,method-assign]
    return app


def _mount(pages: WSGIApplication, hooks: WSGIApplication) -> WSGIApplication:
    """Hand what comes below /hooks/ to the receiver, everything else to Flask."""
    fixed = list(security.HEADERS.items())

    def dispatch(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if not f"{environ['PATH_INFO']}/".startswith("/hooks/"):
            return pages(environ, start)

        def begin(status: str, headers: list[tuple[str, str]]) -> Any:
            return start(status, [*headers, *fixed])

        return hooks(environ, cast("StartResponse", begin))

    return dispatch


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
