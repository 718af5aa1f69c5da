"""The sandbox's movable clock: the only module here that asks the system for time.

It may not know FHIR, HTTP or the store; it keeps one offset and writes it down.
"""

import threading
from datetime import UTC, datetime, timedelta

from middleware.sandbox.journal import Journal

KIND = "clock"
CENTURY = timedelta(days=36525)


class SandboxClock:
    """Simulated time: the system's time plus an offset that survives a restart.

    Time flows on after it was moved. All instants are aware, in UTC.
    """

    def __init__(self, journal: Journal, start: datetime | None = None) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        recorded = journal.recorded(KIND)
        if recorded:
            self._offset = timedelta(seconds=float(recorded[-1]["offset"]))
        elif start is not None:
            self.set(start)

    def now(self) -> datetime:
        """Answer the simulated instant, in UTC, to the microsecond."""
        with self._lock:
            return datetime.now(UTC) + self._offset

    def set(self, instant: datetime) -> datetime:
        """Move the clock to an aware instant and answer it, in UTC.

        ValueError when the instant has no offset.
        """
        if instant.tzinfo is None:
            raise ValueError("the instant has no UTC offset; nothing was moved")
        with self._lock:
            self._keep(instant.astimezone(UTC) - datetime.now(UTC))
        return instant.astimezone(UTC)

    def advance(self, span: timedelta) -> datetime:
        """Move the clock by a span (forward when positive); answer the new now.

        OverflowError when the calendar ends before; then nothing was moved.
        """
        with self._lock:
            self._keep(self._offset + span)
            return datetime.now(UTC) + self._offset

    def _keep(self, offset: timedelta) -> None:
        # A century is kept free, for what is reckoned from now on must fit as well.
        datetime.now(UTC) + offset + CENTURY
        datetime.now(UTC) + offset - CENTURY
        self._offset = offset
        self._journal.append(KIND, {"offset": offset.total_seconds()})
