"""Time as the machine grants it: the pauses that a thread beside a test could take.

A busy machine, or a search for garbage in this process, holds that thread as it holds
what is measured: neither breaks a limit that the product keeps.
"""

from __future__ import annotations

import threading
from typing import Self

_PAUSE_SECONDS = 0.01


class Pace:
    """Counts them while it is entered; ``seconds`` is their sum, at most what passed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pace")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            self.seconds += _PAUSE_SECONDS
