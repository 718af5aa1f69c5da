"""What a FHIR server's refusal means: one FhirError with a sentence and no PHI.

Pure. The OperationOutcome is kept on the error for people who may see it; the message
carries the status, the issue code and the kind of interaction only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mappings.errors import FhirError

_CODE = re.compile(r"[a-z][a-z-]{1,30}")
# A refusal that time or an administrator can lift is not permanent.
_TEMPORARY = {401, 408, 409, 423, 425, 429}
_ISSUE_CODES = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    429: "throttled",
}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP: its status, its headers and its JSON object if it is one."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None


def make_fault(answer: Answer, what: str, now: datetime) -> FhirError:
    """Return the error of an answer that is not a success; ``what`` names no person."""
    outcome = read_outcome(answer.body)
    code = issue_code(outcome)
    said = f"{answer.status} {code}" if code else str(answer.status)
    permanent = is_permanent(answer.status)
    if 300 <= answer.status < 400:
        advice = "redirects are not followed; correct the endpoint's base"
    elif permanent:
        advice = "trying again will not help"
    else:
        advice = "it may be tried again"
    return FhirError(
        f"The FHIR server answered {said} to {what}; {advice}",
        status=answer.status,
        outcome=outcome,
        permanent=permanent,
        retry_after=read_retry_after(answer.headers, now),
    )


def is_permanent(status: int) -> bool:
    """Tell whether the same request can never succeed."""
    if status in {501, 505}:
        return True
    return 300 <= status < 500 and status not in _TEMPORARY


def read_outcome(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the body when it is an OperationOutcome."""
    if body is not None and body.get("resourceType") == "OperationOutcome":
        return dict(body)
    return None


def write_outcome(status: int | None) -> dict[str, Any]:
    """Return an OperationOutcome that says an HTTP status in FHIR's issue codes."""
    code = _ISSUE_CODES.get(status or 0, "processing")
    if status is None or status >= 500:
        code = "transient"
    said = f"HTTP {status}" if status is not None else "no answer"
    issue = {"severity": "error", "code": code, "diagnostics": said}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def is_serious(outcome: Mapping[str, Any]) -> bool:
    """Tell whether an outcome has an issue of severity error or fatal."""
    return _has_severity(outcome, {"error", "fatal"})


def is_warning(outcome: Mapping[str, Any]) -> bool:
    """Tell whether an outcome has an issue of severity warning: there may be more."""
    return _has_severity(outcome, {"warning"})


def _has_severity(outcome: Mapping[str, Any], wanted: Collection[str]) -> bool:
    issues = outcome.get("issue")
    return isinstance(issues, list) and any(
        isinstance(issue, dict) and str(issue.get("severity")) in wanted
        for issue in issues
    )


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return Retry-After in seconds (RFC 9110 section 10.2.3); None when absent.

    A date is measured from the answer's own Date, so that clocks need not agree.
    """
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:9]), 86400))
    instant = read_date(value)
    if instant is None:
        return None
    start = read_date(headers.get("Date") or "") or now
    return min(max((instant - start).total_seconds(), 0.0), 86400.0)


def read_date(value: str) -> datetime | None:
    """Return the instant of an HTTP date (RFC 9110 section 5.6.7); None for none."""
    try:
        instant = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def issue_code(outcome: Mapping[str, Any] | None) -> str:
    """Return the code of an outcome's first issue, if it looks like one."""
    issues = (outcome or {}).get("issue")
    first = issues[0] if isinstance(issues, list) and issues else None
    code = first.get("code") if isinstance(first, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
