"""What is to happen when a time is over that nobody ended before: one thread for all.

A thread for each exchange costs a tenth of it. What was ended is never called after.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Deadline:
    """A time that runs; ``call`` is called once, briefly, when it is over."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call


class Deadlines:
    """Keeps the deadlines of a process; its thread begins with the first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: list[tuple[float, int, Deadline]] = []
        self._number = itertools.count()
        self._thread: threading.Thread | None = None

    def begin(self, seconds: float, call: Callable[[], None]) -> Deadline:
        """Let a time run; ``call`` must not begin or end a deadline itself."""
        deadline = Deadline(call)
        due = time.monotonic() + seconds
        with self._changed:
            # A process that was forked has not got the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="deadlines", daemon=True
                )
                self._thread.start()
            heapq.heappush(self._running, (due, next(self._number), deadline))
            if self._running[0][2] is deadline:
                self._changed.notify()
        return deadline

    def end(self, deadline: Deadline) -> None:
        """End a deadline: it is not called any more once this returns."""
        with self._changed:
            deadline.call = None

    def _run(self) -> None:
        with self._changed:
            while True:
                self._changed.wait(self._call_due())

    def _call_due(self) -> float | None:
        """Call what is over; return the seconds to the next, None where there is none."""
        while self._running:
            due, _, deadline = self._running[0]
            left = due - time.monotonic()
            if deadline.call is not None and left > 0:
                return left
            heapq.heappop(self._running)
            if deadline.call is not None:
                deadline.call()
                deadline.call = None
        return None
