"""`$status` and `$events` of Subscription, and the notifier's counts.

It may not change anything: it reads the notifier and spells what it says.
Source: Subscriptions R5 Backport IG 1.1, operations backport-subscription-status
and backport-subscription-events.
"""

import time
from typing import Any

import flask
import orjson

from middleware.sandbox.definition import CONTENTS
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.wire import Standing, write_notification, write_status_bundle

FHIR_JSON = "application/fhir+json"
LONGEST_WAIT = 60.0
Values = dict[str, list[str]]


def register(app: flask.Flask) -> None:
    """Add the operations under `/fhir/Subscription` and `/sandbox/notifier`."""
    operations = flask.Blueprint("operations", __name__)
    both = ["GET", "POST"]
    base = "/fhir/Subscription"
    operations.add_url_rule(f"{base}/$status", view_func=read_all_status, methods=both)
    operations.add_url_rule(
        f"{base}/<id_>/$status", view_func=read_status, methods=both
    )
    operations.add_url_rule(
        f"{base}/<id_>/$events", view_func=read_events, methods=both
    )
    operations.add_url_rule("/sandbox/notifier", view_func=read_counts)
    operations.register_error_handler(FhirFault, _refuse)
    app.register_blueprint(operations)


def read_all_status() -> flask.Response:
    """Answer the status of every subscription, or of those named by id or status."""
    _authorize()
    values = _values()
    store = flask.current_app.extensions["store"]
    known = [resource["id"] for resource in store.candidates("Subscription")]
    wanted = set(values.get("id", [])) or set(known)
    statuses = set(values.get("status", []))
    standings = [_standing(id_) for id_ in known if id_ in wanted]
    return _answer(
        write_status_bundle(
            [s for s in standings if not statuses or s.status in statuses],
            flask.request.url,
        )
    )


def read_status(id_: str) -> flask.Response:
    """Answer the status of one subscription."""
    _authorize()
    return _answer(write_status_bundle([_standing(id_)], flask.request.url))


def read_events(id_: str) -> flask.Response:
    """Answer past events: `eventsSinceNumber` to `eventsUntilNumber`, inclusive.

    `content` is a hint; it is followed, for the caller may read resources anyway.
    """
    grant = _authorize()
    values = _values()
    notifier = flask.current_app.extensions["notifier"]
    standing = _standing(id_)
    since = _number(values, "eventsSinceNumber")
    until = _number(values, "eventsUntilNumber")
    content = (values.get("content") or [notifier.content(id_)])[0]
    if content not in CONTENTS:
        raise FhirFault(400, "content must be empty, id-only or full-resource")
    events = notifier.events(id_, since or 0, until)
    if content == "full-resource" and not all(
        grant.permits("r", type_) for type_ in {event.type for event in events}
    ):
        content = "id-only"
    now = flask.current_app.extensions["clock"].now()
    return _answer(write_notification(standing, "query-event", content, events, now))


def read_counts() -> dict[str, int]:
    """Answer what is pending in all parts, and what became of the events.

    `?wait=S` first waits until everything is quiet, for up to S seconds.
    """
    parts = flask.current_app.extensions
    services = [parts[name] for name in ("notifier", "phone", "mail") if name in parts]
    wait = flask.request.args.get("wait", 0.0, type=float)
    deadline = time.monotonic() + min(wait, LONGEST_WAIT)
    pending = sum(service.pending() for service in services)
    while pending and time.monotonic() < deadline:
        for service in services:
            service.wait_quiet(max(0.0, deadline - time.monotonic()))
        pending = sum(service.pending() for service in services)
    return {"pending": pending, **parts["notifier"].counts()}


def _authorize() -> Any:
    access = flask.current_app.extensions["access"]
    grant = access.authorize(flask.request.headers.get("Authorization"))
    if not grant.permits("r", "Subscription"):
        raise FhirFault(403, "the token does not allow to read Subscription")
    return grant


def _standing(id_: str) -> Standing:
    standing = flask.current_app.extensions["notifier"].standing(id_)
    if not isinstance(standing, Standing):
        raise FhirFault(404, f"there is no Subscription/{id_}")
    return standing


def _values() -> Values:
    """Read the operation's input from the query, or from a posted Parameters."""
    request = flask.request
    values: Values = {}
    for name, texts in request.args.lists():
        values[name] = [part for text in texts for part in text.split(",")]
    if request.method != "POST" or not request.get_data():
        return values
    try:
        body = orjson.loads(request.get_data())
    except ValueError as error:
        raise FhirFault(400, "the body is not JSON") from error
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise FhirFault(400, "the body is not a Parameters resource")
    for parameter in body.get("parameter") or []:
        found = [str(v) for k, v in parameter.items() if k.startswith("value")]
        values.setdefault(str(parameter.get("name")), []).extend(found)
    return values


def _number(values: Values, name: str) -> int | None:
    texts = values.get(name)
    if not texts:
        return None
    if not texts[0].isdecimal() or len(texts[0]) > 19:
        raise FhirFault(400, f"{name} is not a whole number")
    return int(texts[0])


def _answer(resource: dict[str, Any]) -> flask.Response:
    return flask.Response(orjson.dumps(resource), content_type=FHIR_JSON)


def _refuse(fault: FhirFault) -> flask.Response:
    body = orjson.dumps(fault.outcome())
    response = flask.Response(body, fault.status, content_type=FHIR_JSON)
    response.headers.update(fault.headers)
    return response
