"""What one server was found not to do, shared by all who talk to it.

A try that fails costs a round trip, so it is remembered for every client of the
endpoint. Not for good: servers are upgraded, and one person's token may do less.
"""

from __future__ import annotations

import threading
import time

AGAIN_SECONDS = 600.0
ODD_ANSWERS = 2
# A batch that is no larger than this is worth trying with every server.
FEW = 40
MOST = 160
QUICK_SECONDS = 0.5
SLOW_SECONDS = 2.0


class Abilities:
    """Whether the server takes batches, and how large ones, as far as it has shown.

    After ``again`` seconds what it refused is tried once more. Batches grow where a full
    one was answered within ``quick`` seconds, and shrink where one took long or failed.
    """

    def __init__(
        self, again: float = AGAIN_SECONDS, quick: float = QUICK_SECONDS
    ) -> None:
        self._again = again
        self._quick = quick
        self._lock = threading.Lock()
        self._refused_at: float | None = None
        self._large_refused_at: float | None = None
        self._odd = 0
        self._entries = FEW

    @property
    def batches(self) -> bool:
        """Tell whether a batch is worth trying now."""
        with self._lock:
            return self._is_over(self._refused_at)

    @property
    def refused(self) -> bool:
        """Tell whether the last word of the server was that it takes none."""
        with self._lock:
            return self._refused_at is not None

    @property
    def entries(self) -> int:
        """Return how many entries the next batch may have."""
        with self._lock:
            return self._entries

    def note_taken(self, entries: int, seconds: float) -> None:
        """Remember that a batch of so many entries was answered, and how fast."""
        with self._lock:
            self._refused_at, self._odd = None, 0
            if seconds > SLOW_SECONDS:
                self._entries = FEW
            elif (
                seconds <= self._quick
                and entries >= self._entries
                and self._is_over(self._large_refused_at)
            ):
                self._entries = min(self._entries * 2, MOST)

    def note_refused(self) -> None:
        """Remember that the server takes no batches."""
        with self._lock:
            self._refused_at = time.monotonic()

    def note_odd(self, entries: int) -> None:
        """Remember a batch that failed as a whole; a row of them is a refusal.

        One that was large may have been too large: smaller ones are tried.
        """
        with self._lock:
            self._entries = FEW
            if entries > FEW:
                self._large_refused_at = time.monotonic()
                return
            self._odd += 1
            if self._odd >= ODD_ANSWERS:
                self._refused_at, self._odd = time.monotonic(), 0

    def note_silent(self) -> None:
        """Remember a batch that was not answered: it may have asked for too much."""
        with self._lock:
            self._entries = FEW

    def _is_over(self, refused_at: float | None) -> bool:
        return refused_at is None or time.monotonic() - refused_at >= self._again
