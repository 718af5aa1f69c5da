"""A relay between two HTTP parties that loses, repeats and cuts what it carries.

It notes every request whose answer reached the sender, so that a test can hold the
receiver to what it acknowledged. Whether a request is spoilt depends on the seed and on
how many came before.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


@dataclass(frozen=True)
class Carried:
    """One request that was answered, and the answer reached its sender."""

    method: str
    path: str
    body: bytes
    status: int


@dataclass(frozen=True)
class Rates:
    """How often (0 to 1) a request is cut before or after it was carried, or repeated."""

    before: float = 0.0
    after: float = 0.0
    twice: float = 0.0


class Relay:
    """Forwards to ``target`` (scheme://host:port) between ``start`` and ``stop``."""

    def __init__(self, target: str, seed: int, rates: Rates | None = None) -> None:
        self.target = target
        self.carried: list[Carried] = []
        self.rates = rates or Rates()
        self._seed = seed
        self._count = 0
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Begin to forward."""
        self._thread.start()

    def stop(self) -> None:
        """End; connections are cut."""
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def cut(self) -> None:
        """Cut every connection and take no new one until ``heal``."""
        self._cut.set()
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Carry again."""
        self._cut.clear()

    @property
    def broken(self) -> bool:
        """Tell whether nothing is carried."""
        return self._cut.is_set()

    def note(self, connection: socket.socket, *, opened: bool) -> None:
        """Remember or forget a connection."""
        with self._guard:
            (self._open.add if opened else self._open.discard)(connection)

    def keep(self, carried: Carried) -> None:
        """Remember a request whose answer was handed over."""
        with self._guard:
            self.carried.append(carried)

    def fate(self) -> str:
        """Return before, after, twice or carry for the next request."""
        with self._guard:
            self._count += 1
            number = self._count
        digest = hashlib.sha256(f"{self._seed}|{number}".encode()).digest()
        dice = int.from_bytes(digest[:6]) / 2**48
        for name in ("before", "after", "twice"):
            rate = getattr(self.rates, name)
            if dice < rate:
                return name
            dice -= rate
        return "carry"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that were cut on purpose."""


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            relay.note(self.connection, opened=True)

        def finish(self) -> None:
            relay.note(self.connection, opened=False)
            super().finish()

        def log_message(self, *_: object) -> None:
            return

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            fate = "before" if relay.broken else relay.fate()
            if fate == "before":
                self.close_connection = True
                return
            answers = [self._forward(body) for _ in range(2 if fate == "twice" else 1)]
            if fate == "after" or relay.broken or answers[-1] is None:
                self.close_connection = True
                return
            status, headers, content = answers[-1]
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            relay.keep(Carried(self.command, self.path, body, status))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 -- http.server's names

        def _forward(
            self, body: bytes
        ) -> tuple[int, list[tuple[str, str]], bytes] | None:
            parts = urlsplit(relay.target)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in HOP
            }
            connection = http.client.HTTPConnection(
                str(parts.hostname), parts.port, timeout=20
            )
            try:
                connection.request(self.command, self.path, body or None, headers)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

    return Handler
