"""One request of a check and everything that can be told of its answer.

Unlike the client, it raises nothing: a time-out or a page of HTML is what a check is
there to see. Answers are bounded in size and time, and redirects are not followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson
import requests

from mappings.secret import Secret
from middleware.fhir.bounded import TooLargeError, make_session
from middleware.fhir.faults import issue_code, read_outcome
from middleware.fhir.reach import Reach
from middleware.ports import Clock, require_no_transaction

FHIR_TYPE = "application/fhir+json"
LARGEST = 8 * 1024 * 1024
_LONGEST_KIND = 40


@dataclass(frozen=True)
class Patience:
    """Seconds for a connection and for a whole answer."""

    connect: float = 3.0
    answer: float = 10.0


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    ``fault`` is timeout, too-large, tls or cut where there was no answer. ``shown`` is
    the method and the URL without query and ids.
    """

    shown: str
    url: str
    began: datetime
    ended: datetime
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    fault: str | None = None

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """The answer as a JSON object; None when it is anything else."""
        try:
            parsed = json.loads(self.content.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) else None

    @property
    def looks(self) -> str:
        """What the content is: json, html, xml, empty or other."""
        start = self.content.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
        kind = (self.headers.get("Content-Type") or "").lower()
        if not start:
            return "empty"
        if self.body is not None:
            return "json"
        if "html" in kind or start.startswith((b"<!doctype html", b"<html")):
            return "html"
        if "xml" in kind or start.startswith((b"<?xml", b"<")):
            return "xml"
        return "other"

    @property
    def kind(self) -> str:
        """The resourceType that the answer claims; empty when it claims none."""
        return str((self.body or {}).get("resourceType") or "")

    def told(self) -> str:
        """Say the answer in a few words, without anything of its content."""
        if self.status is None:
            return _FAULTS.get(self.fault or "", "no answer")
        named = self.kind.isalpha() and len(self.kind) <= _LONGEST_KIND
        what = self.kind if named else _LOOKS[self.looks]
        code = issue_code(read_outcome(self.body))
        said = f" ({code})" if code else ""
        return f"status {self.status} with {what}{said}"


_FAULTS = {
    "timeout": "no answer in time",
    "too-large": "an answer larger than our limit",
    "tls": "the TLS connection failed",
    "cut": "the connection was closed without a whole answer",
}
_LOOKS = {
    "json": "a JSON object",
    "html": "an HTML page",
    "xml": "XML",
    "empty": "an empty body",
    "other": "something that is not JSON",
}


class Caller:
    """Sends the requests of one check; keeps its own session and closes it."""

    def __init__(
        self,
        clock: Clock,
        patience: Patience,
        reach: Reach,
        ca_file: str | None = None,
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._session = make_session(
            reach, size=LARGEST, seconds=patience.answer, ca_file=ca_file
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        url: str,
        *,
        token: Secret | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        shown: str | None = None,
    ) -> Exchange:
        """Send one request; ``shown`` replaces a URL that names a resource's id."""
        require_no_transaction("a check")
        told = f"{method} {shown or url.partition('?')[0]}"
        headers = {"Accept": FHIR_TYPE if form is None else "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        if body is not None:
            headers["Content-Type"] = FHIR_TYPE
        data = orjson.dumps(body) if body is not None else form
        began = self._clock.now()
        try:
            answer = self._send(method, url, headers, data)
        except requests.RequestException as error:
            ended = self._clock.now()
            return Exchange(told, url, began, ended, fault=_fault_of(error))
        status, ended = answer.status_code, self._clock.now()
        return Exchange(told, url, began, ended, status, answer.headers, answer.content)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | Mapping[str, str] | None,
    ) -> requests.Response:
        return self._session.request(
            method,
            url,
            data=data,
            headers=dict(headers),
            # No ``.netrc`` may replace our own header.
            auth=lambda request: request,
            timeout=(self._patience.connect, self._patience.answer),
            allow_redirects=False,
        )


def _fault_of(error: requests.RequestException) -> str:
    if isinstance(error, TooLargeError):
        return "too-large"
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    return "cut"
