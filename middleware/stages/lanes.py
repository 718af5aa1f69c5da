"""Lanes: how many patients may be on their way to one channel at once, per process.

A lane also remembers whether its channel answers at all: one that fails in a row is
shut for a while. The same memory is kept for EHRs that do not answer. It is a memory
of the process: another one, or the next, learns it anew from a few faults. What is shut
is told, so that people see it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import structlog

from middleware.decisions.circuit import (
    Circuit,
    after_answer,
    after_fault,
    let_through,
)

# More at once gain little with any provider and take its rate limit from the others.
PLACES = 8

# Tells until when a lane is shut, None when it is open again, as of an instant.
Tell = Callable[[str, datetime | None, datetime], None]

_log = structlog.get_logger(__name__)


def _keep_quiet(name: str, until: datetime | None, now: datetime) -> None:
    pass


class Lanes:
    """The lanes of one process, by the name of their channel; safe for threads.

    ``tell`` is called when a lane is shut or opens again; it must not raise.
    """

    def __init__(self, places: int = PLACES, tell: Tell = _keep_quiet) -> None:
        self.places = places
        self._tell = tell
        self._telling = threading.Lock()
        self._guard = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._circuits: dict[str, Circuit] = {}

    def enter(self, name: str) -> Place | None:
        """Take a place without waiting; None when all are taken."""
        return Place(self, name) if self._take(name) else None

    def is_shut(self, name: str, now: datetime) -> datetime | None:
        """Return until when ``name`` is shut; None when somebody may try."""
        with self._guard:
            circuit = self._circuits.get(name, Circuit())
        return circuit.shut_until if circuit.is_shut(now) else None

    def admit(self, name: str, now: datetime) -> datetime | None:
        """Return until when to wait; None lets the caller through.

        After a shut time exactly one is let through, and tells by ``note``.
        """
        with self._guard:
            circuit, until = let_through(self._circuits.get(name, Circuit()), now)
            self._circuits[name] = circuit
        return until

    def note(
        self,
        name: str,
        now: datetime,
        *,
        about: str,
        fault: bool,
        retry_after: float | None = None,
    ) -> None:
        """Note what came of asking about somebody: a fault of the other side, or not."""
        with self._guard:
            before = self._circuits.get(name, Circuit())
            after = after_answer()
            if fault:
                after = after_fault(before, now, about, retry_after)
            self._circuits[name] = after
        known, present = ((each.shut_until, each.probing) for each in (before, after))
        if known != present:
            until = after.shut_until.isoformat() if after.shut_until else None
            _log.warning(
                "shut for a while" if until else "open", name=name, until=until
            )
            self._tell_present(name, now)

    def _tell_present(self, name: str, now: datetime) -> None:
        """Tell what holds now, not what held: threads may come here out of order."""
        with self._telling:
            with self._guard:
                until = self._circuits[name].shut_until
            self._tell(name, until, now)

    def _take(self, name: str) -> bool:
        with self._guard:
            if self._taken[name] >= self.places:
                return False
            self._taken[name] += 1
            return True

    def _give(self, name: str) -> None:
        with self._guard:
            self._taken[name] -= 1


class Place:
    """One taken place; whoever took it leaves it.

    ``refused`` tells that it could not be changed for one in a full lane.
    """

    def __init__(self, lanes: Lanes, name: str) -> None:
        self._lanes = lanes
        self._name = name
        self.refused = False

    def move(self, name: str) -> bool:
        """Change to another lane without waiting; False when that is full."""
        if name == self._name:
            return True
        if not self._lanes._take(name):  # noqa: SLF001 -- the two are one
            self.refused = True
            return False
        self.leave()
        self._name = name
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._lanes._give(self._name)  # noqa: SLF001 -- the two are one
