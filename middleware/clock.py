"""Time: the only module that asks the system for it.

Stages read the clock once and hand ``now`` down. The movable clock adds an offset that
is kept in the database, so that every process agrees; it is used only where every
endpoint is a sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The system's time."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)


class MovableClock:
    """The system's time plus an offset that ``read_offset`` looks up at each call."""

    def __init__(self, read_offset: Callable[[], timedelta]) -> None:
        self._read_offset = read_offset

    def now(self) -> datetime:
        """Return the present instant, moved, in UTC."""
        return datetime.now(UTC) + self._read_offset()


class FixedClock:
    """A clock that stands still until it is set: for tests and dry runs."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """Return the instant that was set."""
        return self.instant
