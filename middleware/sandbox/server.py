"""Serves the sandbox over HTTP on a loopback address, for good or for a test.

It may not bind to any other address: the sandbox is a stranger on this machine.
"""

import ipaddress
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from middleware.sandbox.app import Options, Service, create_app


class Handler(WSGIRequestHandler):
    """HTTP/1.1 with kept connections, and no access log (URLs name patients)."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class Server(ThreadedWSGIServer):
    """A threaded WSGI server that cuts kept connections when it is closed."""

    daemon_threads = True

    def __init__(self, host: str, app: Flask, listener: socket.socket) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        port = listener.getsockname()[1]
        super().__init__(host, port, app, Handler, fd=listener.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection, then answer it in a thread of its own."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the listener and every connection that is still open."""
        super().server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other end was quicker


class Running:
    """A sandbox in a thread: `start()`, `stop()`, or a with statement.

    `options.base_url` is replaced by the address that was bound, so "" will do.
    """

    def __init__(
        self, options: Options | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._host = host
        self._port = port
        self._options = options or Options(base_url="")
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._started: list[Service] = []
        self._app: Flask | None = None

    @property
    def app(self) -> Flask:
        """Answer the Flask application; RuntimeError before the start."""
        if self._app is None:
            raise RuntimeError("the sandbox is not running; call start() first")
        return self._app

    @property
    def base_url(self) -> str:
        """Answer `http://host:port`, without `/fhir`."""
        return str(self.app.extensions["options"].base_url)

    @property
    def smtp_port(self) -> int:
        """Answer the port on which the SMTP sink listens."""
        return int(self.app.extensions["mail"].port)

    def start(self) -> Self:
        """Bind, compose, start the parts, and answer requests in a thread."""
        listener = bind(self._host, self._port)
        try:
            port = listener.getsockname()[1]
            name = f"[{self._host}]" if ":" in self._host else self._host
            options = replace(self._options, base_url=f"http://{name}:{port}")
            self._app = create_app(options)
            self._server = Server(self._host, self._app, listener)
            for service in self._app.extensions["services"]:
                service.start()
                self._started.append(service)
        except BaseException:
            self.stop()
            raise
        finally:
            listener.close()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="sandbox-http"
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering, stop the parts, close the journal; safe to call twice."""
        if self._server is not None:
            if self._thread is not None:
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()
            self._server, self._thread = None, None
        while self._started:
            self._started.pop().stop()
        if self._app is not None:
            self._app.extensions["journal"].close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def bind(host: str, port: int) -> socket.socket:
    """Bind a TCP socket; ValueError when the host is not a loopback address."""
    name = "127.0.0.1" if host == "localhost" else host
    if not ipaddress.ip_address(name).is_loopback:
        raise ValueError(
            f"the sandbox serves loopback addresses only, not {host}; "
            "nothing was started; use 127.0.0.1"
        )
    listener = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((name, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def serve(
    options: Options,
    host: str = "127.0.0.1",
    port: int = 8090,
    on_ready: Callable[[Running], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop cleanly; main thread only."""
    ended = threading.Event()
    handlers = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        with Running(options, host, port) as running:
            if on_ready is not None:
                on_ready(running)
            ended.wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
