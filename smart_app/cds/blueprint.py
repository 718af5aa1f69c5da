"""The CDS Hooks services over HTTP: discovery, calls, feedback, and who may call.

Discovery says the same to everybody. A browser's call is let in by the origins that
endpoints name, never by what it says of itself. Source: CDS Hooks 2.0, HTTP API, CORS.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from mappings.errors import CareCueError, CdsError
from smart_app.cds.answering import ROOT, SERVICES, Asked, CdsHooks, Service
from smart_app.cds.calls import LARGEST
from smart_app.cds.ports import CdsPorts
from smart_app.session import asked_language

METHODS = "GET, POST, OPTIONS"
HEADERS = "Authorization, Content-Type"
PREFLIGHT_SECONDS = "600"


def create_cds(ports: CdsPorts) -> Blueprint:
    """Return the blueprint of ``/cds-services``."""
    blueprint = Blueprint("cds", __name__, url_prefix=ROOT)
    hooks = CdsHooks(ports)
    _add_calls(blueprint, ports, hooks)
    _add_errors(blueprint, ports)

    @blueprint.after_request
    def share(response: Response) -> Response:
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin is None:
            return response
        known = {name for item in ports.endpoints() for name in item.cds.origins}
        if origin in known:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = HEADERS
            response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        return response

    return blueprint


def _add_calls(blueprint: Blueprint, ports: CdsPorts, hooks: CdsHooks) -> None:
    @blueprint.get("")
    def discover() -> Response:
        listed = [
            {
                "hook": item.hook,
                "id": item.id,
                "title": item.title,
                "description": item.description,
                "prefetch": item.prefetch,
            }
            for item in SERVICES.values()
        ]
        return _json({"services": listed})

    @blueprint.post("/<service>")
    def call(service: str) -> Response:
        asked = _read_request()
        return _json(hooks.answer(_find(ports, service), asked))

    @blueprint.post("/<service>/feedback")
    def feedback(service: str) -> Response:
        asked = _read_request()
        hooks.take_feedback(_find(ports, service), asked)
        return _json({})


def _add_errors(blueprint: Blueprint, ports: CdsPorts) -> None:
    @blueprint.errorhandler(CdsError)
    def refused(error: CdsError) -> Response:
        response = _json(_outcome(error.code, error.message), error.status)
        if error.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @blueprint.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> Response:
        service = (request.view_args or {}).get("service")
        known = service if service in SERVICES else ""
        ports.desk.note_refused("body-too-large", known)
        words = "The body is larger than 256 KiB. No card was made; nothing was read."
        return _json(_outcome("too-long", words), 413)

    @blueprint.errorhandler(CareCueError)
    def broken(_: CareCueError) -> Response:
        words = "Something of CareCue is not working. No card was made. Try again."
        return _json(_outcome("transient", words), 503)


def _read_request() -> Asked:
    request.max_content_length = LARGEST
    return Asked(
        authorization=request.headers.get("Authorization", ""),
        body=request.get_data(),
        language=asked_language(request),
    )


def _find(ports: CdsPorts, service: str) -> Service:
    found = SERVICES.get(service)
    if found is None:
        ports.desk.note_refused("service-unknown", "")
        raise CdsError(
            f"There is no such service here; GET {ROOT} lists them.",
            status=404,
            reason="service-unknown",
            code="not-found",
        )
    return found


def _outcome(code: str, words: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": code, "diagnostics": words}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")
