"""The key sets of EHRs that call us, kept for five minutes.

Only URLs that the site wrote down come here. A set is asked for anew when a key is not
in it, at most every 30 s, so that no stranger's JWT makes us ask on and on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from mappings.endpoint import Endpoint

CACHE_SECONDS = 300.0
FORCED_AFTER_SECONDS = 30.0


class KeySets:
    """Key sets by URL. Raises what ``fetch`` raises."""

    def __init__(self, fetch: Callable[[Endpoint, str], dict[str, Any]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._forced: dict[str, float] = {}

    def find(self, endpoint: Endpoint, url: str, *, fresh: bool) -> dict[str, Any]:
        """Return the set at a URL; ``fresh`` asks for it anew where it may."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(url)
            since = now - self._forced.get(url, now - FORCED_AFTER_SECONDS)
            again = fresh and since >= FORCED_AFTER_SECONDS
            if again:
                self._forced[url] = now
        if kept is not None and not again and now - kept[0] < CACHE_SECONDS:
            return kept[1]
        keys = self._fetch(endpoint, url)
        with self._lock:
            self._kept[url] = (now, keys)
        return keys
