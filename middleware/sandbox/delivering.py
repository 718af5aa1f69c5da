"""Sending over HTTP in the background: lanes of jobs, and one exchange at a time.

It may not know what is sent. It reaches this machine only, follows no redirect
and uses no proxy.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from middleware.sandbox.definition import is_loopback

Job = Callable[[], None]
LOG = logging.getLogger(__name__)
PAUSES = (0.0, 0.2, 1.0)
LARGEST_ANSWER = 65536


@dataclass(frozen=True)
class Answer:
    """What the other end said: a status, or why there is none.

    `body` is cut at 64 KiB.
    """

    status: int | None
    fault: str | None = None
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        """Tell whether the status is one of 200 to 299."""
        return self.status is not None and 200 <= self.status < 300

    def describe(self) -> str:
        """Answer a few words for `Subscription.error` or a page."""
        return f"HTTP {self.status}" if self.status else (self.fault or "no answer")


class Lanes:
    """A bounded pool of threads that keeps the jobs of one lane in their order."""

    def __init__(self, name: str, workers: int = 8) -> None:
        self._name = name
        self._workers = workers
        self._changed = threading.Condition()
        self._lanes: dict[str, deque[Job]] = {}
        self._busy = 0
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the threads; jobs that were put before now begin."""
        for number in range(self._workers):
            thread = threading.Thread(
                target=self._run, name=f"{self._name}-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End pauses at once, let jobs in hand finish, drop the others."""
        self._stopping.set()
        for _ in self._threads:
            self._ready.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def put(self, lane: str, job: Job) -> None:
        """Add a job at the end of a lane."""
        with self._changed:
            jobs = self._lanes.get(lane)
            if jobs is not None:
                jobs.append(job)
                return
            self._lanes[lane] = deque([job])
        self._ready.put(lane)

    def clear(self) -> int:
        """Forget every waiting job; answer how many there were."""
        with self._changed:
            lost = sum(len(jobs) for jobs in self._lanes.values())
            for jobs in self._lanes.values():
                jobs.clear()
            self._changed.notify_all()
        return lost

    def pending(self) -> int:
        """Answer how many jobs wait or run."""
        with self._changed:
            return self._busy + sum(len(jobs) for jobs in self._lanes.values())

    def wait_quiet(self, timeout: float) -> bool:
        """Wait until nothing waits or runs; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_quiet, timeout)

    def pause(self, seconds: float) -> bool:
        """Wait within a job; True when the wait was cut short by `stop`."""
        return self._stopping.wait(seconds) if seconds > 0 else self._stopping.is_set()

    def _is_quiet(self) -> bool:
        return self._busy == 0 and not any(self._lanes.values())

    def _run(self) -> None:
        while True:
            lane = self._ready.get()
            if lane is None or self._stopping.is_set():
                return
            with self._changed:
                jobs = self._lanes[lane]
                job = jobs.popleft() if jobs else None
                self._busy += 1
            try:
                if job is not None:
                    job()
            except Exception:
                LOG.exception("a background job failed; later jobs go on")
            finally:
                self._settle(lane)

    def _settle(self, lane: str) -> None:
        with self._changed:
            self._busy -= 1
            more = bool(self._lanes[lane])
            if not more:
                del self._lanes[lane]
            self._changed.notify_all()
        if more:
            self._ready.put(lane)


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: float
) -> Answer:
    """Make one request to a loopback URL; every failure becomes an `Answer`.

    `timeout` is in seconds and holds for each wait on the socket.
    """
    if not is_loopback(url):
        return Answer(None, "not an address of this machine")
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    started = time.monotonic()
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        content = response.read(LARGEST_ANSWER)
    except (OSError, HTTPException, ValueError) as error:
        waited = time.monotonic() - started
        return Answer(None, f"{type(error).__name__} after {waited:.1f} s")
    finally:
        connection.close()
    return Answer(response.status, body=content)


def send_with_retries(
    lanes: Lanes, attempt: Callable[[], Answer], accepts: Callable[[Answer], bool]
) -> Answer:
    """Try up to three times (at once, after 0.2 s, after 1 s); the last answer."""
    answer = Answer(None, "stopped before it was sent")
    for seconds in PAUSES:
        if lanes.pause(seconds):
            return answer
        answer = attempt()
        if accepts(answer):
            return answer
    return answer
