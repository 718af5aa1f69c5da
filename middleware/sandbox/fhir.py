"""The FHIR server over HTTP: requests into Calls, Answers into responses.

It may not hold FHIR logic; that is behind the Calls. Every error that leaves
here is an OperationOutcome. Source: https://hl7.org/fhir/R4/http.html.
"""

import logging
from email.utils import format_datetime
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from middleware.sandbox.bundle import carry_out, process
from middleware.sandbox.calls import Answer, Call, Site
from middleware.sandbox.capability import capability
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.paging import Pages

JSON = "application/fhir+json"
BODY_TYPES = {JSON, "application/json", "text/json"}
PATCH_TYPE = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"
FORMATS = {"json", JSON, "application/json", "text/json"}
ACCEPTED = BODY_TYPES | {"*/*", "application/*"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_BODY = 5_000_000

log = logging.getLogger(__name__)
fhir = Blueprint("fhir", __name__, url_prefix="/fhir")


def register(app: Flask) -> None:
    """Serve the store at /fhir, and make every fault below it an OperationOutcome.

    `app.extensions["checks"]` is a list: a part appends functions that take a
    resource about to be written and refuse it with a FhirFault.
    """
    options = app.extensions["options"]
    checks: list[Any] = app.extensions.setdefault("checks", [])
    app.extensions["site"] = Site(
        base=options.fhir_base,
        zone=options.site_zone,
        pages=Pages(options.fhir_base),
        checks=checks,
        now=app.extensions["clock"].now,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.register_error_handler(FhirFault, refuse)
    app.register_error_handler(Exception, _refuse_other)
    app.register_blueprint(fhir)


def respond(
    body: dict[str, Any] | None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Make a FHIR JSON response."""
    text = b"" if body is None else orjson.dumps(body, option=_pretty())
    response = Response(text, status, content_type=f"{JSON}; charset=utf-8")
    if body is None:
        del response.headers["Content-Type"]
    response.headers.update(headers or {})
    return response


def refuse(fault: FhirFault) -> Response:
    """Make the response that a fault becomes."""
    return respond(fault.outcome(), fault.status, fault.headers)


@fhir.get("/metadata")
def metadata() -> Response:
    """Answer the CapabilityStatement; no token is asked for."""
    _check_accept()
    site: Site = current_app.extensions["site"]
    return respond(capability(site.base, site.now()))


@fhir.route("", methods=METHODS)
@fhir.route("/", methods=METHODS)
def whole() -> Response:
    """Answer a batch or transaction, or a later page."""
    _check_accept()
    site: Site = current_app.extensions["site"]
    if request.method != "POST":
        return _carry_out(())
    grant = current_app.extensions["access"].authorize(_authorization())
    body = _body(BODY_TYPES)
    full = "representation" in request.headers.get("Prefer", "")
    store = current_app.extensions["store"]
    return respond(process(body, store, site, grant, full=full))


@fhir.route("/<path:path>", methods=METHODS)
def interact(path: str) -> Response:
    """Answer every interaction on a type, a resource or a history."""
    _check_accept()
    return _carry_out(tuple(path.rstrip("/").split("/")))


def _carry_out(path: tuple[str, ...]) -> Response:
    extensions = current_app.extensions
    grant = extensions["access"].authorize(_authorization())
    site: Site = extensions["site"]
    call = _call(path, site.base)
    answer = carry_out(call, extensions["store"], site, grant)
    return _respond(answer, call, site.base)


def _authorization() -> str | None:
    return request.headers.get("Authorization")


def _call(path: tuple[str, ...], base: str) -> Call:
    query = [(name, value) for name, value in request.args.items(multi=True)]
    body = None
    if path[1:] == ("_search",) and request.method == "POST":
        if request.mimetype not in {FORM, ""}:
            raise FhirFault(415, f"A _search body is {FORM}.")
        query += request.form.items(multi=True)
    elif request.method == "PATCH":
        body = _body({PATCH_TYPE})
    elif request.method in {"POST", "PUT"}:
        body = _body(BODY_TYPES)
    headers = request.headers
    tail = request.query_string.decode("ascii", "replace")
    return Call(
        method="GET" if request.method == "HEAD" else request.method,
        path=path,
        query=tuple(query),
        body=body,
        if_match=headers.get("If-Match"),
        if_none_match=headers.get("If-None-Match"),
        if_none_exist=headers.get("If-None-Exist"),
        if_modified_since=headers.get("If-Modified-Since"),
        lenient="handling=lenient" in headers.get("Prefer", ""),
        url="/".join((base, *path)) + (f"?{tail}" if tail else ""),
    )


def _body(types: set[str]) -> Any:
    if request.mimetype not in types:
        raise FhirFault(
            415,
            "The body's Content-Type is none of: " + ", ".join(sorted(types)),
            headers={"Accept-Patch": PATCH_TYPE},
        )
    if not request.mimetype_params.get("fhirversion", "4.0").startswith("4.0"):
        raise FhirFault(415, "This server speaks FHIR 4.0 only.")
    try:
        return orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise FhirFault(400, "The body is not JSON; nothing was changed.") from error


def _check_accept() -> None:
    asked = request.args.get("_format")
    if asked is not None:
        if asked.partition(";")[0].strip() not in FORMATS:
            raise FhirFault(406, "This server answers in JSON only.")
        return
    wanted = {
        kind.partition(";")[0].strip().lower()
        for kind, quality in request.accept_mimetypes
        if quality > 0
    }
    if wanted and not wanted & ACCEPTED:
        raise FhirFault(406, f"This server answers in {JSON} only.")


def _respond(answer: Answer, call: Call, base: str) -> Response:
    headers = {}
    change = answer.change
    if change is not None:
        headers["ETag"] = f'W/"{change.version}"'
        headers["Last-Modified"] = format_datetime(change.instant, usegmt=True)
        if answer.located:
            place = f"{base}/{change.type}/{change.id}"
            headers["Location"] = f"{place}/_history/{change.version}"
    minimal = "return=minimal" in request.headers.get("Prefer", "")
    written = call.method in {"POST", "PUT", "PATCH"} and answer.located
    body = None if minimal and written else answer.body
    return respond(body, answer.status, headers)


def _pretty() -> int:
    return orjson.OPT_INDENT_2 if request.args.get("_pretty") == "true" else 0


def _refuse_other(error: Exception) -> Any:
    """Turn any other error below /fhir into an OperationOutcome."""
    below = request.path == "/fhir" or request.path.startswith("/fhir/")
    if isinstance(error, HTTPException):
        if not below:
            return error
        return refuse(FhirFault(error.code or 500, error.description or error.name))
    if not below:
        raise error
    log.error("a FHIR request failed", exc_info=error)
    return refuse(FhirFault(500, "The server failed. Read before you retry."))
