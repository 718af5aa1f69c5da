"""The control API that every sandbox has: clock, health and the EHR's own token.

Faults, phones and notifier register their own routes under /sandbox. It has no
authentication: the server listens on loopback only.
"""

from datetime import datetime, timedelta
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app, jsonify, request

from middleware.sandbox.clock import SandboxClock

CLIENT = "sandbox-ehr"
SCOPES = frozenset({"system/*.cruds"})
LIFETIME = timedelta(days=400)

control = Blueprint("control", __name__, url_prefix="/sandbox")


def register(app: Flask) -> None:
    """Serve the control API at /sandbox."""
    app.register_blueprint(control)


@control.get("/health")
def health() -> Response:
    """Say that the server answers."""
    return jsonify(status="ok")


@control.get("/clock")
def read_clock() -> Response:
    """Answer {"now": instant} in simulated time."""
    clock: SandboxClock = current_app.extensions["clock"]
    return jsonify(now=clock.now().isoformat())


@control.post("/clock")
def move_clock() -> tuple[Response, int] | Response:
    """Move the clock: {"now": instant with offset} or {"advance_seconds": n}."""
    clock: SandboxClock = current_app.extensions["clock"]
    asked = _read_json()
    try:
        if set(asked) == {"now"} and isinstance(asked["now"], str):
            clock.set(datetime.fromisoformat(asked["now"]))
        elif set(asked) == {"advance_seconds"} and _is_number(asked["advance_seconds"]):
            clock.advance(timedelta(seconds=asked["advance_seconds"]))
        else:
            return _bad('send {"now": instant} or {"advance_seconds": number}')
    except (ValueError, OverflowError):
        return _bad("that is no ISO instant with an offset, or beyond the calendar")
    return jsonify(now=clock.now().isoformat())


@control.post("/token")
def issue_token() -> Response:
    """Issue a token with system/*.cruds, for the EHR's own staff and for stories."""
    tokens = current_app.extensions["access"].tokens
    token = tokens.issue(CLIENT, SCOPES, LIFETIME)
    return jsonify(
        access_token=token,
        token_type="Bearer",  # noqa: S106 (the kind of token, RFC 6750)
        expires_in=int(LIFETIME.total_seconds()),
        scope=" ".join(sorted(SCOPES)),
    )


def _read_json() -> dict[str, Any]:
    try:
        asked = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(sentence: str) -> tuple[Response, int]:
    return jsonify(error=f"{sentence}; the clock was not moved"), 400
