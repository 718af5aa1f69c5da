"""The listener: authenticates a delivery, has it kept, and answers.

Nothing slow and nothing clever happens before the answer: no read from the EHR, no
decision. It may not know the database. One answer satisfies every server: exactly 200,
FHIR JSON, a Bundle. Sources: FHIR R4 Subscription, rest-hook; Subscriptions R5
Backport IG 1.1, channels.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mappings.errors import NotificationError, StorageError
from subscriptions.notification import Notification
from subscriptions.parsing import parse_notification

LARGEST_BODY = 5 * 1024 * 1024
RETRY_SECONDS = 5
JSON_TYPE = "application/fhir+json"
ACCEPTED = b'{"resourceType":"Bundle","type":"transaction-response"}'
_DRAINED = 64 * 1024 * 1024
_PIECE = 64 * 1024
# What may be kept for the record; secrets and cookies are not among them.
_KEPT_HEADERS = (
    "Content-Type",
    "User-Agent",
    "If-Match",
    "X-Request-Id",
    "X-Medplum-Subscription",
    "X-Medplum-Interaction",
    "X-Medplum-Deleted-Resource",
)


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


@dataclass(frozen=True)
class Registered:
    """A subscription that a hook's key stands for.

    ``secrets`` are all that are accepted now, the old one too during a rotation.
    """

    subscription_id: str
    endpoint_id: str
    resource_type: str
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """One authenticated delivery; ``notification`` is None when it is set aside.

    ``error`` then says why. ``path`` is what followed the hook's key.
    """

    received_at: datetime
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    notification: Notification | None
    error: str | None = None


class ReceiverStore(Protocol):
    """Where hooks are looked up and deliveries kept. Raises StorageError."""

    def find(self, hook_key: str) -> Registered | None:
        """Return the subscription of a hook's key."""
        ...

    def keep(self, registered: Registered, received: Received) -> None:
        """Commit the delivery to disk before returning."""
        ...


def make_receiver(store: ReceiverStore, clock: Clock) -> Blueprint:
    """Make the blueprint for ``/hooks/<key>[/<type>/<id>]``."""
    blueprint = Blueprint("receiver", __name__, url_prefix="/hooks")
    methods = ["POST", "PUT", "DELETE"]

    def receive(hook_key: str, tail: str = "") -> Response:
        return _receive(store, clock, hook_key, tail)

    for rule in ("/<hook_key>", "/<hook_key>/", "/<hook_key>/<path:tail>"):
        blueprint.add_url_rule(
            rule,
            view_func=receive,
            methods=methods,
            strict_slashes=False,
            provide_automatic_options=False,
        )
    return blueprint


def _receive(store: ReceiverStore, clock: Clock, hook_key: str, tail: str) -> Response:
    # A server that is answered before it has sent everything sees a broken pipe.
    body = _read_body()
    try:
        registered = store.find(hook_key)
        if registered is None or not _is_authentic(registered):
            return _refuse(401, "login", "The notification was not authenticated.")
        if body is None:
            text = f"The body is larger than {LARGEST_BODY} bytes."
            return _refuse(413, "too-long", text)
        received = _read(clock.now(), tail, body)
        store.keep(registered, received)
    except NotificationError as error:
        return _refuse(error.status, "invalid", error.message)
    except StorageError:
        answer = _refuse(503, "transient", "It cannot be kept now; send it again.")
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer
    return Response(ACCEPTED, status=200, content_type=JSON_TYPE)


def _read(now: datetime, tail: str, body: bytes) -> Received:
    """Parse the delivery; NotificationError when it is nothing that is kept."""
    notification, fault = None, None
    try:
        _check_encoding()
        notification = parse_notification(
            request.method, tail, dict(request.headers), body
        )
    except NotificationError as error:
        if not error.quarantine:
            raise
        fault = error.message
    kept = {
        name: request.headers[name][:500]
        for name in _KEPT_HEADERS
        if name in request.headers
    }
    return Received(now, request.method, tail, kept, body, notification, fault)


def _check_encoding() -> None:
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise NotificationError(
            "Encoded bodies are not taken; nothing was kept",
            status=415,
            quarantine=False,
        )


def _read_body() -> bytes | None:
    """Read the body to its end; None when it is too large."""
    body = bytearray()
    size = 0
    try:
        while piece := request.stream.read(_PIECE):
            size += len(piece)
            if size <= LARGEST_BODY:
                body += piece
            elif size > _DRAINED:
                return None
    except RequestEntityTooLarge:
        return None
    except (HTTPException, OSError):
        return b""
    return bytes(body) if size <= LARGEST_BODY else None


def _is_authentic(registered: Registered) -> bool:
    """Compare the secret with every accepted one, in the same time always."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    bearer = value.strip() if scheme.lower() == "bearer" else ""
    given = request.headers.get("X-CareCue-Secret", "") or bearer
    matches = [
        hmac.compare_digest(given.encode(), secret.encode())
        for secret in registered.secrets
        if secret
    ]
    return any(matches)


def _refuse(status: int, code: str, text: str) -> Response:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": text}],
    }
    return Response(orjson.dumps(outcome), status=status, content_type=JSON_TYPE)
