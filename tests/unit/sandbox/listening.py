"""A listener on loopback that keeps what it was sent and answers as it is told."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Listener:
    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []  # one for each request; then 200
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with outer.changed:
                    headers = {k.lower(): v for k, v in self.headers.items()}
                    outer.received.append(
                        Received(self.command, self.path, headers, body)
                    )
                    status = outer.statuses.pop(0) if outer.statuses else 200
                    outer.changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def wait(self, count: int, timeout: float = 10.0) -> list[Received]:
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(self.received) >= count, timeout
            ), f"{len(self.received)} of {count} requests came"
            return list(self.received)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
