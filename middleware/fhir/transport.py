"""One exchange with one FHIR server: token, time-outs, retries, errors.

It may send to URLs that the base-URL lock let through only, and never inside a
database transaction. Redirects are never followed. Only what may be repeated safely
is retried.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import requests

from mappings.bases import read_base_keys
from mappings.errors import AuthorizationError, FhirError
from mappings.reference import bring_references_home
from mappings.secret import Secret
from middleware.fhir.bounded import RefusedAddressError, TooLargeError
from middleware.fhir.failing import name_failure
from middleware.fhir.faults import Answer, make_fault
from middleware.ports import Clock, Patience, require_no_transaction

JSON_TYPE = "application/fhir+json"
_RETRIED = {429, 502, 503, 504}
_BOM = b"\xef\xbb\xbf"
_FAR = re.compile(rb'"reference"\s*:\s*"http')


@dataclass(frozen=True)
class Limits:
    """How patient we are: seconds, attempts, pages; and how many reads go side by side.

    ``patience`` is a person's, where one waits: nothing is asked once it is over.
    """

    retry_seconds: float = 20.0
    attempts: int = 4
    first_pause: float = 0.25
    pages: int = 50
    workers: int = 8
    patience: Patience | None = None

    @property
    def left(self) -> float:
        """Return for how many seconds the person waits; without one, for ever."""
        return math.inf if self.patience is None else self.patience.left


@dataclass(frozen=True)
class Request:
    """One request; ``what`` names the interaction without naming a person.

    ``repeatable`` is True only where a second execution changes nothing more. With
    ``keeps_token`` a 401 is its answer and says nothing yet of the token.
    """

    method: str
    url: str
    what: str
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    repeatable: bool = False
    keeps_token: bool = False


class Transport:
    """Sends requests with the token of one endpoint. Raises FhirError.

    ``homes`` are the bases that mean the server asked: references under them
    are read as ``Type/id``, so that whatever stays absolute is another server's.
    """

    def __init__(
        self,
        session: requests.Session,
        token: Callable[[], Secret | None],
        forget: Callable[[Secret], None] | None,
        clock: Clock,
        *,
        timeout: tuple[float, float],
        limits: Limits,
        homes: Collection[str] = (),
    ) -> None:
        self._session = session
        self._token = token
        self._forget = forget
        self._clock = clock
        self._timeout = timeout
        self._limits = limits
        self._homes = read_base_keys(homes)
        self._closed = threading.Event()

    def close(self) -> None:
        """End pauses at once and close the connections."""
        self._closed.set()
        self._session.close()

    def exchange(self, request: Request) -> Answer:
        """Send, retry what may be retried, and return an answer of 200 to 299."""
        require_no_transaction(f"{request.method} to a FHIR server")
        until = time.monotonic() + self._limits.retry_seconds
        attempt = 1
        while True:
            began = time.monotonic()
            if not self._limits.left:
                raise FhirError(
                    f"Nobody waits for {request.what} any more; it was not sent"
                )
            try:
                return self._send_authorized(request)
            except FhirError as fault:
                pause = self._limits.first_pause * 2 ** (attempt - 1)
                pause = max(pause, fault.retry_after or 0.0)
                late = time.monotonic() + pause >= until
                # Another one that takes as long would come too late.
                late = late or pause + time.monotonic() - began >= self._limits.left
                if late or attempt >= self._limits.attempts:
                    raise
                if not (request.repeatable and _is_passing(fault)):
                    raise
                if self._closed.wait(pause):
                    raise
            attempt += 1

    def _send_authorized(self, request: Request) -> Answer:
        """Send with the token in hand; on 401 renew it once."""
        token = self._fetch_token()
        answer = self._send(request, token)
        refused = answer.status == 401 and not request.keeps_token
        if refused and token is not None:
            if self._forget is not None:
                self._forget(token)
            fresh = self._fetch_token()
            if fresh is not None and fresh != token:
                answer = self._send(request, fresh)
        if not 200 <= answer.status < 300:
            raise make_fault(answer, request.what, self._clock.now())
        return answer

    def _fetch_token(self) -> Secret | None:
        try:
            return self._token()
        except AuthorizationError as error:
            raise FhirError(f"No access token: {error.message}", status=401) from error

    def _send(self, request: Request, token: Secret | None) -> Answer:
        headers = {"Accept": JSON_TYPE, **dict(request.headers)}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        data = None
        if request.body is not None:
            headers.setdefault("Content-Type", JSON_TYPE)
            data = orjson.dumps(request.body)
        try:
            response = self._session.request(
                request.method,
                request.url,
                data=data,
                headers=headers,
                auth=_keep_headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except TooLargeError:
            raise FhirError(
                f"The answer to {request.what} is too large and was not read; narrow "
                "the search or raise the limit",
                permanent=True,
            ) from None
        except RefusedAddressError:
            raise FhirError(
                f"The FHIR server's name means an address that {request.what} may not "
                "go to (loopback, link-local, multicast or a metadata server); nothing "
                "was sent; see private_network in docs/operations.md",
                permanent=True,
            ) from None
        except requests.RequestException as error:
            # The library's text holds the URL, which may name a person.
            raise FhirError(
                f"The FHIR server did not answer {request.what}: "
                f"{name_failure(error)}; it may be tried again"
            ) from None
        return _read_answer(response, request, self._homes)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for an ``auth``, so that no ``.netrc`` replaces our own header."""
    return request


def _is_passing(fault: FhirError) -> bool:
    if fault.status is None:
        return not fault.permanent
    return fault.status in _RETRIED


def _read_answer(
    response: requests.Response, request: Request, homes: Collection[str]
) -> Answer:
    """Parse the body; one that is no JSON object is an error only in a success."""
    body = None
    if response.content:
        try:
            parsed = orjson.loads(response.content.removeprefix(_BOM))
        except orjson.JSONDecodeError:
            parsed = None
        body = parsed if isinstance(parsed, dict) else None
        if body is not None and _FAR.search(response.content):
            bring_references_home(body, homes)
        if body is None and 200 <= response.status_code < 300:
            raise FhirError(
                f"The FHIR server's answer to {request.what} is not a JSON object; "
                "check that the base is the FHIR server's own",
                status=response.status_code,
            )
    return Answer(response.status_code, response.headers, body)
