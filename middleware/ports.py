"""What the engine asks of the outside world, as protocols.

A function that takes one of these does I/O or meets chance; one that takes none of
them, no ``tx`` and no ``now`` is pure.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mappings.delivery import Message, Receipt

_transaction_open: ContextVar[bool] = ContextVar("transaction_open", default=False)


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class Ids(Protocol):
    """Makes identifiers and secrets."""

    def new(self) -> str:
        """Return a fresh UUID as text."""
        ...

    def secret(self) -> str:
        """Return a URL-safe secret of 256 bits."""
        ...


class RandomIds:
    """Identifiers from the operating system's source of chance."""

    def new(self) -> str:
        """Return a random UUID (version 4)."""
        return str(uuid.uuid4())

    def secret(self) -> str:
        """Return 256 random bits, URL-safe."""
        return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class SearchResult:
    """Resources that a search returned.

    ``complete`` is False when a page is missing or was refused; ``outcomes`` holds the
    OperationOutcomes that came along; ``server_time`` is what the server's clock showed
    (its Date header), None where it was not told, and ``pages`` how many were read.
    """

    resources: tuple[dict[str, Any], ...]
    complete: bool = True
    outcomes: tuple[dict[str, Any], ...] = ()
    server_time: datetime | None = field(default=None, compare=False)
    pages: int = field(default=0, compare=False)


class FhirApi(Protocol):
    """One FHIR R4 server, seen through one token. Raises ``FhirError``.

    A reference is ``Type/id`` relative to the base; absolute ones are accepted only
    under the base.
    """

    base_url: str

    def fetch(self, reference: str) -> dict[str, Any]:
        """Read the current version of one resource."""
        ...

    def fetch_history(self, reference: str) -> tuple[dict[str, Any], ...]:
        """Return all versions of one resource, oldest first.

        Deleted ones as ``{"resourceType", "id", "meta", "_deleted": True}``.
        """
        ...

    def fetch_search(self, query: str, *, follow_pages: bool = True) -> SearchResult:
        """Search, e.g. ``Encounter?patient=Patient/1``, to the last page."""
        ...

    def fetch_many(self, queries: Sequence[str]) -> tuple[SearchResult, ...]:
        """Answer several reads and searches, in one batch where the server can.

        Each query is ``Type/id``, ``Type/id/_history`` or ``Type?params``. A part
        that failed comes back with ``complete`` False and its OperationOutcome.
        """
        ...

    def fetch_each(self, queries: Sequence[str]) -> Iterator[tuple[str, SearchResult]]:
        """Yield each query with its answer, as answers come; else as ``fetch_many``."""
        ...

    def fetch_first(
        self, queries: Sequence[str], most: int
    ) -> tuple[SearchResult | None, ...]:
        """Answer as many queries as ``most`` requests can; None for those not asked."""
        ...

    def fetch_operation(
        self, path: str, parameters: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Ask an operation that changes nothing, e.g. ``Subscription/1/$status``.

        ``parameters`` are those of a Parameters resource with simple values.
        """
        ...

    def send_create(
        self,
        resource: Mapping[str, Any],
        *,
        if_none_exist: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Create, conditionally on a search that finds nothing; return what stands.

        ``headers`` are those that one server wants beside the usual ones.
        """
        ...

    def send_update(
        self, resource: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Update by id, conditionally on the version."""
        ...

    def send_patch(
        self,
        reference: str,
        patch: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        *,
        if_match: str | None = None,
    ) -> dict[str, Any]:
        """Patch by id, conditionally on the version; return what stands.

        Operations are a JSON Patch, a Parameters resource is a FHIRPath Patch.
        """
        ...

    def send_delete(self, reference: str) -> None:
        """Delete one resource."""
        ...


class Channel(Protocol):
    """One way to reach a person. ``send`` raises ``ChannelError``."""

    name: str

    def send(self, message: Message) -> Receipt:
        """Hand the message over once."""
        ...

    def find(self, message: Message, since: datetime) -> Receipt | None:
        """Ask the provider whether it has this message; None when it has not.

        Raises ``ChannelError`` when the provider cannot be asked.
        """
        ...


class Patience:
    """How long somebody waits for what an EHR answers, and whether they still do.

    ``end`` it when they are gone: nothing more is asked for them then.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._gone = threading.Event()

    def end(self) -> None:
        """Say that nobody waits any more."""
        self._gone.set()

    @property
    def left(self) -> float:
        """Return for how many seconds it is still waited."""
        left = self._until - time.monotonic()
        return 0.0 if self._gone.is_set() else max(left, 0.0)


@contextlib.contextmanager
def transaction_scope() -> Iterator[None]:
    """Mark that a database transaction is open in this context."""
    token = _transaction_open.set(True)
    try:
        yield
    finally:
        _transaction_open.reset(token)


def require_no_transaction(what: str) -> None:
    """Raise when ``what`` (a network call) is about to run inside a transaction."""
    if _transaction_open.get():
        raise RuntimeError(f"{what} inside a database transaction")
