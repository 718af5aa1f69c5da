"""What EHRs were asked for before anybody waits: documents and key sets, kept a while.

Only URLs that the site wrote down or reviewed come here. What is kept is asked for anew
when it is old or does not fit, but not again at once, so that no stranger's JWT and no
stranger's launch makes us ask on and on. Of those who want the same, one asks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError

CACHE_SECONDS = 300.0
# What is older when a launch begins is asked for anew beside it.
AHEAD_SECONDS = CACHE_SECONDS / 2

Answer = TypeVar("Answer")
Place = tuple[str, str]


class Fetched(Generic[Answer]):
    """Answers by endpoint and URL. Raises what ``fetch`` raises.

    Of an endpoint that was registered anew nothing is kept from before.

    ``pause`` is for how many seconds a URL is not asked anew another time.
    """

    def __init__(
        self, fetch: Callable[[Endpoint, str], Answer], *, pause: float
    ) -> None:
        self._fetch = fetch
        self._pause = pause
        self._lock = threading.Lock()
        self._kept: dict[Place, tuple[float, Answer, Endpoint]] = {}
        self._forced: dict[Place, float] = {}
        self._ahead: dict[Place, float] = {}
        self._asking: dict[Place, threading.Lock] = {}

    def find(self, endpoint: Endpoint, url: str, *, fresh: bool) -> Answer:
        """Return the answer at a URL; ``fresh`` asks for it anew where it may."""
        now, place = time.monotonic(), (endpoint.id, url)
        with self._lock:
            kept = self._find_kept(endpoint, url)
            since = now - self._forced.get(place, now - self._pause)
            again = fresh and since >= self._pause
            if again:
                self._forced[place] = now
        if kept is not None and not again and now - kept[0] < CACHE_SECONDS:
            return kept[1]
        return self._ask(endpoint, url, now if again else now - CACHE_SECONDS)

    def prefetch(self, endpoint: Endpoint, url: str) -> None:
        """Ask in the background for what somebody will want soon; returns at once."""
        now, place = time.monotonic(), (endpoint.id, url)
        with self._lock:
            kept = self._find_kept(endpoint, url)
            young = kept is not None and now - kept[0] < AHEAD_SECONDS
            if young or now - self._ahead.get(place, now - self._pause) < self._pause:
                return
            self._ahead[place] = now
        threading.Thread(
            target=self._ask_quietly, args=(endpoint, url, now), daemon=True
        ).start()

    def _find_kept(self, endpoint: Endpoint, url: str) -> tuple[float, Answer] | None:
        kept = self._kept.get((endpoint.id, url))
        same = kept is not None and _registration(kept[2]) == _registration(endpoint)
        return kept[:2] if kept is not None and same else None

    def _ask_quietly(self, endpoint: Endpoint, url: str, since: float) -> None:
        # Whoever needs it asks again, and is told what is wrong.
        with contextlib.suppress(CareCueError):
            self._ask(endpoint, url, since)

    def _ask(self, endpoint: Endpoint, url: str, since: float) -> Answer:
        """Return what was asked for after ``since``: by us, or by who came before."""
        with self._lock:
            asking = self._asking.setdefault((endpoint.id, url), threading.Lock())
        with asking:
            with self._lock:
                kept = self._find_kept(endpoint, url)
            if kept is not None and kept[0] >= since:
                return kept[1]
            began = time.monotonic()
            answer = self._fetch(endpoint, url)
            with self._lock:
                self._kept[endpoint.id, url] = (began, answer, endpoint)
            return answer


def _registration(endpoint: Endpoint) -> tuple[object, ...]:
    # What was mended there has to count at the next launch, not minutes later.
    return endpoint.fhir_base, endpoint.app, endpoint.profile, endpoint.cds
