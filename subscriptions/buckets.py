"""How fast one subscription may send: a bucket of tokens for each, in this process."""

from __future__ import annotations

import threading

PER_SECOND = 10_000.0
BURST = 50_000.0
_MOST = 10_000


class Buckets:
    """Token buckets by name; ``now`` is in seconds of the monotonic clock."""

    def __init__(self, per_second: float = PER_SECOND, burst: float = BURST) -> None:
        self._per_second = per_second
        self._burst = burst
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now: float) -> bool:
        """Take one token; False when there is none left for now."""
        with self._lock:
            if name not in self._levels and len(self._levels) >= _MOST:
                self._levels.clear()
            level, seen = self._levels.get(name, (self._burst, now))
            level = min(self._burst, level + max(now - seen, 0.0) * self._per_second)
            taken = level >= 1.0
            self._levels[name] = (level - taken, max(now, seen))
            return taken
