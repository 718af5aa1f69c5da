"""The body of a request, read by another thread, so that a slow sender holds no answer.

A WSGI server hands bodies over as they come, and a read cannot be broken off: whoever
sends one byte a minute would hold the thread that has to answer. Here a few threads do
nothing but read, and the one that answers waits for them until its time is over.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

READERS = 256


class Reader:
    """Runs reads side by side, at most ``most`` of them at a time.

    Threads are made when they are needed first, and none keeps the process alive.
    """

    def __init__(self, most: int = READERS) -> None:
        self._most = most
        self._work: queue.SimpleQueue[_Read] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def read(self, source: Callable[[], bytes | None], until: float) -> bytes | None:
        """Return what ``source`` reads; TimeoutError when ``until`` comes before.

        ``until`` is in seconds of the monotonic clock. What ``source`` raises is
        raised here.
        """
        reading = _Read(source)
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name="reader", daemon=True).start()
            else:
                raise TimeoutError("every reader waits for a slow sender")
        self._work.put(reading)
        if not reading.done.acquire(timeout=max(until - time.monotonic(), 0.0)):
            raise TimeoutError("the body did not come in time")
        if reading.fault is not None:
            raise reading.fault
        return reading.content

    def _run(self) -> None:
        while True:
            self._work.get().run()
            with self._lock:
                self._idle += 1


class _Read:
    """One read, and what came of it; ``done`` is released at its end."""

    def __init__(self, source: Callable[[], bytes | None]) -> None:
        self._source = source
        self.content: bytes | None = None
        self.fault: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.content = self._source()
        except Exception as fault:  # noqa: BLE001 -- handed to whoever waits
            self.fault = fault
        self.done.release()
