"""A TCP line to PostgreSQL that can be frozen, cut and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import parse_qs, urlsplit

PIECE = 65536


class Line:
    """Passes bytes on; ``url`` is for clients. Frozen, it takes them and is silent."""

    def __init__(self, url: str) -> None:
        self._target = url
        self._flows = threading.Event()
        self._flows.set()
        self._over = False
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        name = urlsplit(url).path
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}{name}?sslmode=disable"

    def __enter__(self) -> Self:
        self._start(self._accept, self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.cut()
        self.thaw()
        for thread in self._threads:
            thread.join()

    def freeze(self) -> None:
        """Hold whatever is sent, in both directions."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what was held."""
        self._flows.set()

    def cut(self) -> None:
        """End every connection and take no new one."""
        for opened in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        self._open.clear()

    def mend(self) -> None:
        """Take connections again, at the same address."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept, self._listener)

    def _start(self, run: object, *values: object) -> None:
        thread = threading.Thread(target=run, args=values)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self._connect()
            self._open += [client, server]
            self._start(self._pass_on, client, server)
            self._start(self._pass_on, server, client)

    def _connect(self) -> socket.socket:
        parts = urlsplit(self._target)
        query = parse_qs(parts.query)
        if "host" in query:
            port = query.get("port", [str(parts.port or 5432)])[0]
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{query['host'][0]}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((parts.hostname, parts.port or 5432))

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                self._flows.wait()
                target.sendall(piece)
        for ended in (source, target):
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)
