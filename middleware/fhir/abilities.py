"""What one server was found not to do, shared by all who talk to it.

A try that fails costs a round trip, so it is remembered for every client of the
endpoint. Not for good: servers are upgraded, and one person's token may do less.
"""

from __future__ import annotations

import threading
import time

AGAIN_SECONDS = 600.0
ODD_ANSWERS = 2


class Abilities:
    """Whether the server takes batches, as far as it has shown.

    After ``again`` seconds what it refused is tried once more.
    """

    def __init__(self, again: float = AGAIN_SECONDS) -> None:
        self._again = again
        self._lock = threading.Lock()
        self._refused_at: float | None = None
        self._odd = 0

    @property
    def batches(self) -> bool:
        """Tell whether a batch is worth trying now."""
        with self._lock:
            at = self._refused_at
        return at is None or time.monotonic() - at >= self._again

    def note_taken(self) -> None:
        """Remember that a batch was answered."""
        with self._lock:
            self._refused_at, self._odd = None, 0

    def note_refused(self) -> None:
        """Remember that the server takes no batches."""
        with self._lock:
            self._refused_at = time.monotonic()

    def note_odd(self) -> None:
        """Remember a batch that failed as a whole; a row of them is a refusal."""
        with self._lock:
            self._odd += 1
            if self._odd >= ODD_ANSWERS:
                self._refused_at, self._odd = time.monotonic(), 0
