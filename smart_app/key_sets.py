"""The key sets of EHRs, kept for five minutes.

Only URLs that the site wrote down or reviewed come here. A set is asked for anew when a
key is not in it, but not again at once, so that no stranger's JWT makes us ask on and on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from mappings.endpoint import Endpoint

CACHE_SECONDS = 300.0


class KeySets:
    """Key sets by URL. Raises what ``fetch`` raises.

    ``pause`` is for how many seconds a set is not asked for anew another time.
    """

    def __init__(
        self, fetch: Callable[[Endpoint, str], dict[str, Any]], *, pause: float
    ) -> None:
        self._fetch = fetch
        self._pause = pause
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._forced: dict[str, float] = {}

    def find(self, endpoint: Endpoint, url: str, *, fresh: bool) -> dict[str, Any]:
        """Return the set at a URL; ``fresh`` asks for it anew where it may."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(url)
            since = now - self._forced.get(url, now - self._pause)
            again = fresh and since >= self._pause
            if again:
                self._forced[url] = now
        if kept is not None and not again and now - kept[0] < CACHE_SECONDS:
            return kept[1]
        keys = self._fetch(endpoint, url)
        with self._lock:
            self._kept[url] = (now, keys)
        return keys
