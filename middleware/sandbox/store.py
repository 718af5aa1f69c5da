"""The resources: versions, history and indexes, in memory and in the journal.

It may not know HTTP, search parameters or validation: what comes here is kept.
One lock orders the writers; readers take only a short lock over finished state.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.journal import Journal
from middleware.sandbox.state import (
    Change,
    Interaction,
    Resource,
    State,
    read_change,
    write_change,
)
from middleware.sandbox.transaction import Transaction

__all__ = ["Change", "Interaction", "Resource", "Store", "Transaction"]

KIND = "resource"
log = logging.getLogger(__name__)


class Store:
    """Every version of every resource, with callbacks after each commit.

    Resources that it answers are shared: copy one before you modify it.
    """

    def __init__(self, clock: SandboxClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._writing = threading.RLock()
        self._reading = threading.Lock()
        self._emitting = threading.RLock()
        self._draining = False
        self._open: Transaction | None = None
        self._pending: deque[Change] = deque()
        self._callbacks: list[Callable[[Change], None]] = []
        self._state = State()
        for record in journal.recorded(KIND):
            self._state.apply(read_change(record, self._state))

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back for each change after its commit, in the order of commits.

        The call is made in a writer's thread, outside the write lock; what the
        callback itself writes is reported after the change in hand.
        """
        self._callbacks.append(callback)

    def get(self, type_: str, id_: str) -> Resource | None:
        """Answer the current resource, or None when unknown or deleted."""
        with self._reading:
            return self._state.current(type_, id_)

    def latest(self, type_: str, id_: str) -> Change | None:
        """Answer the newest version, deletions included; None when unknown."""
        with self._reading:
            return self._state.latest(type_, id_)

    def versions(self, type_: str, id_: str) -> list[Change]:
        """Answer all versions of one resource, oldest first; [] when unknown."""
        with self._reading:
            return self._state.versions(type_, id_)

    def candidates(self, type_: str, target: str | None = None) -> list[Resource]:
        """Answer a type's current resources, or those that refer to `Type/id`."""
        with self._reading:
            return self._state.candidates(type_, target)

    def types(self) -> list[str]:
        """Answer the types that have current resources."""
        with self._reading:
            return self._state.types()

    def log(self) -> list[Change]:
        """Answer every change so far, oldest first."""
        with self._reading:
            return list(self._state.log)

    def create(self, type_: str, resource: Resource, id_: str | None = None) -> Change:
        """Commit a new resource under a new (or the given) id."""
        with self.transaction() as transaction:
            return transaction.create(type_, resource, id_)

    def update(self, type_: str, id_: str, resource: Resource) -> Change:
        """Commit the next version of a resource, or its first under this id."""
        with self.transaction() as transaction:
            return transaction.update(type_, id_, resource)

    def delete(self, type_: str, id_: str) -> Change | None:
        """Commit a deletion; None when there is nothing to delete."""
        with self.transaction() as transaction:
            return transaction.delete(type_, id_)

    @contextmanager
    def transaction(self, at: datetime | None = None) -> Iterator[Transaction]:
        """Gather changes and commit them together; an exception commits nothing.

        Writers wait for one another here; one inside another in the same thread
        is a RuntimeError. `at` stamps the changes instead of the clock's now.
        """
        with self._writing:
            if self._open is not None:
                raise RuntimeError("a transaction is open in this thread; end it first")
            self._open = Transaction(self._state, at or self._clock.now())
            try:
                yield self._open
                self._commit(self._open.changes)
            finally:
                self._open = None
        self._emit()

    def _commit(self, changes: list[Change]) -> None:
        if not changes:
            return
        self._journal.append(KIND, *(write_change(change) for change in changes))
        with self._reading:
            for change in changes:
                self._state.apply(change)
        self._pending.extend(changes)

    def _emit(self) -> None:
        with self._emitting:
            if self._draining:
                return
            self._draining = True
            try:
                while self._pending:
                    change = self._pending.popleft()
                    for callback in self._callbacks:
                        _report(callback, change)
            finally:
                self._draining = False


def _report(callback: Callable[[Change], None], change: Change) -> None:
    try:
        callback(change)
    except Exception:
        # The change is committed: for its writer it has succeeded.
        log.exception("a listener failed on %s/%s", change.type, change.id)
