"""What a server's refusal of a Subscription means for the next attempt.

Pure. Sources: FHIR R4 http.html; OperationOutcome issue codes; Subscriptions R5
Backport IG 1.1, "accepting or rejecting".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Refusal(StrEnum):
    """Why: what it names decides what is tried next.

    UNSURE: nobody knows whether the server did it.
    """

    HEARTBEAT = "heartbeat"
    FORM = "form"
    ENDPOINT = "endpoint"
    RIGHTS = "rights"
    ABSENT = "absent"
    GONE = "gone"
    CONFLICT = "conflict"
    BUSY = "busy"
    UNSURE = "unsure"


_FORM_WORDS = (
    "topic",
    "filter",
    "criteria",
    "payload",
    "content",
    "profile",
    "extension",
)


def read_refusal(
    status: int | None,
    outcome: Mapping[str, Any] | None,
    *,
    writing: bool,
    heartbeat: bool,
) -> Refusal:
    """Return what a refusal is about.

    ``status`` is the HTTP status (None: no answer); ``writing`` False for a create;
    ``heartbeat`` tells whether one was asked for.
    """
    if status in {425, 429, 503}:
        return Refusal.BUSY
    if status is None or status == 408 or 500 <= status != 501:
        return Refusal.UNSURE
    if status in {409, 412, 423}:
        return Refusal.CONFLICT
    if status in {401, 403}:
        return Refusal.RIGHTS
    if status in {404, 410} and writing:
        return Refusal.GONE
    if status in {404, 405, 410, 501}:
        return Refusal.ABSENT
    return _read_words(outcome, heartbeat=heartbeat)


def _read_words(outcome: Mapping[str, Any] | None, *, heartbeat: bool) -> Refusal:
    codes, words = [], ""
    issues = (outcome or {}).get("issue")
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, Mapping):
            codes.append(str(issue.get("code") or ""))
            words += f" {issue.get('diagnostics')} {issue.get('details')} "
            words += f"{issue.get('expression')} {issue.get('location')}"
    words = words.lower()
    if heartbeat and "heartbeat" in words:
        return Refusal.HEARTBEAT
    if "endpoint" in words or "url" in words.split():
        return Refusal.ENDPOINT
    if any(word in words for word in _FORM_WORDS):
        return Refusal.FORM
    # Servers that name nothing most often cannot do heartbeats: one more try is cheap.
    if heartbeat and "not-supported" in codes:
        return Refusal.HEARTBEAT
    return Refusal.FORM
