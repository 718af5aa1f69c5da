"""What senders are answered: one answer that every server takes, and refusals in FHIR.

Sources: FHIR R4 Subscription, rest-hook; Da Vinci Unsolicited Notifications ($process-
message is answered with an OperationOutcome); CloudEvents 1.0, HTTP webhooks; Event
Grid, endpoint validation.
"""

from __future__ import annotations

import orjson
from flask import Response

RETRY_SECONDS = 5
JSON_TYPE = "application/fhir+json"
ACCEPTED = b'{"resourceType":"Bundle","type":"transaction-response"}'
METHODS = "POST, PUT, DELETE"


def accept(*, message: bool = False, echo: str | None = None) -> Response:
    """Say that it is kept: exactly 200, FHIR JSON, a Bundle.

    A ``message`` is answered with an OperationOutcome, ``echo`` by sending it back.
    """
    if echo is not None:
        content = orjson.dumps({"validationResponse": echo})
        return Response(content, status=200, content_type="application/json")
    if message:
        return _tell(200, "information", "informational", "The message was received.")
    return Response(ACCEPTED, status=200, content_type=JSON_TYPE)


def allow(origin: str) -> Response:
    """Answer the OPTIONS of a sender that asks for leave, at any rate."""
    answer = accept()
    answer.headers["WebHook-Allowed-Origin"] = origin[:200]
    answer.headers["WebHook-Allowed-Rate"] = "*"
    answer.headers["Allow"] = METHODS
    return answer


def refuse(status: int, code: str, text: str) -> Response:
    """Refuse with an OperationOutcome."""
    return _tell(status, "error", code, text)


def refuse_method() -> Response:
    """Refuse a method that no notification comes by."""
    answer = refuse(405, "not-supported", f"Notifications come by {METHODS}.")
    answer.headers["Allow"] = METHODS
    return answer


def postpone(code: str, text: str, seconds: int = RETRY_SECONDS) -> Response:
    """Ask for it again later: 503, which senders retry and never give up upon."""
    answer = refuse(503, code, text)
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _tell(status: int, severity: str, code: str, text: str) -> Response:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": text}],
    }
    return Response(orjson.dumps(outcome), status=status, content_type=JSON_TYPE)
