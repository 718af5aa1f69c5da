"""What senders are answered: one answer that every server takes, and refusals in FHIR.

Sources: FHIR R4 Subscription, rest-hook; Da Vinci Unsolicited Notifications ($process-
message is answered with an OperationOutcome); CloudEvents 1.0, HTTP webhooks; Event
Grid, endpoint validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from wsgiref.types import StartResponse

import orjson

RETRY_SECONDS = 5
JSON_TYPE = "application/fhir+json"
ACCEPTED = b'{"resourceType":"Bundle","type":"transaction-response"}'
METHODS = "POST, PUT, DELETE"


@dataclass(frozen=True)
class Answer:
    """What is sent back; ``after`` is waited for when it has been."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    after: Callable[[], object] | None = None

    def send(self, start: StartResponse) -> Iterable[bytes]:
        """Send it as a WSGI application does."""
        length = ("Content-Length", str(len(self.body)))
        told = [("Content-Type", self.content_type), length, *self.headers]
        start(f"{self.status} {HTTPStatus(self.status).phrase}", told)
        return [self.body] if self.after is None else self._hold(self.after)

    def _hold(self, after: Callable[[], object]) -> Iterator[bytes]:
        yield self.body
        after()


def accept(*, message: bool = False, echo: str | None = None) -> Answer:
    """Say that it is kept: exactly 200, FHIR JSON, a Bundle.

    A ``message`` is answered with an OperationOutcome, ``echo`` by sending it back.
    """
    if echo is not None:
        content = orjson.dumps({"validationResponse": echo})
        return Answer(200, content, "application/json")
    if message:
        return _tell(200, "information", "informational", "The message was received.")
    return Answer(200, ACCEPTED)


def allow(origin: str) -> Answer:
    """Answer the OPTIONS of a sender that asks for leave, at any rate."""
    headers = (
        ("WebHook-Allowed-Origin", origin[:200]),
        ("WebHook-Allowed-Rate", "*"),
        ("Allow", METHODS),
    )
    return replace(accept(), headers=headers)


def refuse(status: int, code: str, text: str) -> Answer:
    """Refuse with an OperationOutcome."""
    return _tell(status, "error", code, text)


def refuse_method() -> Answer:
    """Refuse a method that no notification comes by."""
    answer = refuse(405, "not-supported", f"Notifications come by {METHODS}.")
    return replace(answer, headers=(("Allow", METHODS),))


def postpone(code: str, text: str, seconds: int = RETRY_SECONDS) -> Answer:
    """Ask for it again later: 503, which senders retry and never give up upon."""
    answer = refuse(503, code, text)
    return replace(answer, headers=(("Retry-After", str(seconds)),))


def _tell(status: int, severity: str, code: str, text: str) -> Answer:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }
    return Answer(status, orjson.dumps(outcome))
