"""A FHIR server that notifies as the guide says, and breaks each rule when asked.

Test code, and a stranger: real HTTP on loopback, and nothing is sent before a test
says so. A lost delivery is an event that is never told, a repeated one is told twice,
and so on, so that every run is the same. How a notification is spelt is the sandbox's
(`middleware.sandbox.wire`); R4B is made of its R5.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

import requests
from flask import Flask, Response, jsonify, request
from werkzeug.serving import WSGIRequestHandler, make_server

from middleware.sandbox.wire import (
    Event,
    Kind,
    Standing,
    write_notification,
    write_status_bundle,
)
from tests.pace import Pace

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
FHIR_JSON = "application/fhir+json"
Resource = dict[str, Any]
Form = Literal["r4", "r4b", "r5"]


@dataclass(frozen=True)
class Answer:
    """What the subscriber answered, and how long it took."""

    status: int
    content_type: str
    body: bytes
    seconds: float


@dataclass
class Rules:
    """How this server is, beyond the guide.

    ``events_faults`` are statuses that `$events` answers first; ``keeps`` is the
    number of events that it can still tell of. ``hasty`` shakes hands before it has
    answered the create.
    """

    hasty: bool = False
    takes_heartbeat: bool = True
    payload: str | None = None
    only_creates: bool = False
    events_faults: list[int] = field(default_factory=list)
    keeps: int = 1000


class Silent(WSGIRequestHandler):
    """No access log."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


class FhirServer:
    """One Subscription, its events, and the calls that were made, in order."""

    def __init__(self, form: Form = "r4", rules: Rules | None = None) -> None:
        self.form, self.rules = form, rules or Rules()
        self.calls: list[tuple[str, str, Any]] = []
        self.subscription: Resource = {}
        self.status: Any = "requested"
        self.events: list[Event] = []
        self._versions: dict[str, int] = {}
        self._server = make_server(
            "127.0.0.1", 0, self._make_app(), threaded=True, request_handler=Silent
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}/fhir"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="fhir-server"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- what happens and what is told ----------------------------------------------

    @property
    def content(self) -> Any:
        """Answer the payload content that was asked for."""
        extensions = self._channel.get("_payload", {}).get("extension", [])
        codes = [item["valueCode"] for item in extensions]
        return codes[0] if codes else "full-resource"

    @property
    def _channel(self) -> Resource:
        return dict(self.subscription["channel"])

    def happen(self, resource: Resource, interaction: str = "update") -> Event:
        """Commit a version of a resource; nobody is told yet."""
        reference = f"{resource['resourceType']}/{resource['id']}"
        version = self._versions[reference] = self._versions.get(reference, 0) + 1
        stored = {**resource, "meta": {"versionId": str(version)}}
        event = Event(
            number=len(self.events) + 1,
            interaction=interaction,
            type=resource["resourceType"],
            id=resource["id"],
            version=version,
            instant=datetime.now(UTC),
            resource=None if interaction == "delete" else stored,
        )
        self.events.append(event)
        return event

    def tell(self, *events: Event, **faults: Any) -> Answer:
        """Send an event-notification; see `send` for the faults."""
        return self.send("event-notification", events, **faults)

    def shake_hands(self, *events: Event) -> Answer:
        """Send a handshake; it is active once that was answered with exactly 200."""
        answer = self.send("handshake", events)
        if answer.status == 200:
            self.status = "active"
        return answer

    def beat(self, *events: Event, **faults: Any) -> Answer:
        """Send a heartbeat, with past events if asked."""
        return self.send("heartbeat", events, **faults)

    def send(
        self,
        kind: Kind,
        events: Sequence[Event] = (),
        *,
        status: str | None = None,
        count: int | None = None,
        number: int | None = None,
        change: Callable[[Resource], None] | None = None,
    ) -> Answer:
        """POST one notification.

        ``status`` is a stale one, ``count`` and ``number`` are wrong ones, ``change``
        spoils the Bundle in any other way.
        """
        told = [replace(event, number=number or event.number) for event in events]
        bundle = self.write(kind, told, status=status, count=count)
        if change is not None:
            change(bundle)
        channel = self._channel
        headers = dict(line.split(": ", 1) for line in channel.get("header", []))
        headers["Content-Type"] = channel.get("payload", FHIR_JSON)
        with Pace() as granted:
            answer = requests.post(
                channel["endpoint"], json=bundle, headers=headers, timeout=30
            )
        return Answer(
            answer.status_code,
            answer.headers.get("Content-Type", ""),
            answer.content,
            granted.seconds,
        )

    def write(
        self,
        kind: Kind,
        events: list[Event],
        *,
        status: str | None = None,
        count: int | None = None,
    ) -> Resource:
        """Write a notification Bundle in this server's form."""
        standing = self._standing(status, count)
        now = datetime.now(UTC)
        bundle = write_notification(standing, kind, self.content, events, now)
        if self.form == "r4b":
            bundle["type"] = "history"
            first = bundle["entry"][0]
            first["request"] = {"method": "GET", "url": f"{standing.url}/$status"}
            first["response"] = {"status": "200"}
        return bundle

    def restart(self) -> None:
        """Forget events and numbers, as a server without memory does."""
        self.events.clear()

    def _standing(self, status: str | None = None, count: int | None = None) -> Any:
        return Standing(
            base=self.url,
            id=self.subscription["id"],
            form="backport" if self.form == "r4" else "r5",
            topic=self.subscription.get("criteria"),
            status=status or self.status,
            count=len(self.events) if count is None else count,
        )

    # --- what it answers ------------------------------------------------------------

    def _make_app(self) -> Flask:
        app = Flask("fhir-server")
        app.before_request(self._note)
        base, both = "/fhir/Subscription", ["GET", "POST"]
        for rule, methods, view in (
            (base, ["POST"], self._create),
            (f"{base}/<name>", ["GET"], self._read),
            (f"{base}/<name>", ["PUT"], self._update),
            (f"{base}/<name>", ["DELETE"], self._delete),
            (f"{base}/<name>/$status", both, self._tell_status),
            (f"{base}/$status", ["POST"], self._tell_all),
            (f"{base}/<name>/$events", both, self._tell_events),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=methods)
        return app

    def _note(self) -> None:
        body = request.get_json(force=True, silent=True)
        self.calls.append((request.method, request.path, body))

    def _create(self) -> Response:
        asked = request.get_json(force=True)
        heartbeat = f"{BACKPORT}backport-heartbeat-period"
        extensions = asked.get("channel", {}).get("extension", [])
        if not self.rules.takes_heartbeat and any(
            extension["url"] == heartbeat for extension in extensions
        ):
            return _refuse(400, "not-supported", "no heartbeats here")
        if self.subscription:
            return _refuse(400, "business-rule", "one Subscription is enough")
        self.subscription = {**asked, "id": "1", "meta": {"versionId": "1"}}
        self.status = "requested"
        if self.rules.payload is not None:
            self.subscription["channel"]["payload"] = self.rules.payload
        if self.rules.hasty:
            self.shake_hands()
        return _answer(self._current(), 201)

    def _current(self) -> Resource:
        return {**self.subscription, "status": self.status}

    def _read(self, name: str) -> Response:
        if name != self.subscription.get("id"):
            return _refuse(404, "not-found", "there is none")
        return _answer(self._current())

    def _update(self, name: str) -> Response:
        if self.rules.only_creates:
            return _refuse(405, "not-supported", "a Subscription is only created here")
        self.subscription = {**request.get_json(force=True), "id": name}
        self.status = "requested"
        return _answer(self._current())

    def _delete(self, name: str) -> Response:
        if self.rules.only_creates or name != self.subscription.get("id"):
            return _refuse(405, "not-supported", "a Subscription is only created here")
        self.subscription = {}
        return Response(status=204)

    def _tell_status(self, name: str) -> Response:
        if name != self.subscription.get("id"):
            return _refuse(404, "not-found", "there is none")
        return _answer(self._write_status())

    def _tell_all(self) -> Response:
        """Match by ``valueString`` alone, as one widespread server does."""
        asked = request.get_json(force=True).get("parameter", [])
        wanted = [part["valueString"] for part in asked if "valueString" in part]
        known = self.subscription.get("id") in wanted or self.status in wanted
        return _answer(self._write_status() if known else write_status_bundle([], ""))

    def _write_status(self) -> Resource:
        return write_status_bundle([self._standing()], request.url)

    def _tell_events(self, name: str) -> Response:
        if self.rules.events_faults:
            return _refuse(self.rules.events_faults.pop(0), "transient", "not now")
        asked = dict(request.args)
        for part in (request.get_json(silent=True) or {}).get("parameter", []):
            asked[part["name"]] = next(v for k, v in part.items() if k != "name")
        since = int(asked.get("eventsSinceNumber", 1))
        until = int(asked.get("eventsUntilNumber", len(self.events)))
        kept = self.events[-self.rules.keeps :]
        told = [event for event in kept if since <= event.number <= until]
        return _answer(self.write("query-event", told))


def _answer(resource: Resource, status: int = 200) -> Response:
    answer = jsonify(resource)
    answer.status_code, answer.content_type = status, FHIR_JSON
    return answer


def _refuse(status: int, code: str, text: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return _answer({"resourceType": "OperationOutcome", "issue": [issue]}, status)
