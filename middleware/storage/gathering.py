"""Wake-ups of a process that makes very many: gathered, and sent a few times a second.

A wake-up is a hint that at most one of waits for each shard, so hundreds a second are
as good as one, and what comes in the pause is worked on together. The first after a
pause goes at once. They are sent by a thread of their own: nobody waits for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

PAUSE_SECONDS = 0.2


class GatheredWakes:
    """Takes wake-ups at once and hands them on; ``close`` sends what is left."""

    def __init__(
        self,
        send: Callable[[Iterable[tuple[str, int]]], None],
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._send = send
        self._pause = pause_seconds
        self._guard = threading.Lock()
        self._wanted: set[tuple[str, int]] = set()
        self._due = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self, stage: str, shard: int) -> None:
        """Say that a shard has work; call it after the commit that made the work."""
        with self._guard:
            self._wanted.add((stage, shard))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wakes", daemon=True
                )
                self._thread.start()
        self._due.set()

    def close(self) -> None:
        """Send what is left and end the thread."""
        self._ended.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._due.wait()
            self._due.clear()
            with self._guard:
                wanted, self._wanted = self._wanted, set()
            self._send(sorted(wanted))
            self._ended.wait(self._pause)
        self._send(sorted(self._wanted))
