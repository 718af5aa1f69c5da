"""The administrators' console: endpoints, events, holds, the simulated clock.

On a listener of its own, opened by a one-time link from the command line. It shows
patients by id only; what the chart says is shown for a reason that is audited.
"""

from __future__ import annotations

import orjson
from flask import Flask, Response, send_file
from werkzeug.exceptions import HTTPException

from mappings.errors import BadInputError, CareCueError
from middleware.desk.look import LOOK
from middleware.web import security
from middleware.web.console_acting import add_acting
from middleware.web.console_door import add_login, register_door
from middleware.web.console_ports import ConsolePorts
from middleware.web.console_reading import add_reading
from middleware.web.console_shell import notice, register_words
from middleware.web.health import add_health
from middleware.web.metrics import write_metrics

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FORM_LIMIT = 64 * 1024
STATIC_PATH = "/console/static"


def create_console_app(ports: ConsolePorts) -> Flask:
    """Compose the console's WSGI application, with /metrics and /health beside it."""
    app = Flask("middleware.web", static_folder="static", static_url_path=STATIC_PATH)
    app.add_url_rule(f"{STATIC_PATH}/{LOOK.name}", "look", lambda: send_file(LOOK))
    app.config["MAX_CONTENT_LENGTH"] = FORM_LIMIT
    app.jinja_env.autoescape = True
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    security.register(app, framed=False)
    register_words(app)
    register_door(app, ports)
    add_login(app, ports)
    add_reading(app, ports)
    add_acting(app, ports)
    add_health(app, ports.ready)
    _add_metrics(app, ports)
    app.register_error_handler(CareCueError, _explain)
    app.register_error_handler(HTTPException, _name)
    return app


def _add_metrics(app: Flask, ports: ConsolePorts) -> None:
    @app.get("/metrics")
    def metrics() -> Response:
        with ports.database.tx() as tx:
            text = write_metrics(
                tx, ports.clock.now(), ports.plans, ports.content_fault()
            )
        return Response(text, content_type=METRICS_TYPE)


def _explain(error: CareCueError) -> tuple[str, int]:
    status = 400 if isinstance(error, BadInputError) else 503
    text = error.message[:1].upper() + error.message[1:]
    return notice(status, "That did not work", text)


def _name(error: HTTPException) -> Response | tuple[str, int]:
    if error.code is None or error.code < 400:
        return Response(orjson.dumps({"error": error.name}), status=error.code or 500)
    text = "Nothing was changed. Check the address, or go back to the overview."
    return notice(error.code, error.name.capitalize(), text)
