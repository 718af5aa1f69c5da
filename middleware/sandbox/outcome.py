"""Errors of the FHIR server and the OperationOutcome that each becomes.

It may not touch Flask or the store; it only names what went wrong.
Source: https://hl7.org/fhir/R4/http.html and operationoutcome.html.
"""

import re
from typing import Any

ISSUE_CODES = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    422: "processing",
    429: "throttled",
    500: "exception",
    503: "transient",
}


class FhirFault(Exception):  # noqa: N818 (FHIR reserves "error" for a severity)
    """A refusal: HTTP status, issue code and a sentence for the client.

    `headers` go out with the answer, for example WWW-Authenticate or Allow.
    """

    def __init__(
        self,
        status: int,
        diagnostics: str,
        code: str | None = None,
        expression: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.code = code or ISSUE_CODES.get(status, "processing")
        self.diagnostics = diagnostics
        self.expression = expression
        self.headers = headers or {}

    def outcome(self) -> dict[str, Any]:
        """Answer the R4 OperationOutcome that says this fault."""
        issue: dict[str, Any] = {
            "severity": "error",
            "code": self.code,
            "diagnostics": self.diagnostics,
        }
        if self.expression:
            issue["expression"] = [self.expression]
        return {"resourceType": "OperationOutcome", "issue": [issue]}


def printable(text: str) -> str:
    """Answer a name from outside, cut short and with nothing but plain letters."""
    return repr(re.sub(r"[^\w.\-:]", "?", text[:40]))
