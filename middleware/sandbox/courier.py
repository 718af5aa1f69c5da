"""Puts notifications on the wire: which request each form of Subscription makes.

It may not change where a subscription stands; it answers what the listener said.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import orjson

from middleware.sandbox.definition import Definition
from middleware.sandbox.delivering import Answer, Lanes, send, send_with_retries
from middleware.sandbox.wire import Event, Kind, Standing, write_notification


class Courier:
    """Sends with up to three attempts each, in the thread that calls it."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def shake_hands(
        self, definition: Definition, standing: Standing, now: datetime
    ) -> Answer:
        """Send the handshake until it is answered 200, exactly."""
        body = _bundle(definition, standing, "handshake", [], now)
        return send_with_retries(
            self._lanes,
            lambda: _post(definition, body),
            lambda answer: answer.status == 200,
        )

    def beat(self, definition: Definition, standing: Standing, now: datetime) -> Answer:
        """Send a heartbeat until it is accepted."""
        body = _bundle(definition, standing, "heartbeat", [], now)
        return self._send(lambda: _post(definition, body))

    def carry(
        self,
        definition: Definition,
        standing: Standing,
        events: list[Event],
        now: datetime,
    ) -> Answer:
        """Send events until they are accepted (any 2xx).

        The criteria form carries one event: a FHIR update when there is a payload,
        else an empty POST (FHIR R4 Subscription, "rest-hook").
        """
        if definition.form != "criteria":
            body = _bundle(definition, standing, "event-notification", events, now)
            return self._send(lambda: _post(definition, body))
        if definition.payload is None:
            return self._send(lambda: _request(definition, "POST", "", b""))
        event = events[0]
        body = orjson.dumps(event.resource)
        path = f"/{event.reference}"
        return self._send(lambda: _request(definition, "PUT", path, body))

    def _send(self, attempt: Callable[[], Answer]) -> Answer:
        return send_with_retries(self._lanes, attempt, lambda answer: answer.accepted)


def _bundle(
    definition: Definition,
    standing: Standing,
    kind: Kind,
    events: list[Event],
    now: datetime,
) -> bytes:
    bundle = write_notification(standing, kind, definition.content, events, now)
    return orjson.dumps(bundle)


def _post(definition: Definition, body: bytes) -> Answer:
    return _request(definition, "POST", "", body)


def _request(definition: Definition, method: str, path: str, body: bytes) -> Answer:
    url = definition.endpoint.rstrip("/") + path if path else definition.endpoint
    return send(method, url, _headers(definition), body, definition.timeout)


def _headers(definition: Definition) -> Mapping[str, str]:
    headers: dict[str, str] = {"User-Agent": "Sandbox-EHR/1"}
    if definition.payload is not None:
        headers["Content-Type"] = definition.payload
    for name, value in definition.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
