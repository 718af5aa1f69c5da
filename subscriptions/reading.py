"""The body of a request, read by another thread, so that a slow sender holds no answer.

A WSGI server hands bodies over as they come, and a read cannot be broken off: whoever
sends one byte a minute would hold the thread that has to answer. Here a few threads do
nothing but read, and the one that answers waits for them until its time is over. No
sender has more than its share of them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

READERS = 256
# Of one sender.
SHARE = 64


class UnfinishedError(TimeoutError):
    """The time is over and the body is still being read; ``wait`` returns at its end."""

    def __init__(self, wait: Callable[[], object]) -> None:
        super().__init__("the body did not come in time")
        self.wait = wait


Source: TypeAlias = Callable[[], bytes | None]


class Reader:
    """Runs reads side by side, at most ``most`` of them, ``share`` for one sender.

    Threads are made when they are needed first, and none keeps the process alive.
    """

    def __init__(self, most: int = READERS, share: int = SHARE) -> None:
        self._most = most
        self._share = share
        self._work: queue.SimpleQueue[_Read] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._taken: Counter[str] = Counter()

    def read(self, source: Source, until: float, sender: str) -> bytes | None:
        """Return what ``source`` reads; UnfinishedError when ``until`` comes before.

        ``until`` is in seconds of the monotonic clock. What ``source`` raises is
        raised here. TimeoutError when too many are read already.
        """
        reading = _Read(source, sender)
        if not self._begin(reading):
            raise TimeoutError("every reader waits for a slow sender")
        if not reading.done.acquire(timeout=max(until - time.monotonic(), 0.0)):
            raise UnfinishedError(reading.done.acquire)
        if reading.fault is not None:
            raise reading.fault
        return reading.content

    def _begin(self, reading: _Read) -> bool:
        """Give it to a thread; False when its sender, or all, have too many."""
        with self._lock:
            if self._taken[reading.sender] >= self._share:
                return False
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name="reader", daemon=True).start()
            else:
                return False
            self._taken[reading.sender] += 1
        self._work.put(reading)
        return True

    def _run(self) -> None:
        while True:
            reading = self._work.get()
            reading.run()
            with self._lock:
                self._idle += 1
                self._taken[reading.sender] -= 1
                if not self._taken[reading.sender]:
                    del self._taken[reading.sender]
            reading.done.release()


class _Read:
    """One read, and what came of it; ``done`` is released at its end."""

    def __init__(self, source: Source, sender: str) -> None:
        self._source = source
        self.sender = sender
        self.content: bytes | None = None
        self.fault: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.content = self._source()
        except Exception as fault:  # noqa: BLE001 -- handed to whoever waits
            self.fault = fault
