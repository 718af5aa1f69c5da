"""A scripted FHIR server on loopback, and what it says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from middleware.fhir.transport import Limits

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What the server says; ``raw`` takes over the socket instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: Callable[[BaseHTTPRequestHandler], None] | None = None


class Script:
    """Answers by a function of the request; remembers every request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Reply] = lambda _: Reply(404)
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.base = ""

    def then(self, *replies: Reply) -> None:
        """Give these replies in order; the last again and again."""
        left = list(replies)

        def answer(_: Asked) -> Reply:
            return left.pop(0) if len(left) > 1 else left[0]

        self.answer = answer

    @property
    def lines(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


def make_handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(
                self.command,
                self.path,
                dict(self.headers),
                self.rfile.read(length),
                self.client_address[1],
            )
            with script.lock:
                script.asked.append(asked)
                reply = script.answer(asked)
            if reply.raw is not None:
                self.close_connection = True
                try:
                    reply.raw(self)
                except OSError:
                    return
                return
            body = reply.body
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            raw = b"" if body is None else raw
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def send_last(handler: BaseHTTPRequestHandler, body: Any) -> None:
    """Send JSON where a reply took the socket over; the connection ends with it."""
    raw = json.dumps(body).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(raw)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(raw)


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    # Whoever asks for a whole chart connects often at once.
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        return


@contextlib.contextmanager
def serve() -> Iterator[Script]:
    """Serve a script on a free port."""
    scripted = Script()
    server = QuietServer(("127.0.0.1", 0), make_handler(scripted))
    scripted.base = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield scripted
    finally:
        scripted.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


QUICK = Limits(first_pause=0.001, retry_seconds=5.0)


def bundle(*resources: Any, next_url: str | None = None) -> dict[str, Any]:
    links = [{"relation": "next", "url": next_url}] if next_url else []
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": [{"resource": resource} for resource in resources],
    }


def encounter(identifier: str, version: str = "1") -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": identifier,
        "meta": {"versionId": version},
        "status": "finished",
    }


def outcome(code: str = "processing", severity: str = "error") -> dict[str, Any]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": severity, "code": code, "diagnostics": "Jane Example 1970"}
        ],
    }
