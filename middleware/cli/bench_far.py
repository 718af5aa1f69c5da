"""The benchmark's distant EHR: the sandbox, each of whose answers takes its time.

It is the sandbox with its SMART authorization server as it is; around it every answer
that crosses the way to an EHR waits, batches may be refused, and requests are counted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from middleware.cli.parent import stop_with_parent
from middleware.sandbox.app import Options
from middleware.sandbox.launches import Launch
from middleware.sandbox.server import Running

PATIENT, USER = "rosa", "Practitioner/osei"
NEAR = ("/sandbox/", "/ehr", "/oauth/authorize")

Start = Callable[..., Any]


class Far:
    """A WSGI application around the sandbox's own; ``/bench/`` steers it."""

    def __init__(self, inner: Callable[..., Iterable[bytes]], authority: Any) -> None:
        self._inner = inner
        self._authority = authority
        self._lock = threading.Lock()
        self._never = threading.Event()
        self._seconds, self._batches, self._asked = 0.0, True, 0

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer as the sandbox would, later."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path.startswith("/bench/"):
            return self._steer(path, environ, start)
        if not path.startswith(NEAR):
            self._never.wait(self._seconds)
        if path.startswith("/fhir") and ".well-known" not in path:
            with self._lock:
                self._asked += 1
        if method == "POST" and path.strip("/") == "fhir" and not self._batches:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("405 Method Not Allowed", [("Content-Length", "0")])
            return [b""]
        return self._inner(environ, start)

    def set(self, *, seconds: float, batches: bool) -> None:
        """Say how long each answer takes, and whether batches are taken."""
        self._seconds, self._batches = seconds, batches

    def _steer(self, path: str, environ: dict[str, Any], start: Start) -> list[bytes]:
        told: dict[str, Any] = {}
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if path == "/bench/launch":
            told["launch"] = self._authority.launches.put(
                Launch(None, PATIENT, None, USER)
            )
        if path == "/bench/set":
            wanted = orjson.loads(environ["wsgi.input"].read(length))
            self.set(seconds=wanted["seconds"], batches=wanted["batches"])
        with self._lock:
            told["asked"], self._asked = self._asked, 0
        body = orjson.dumps(told)
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]


def serve(port: int) -> None:
    """Serve on this port of this machine until the process is ended."""
    stop_with_parent()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Running(Options(), port=port) as running:
        app = running.app
        far = Far(app.wsgi_app, app.extensions["smart"])
        app.wsgi_app = far  # type: ignore[method-assign,assignment]
        ended.wait()
