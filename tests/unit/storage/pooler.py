"""A PostgreSQL proxy that pools connections the way pgbouncer does.

It speaks just enough of the protocol (PostgreSQL 15 documentation, chapter 55) to give
clients a server connection per transaction, or one for their whole session.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from typing import Self
from urllib.parse import parse_qs, urlsplit

_READY, _IDLE = b"Z", b"I"


class Pooler:
    """Listens on loopback; ``url`` is for clients."""

    def __init__(
        self, url: str, *, session: bool = False, round_robin: bool = False
    ) -> None:
        self._target = url
        self._session = session
        self._round_robin = round_robin
        self._idle: deque[socket.socket] = deque()
        self._guard = threading.Lock()
        self._open: list[socket.socket] = []
        self.clients = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        name = urlsplit(url).path
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}{name}?sslmode=disable"
        if round_robin:
            self._idle.extend([self._connect(), self._connect()])

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept)
        self._threads = [self._thread]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for opened in list(self._open):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for opened in self._open:
            opened.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            self._open.append(client)
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            length = struct.unpack("!I", _exactly(client, 4))[0]
            _exactly(client, length - 4)
            key = struct.pack("!II", 4_000_000 + self.clients, 0)
            client.sendall(
                _message(b"R", struct.pack("!I", 0))
                + _message(b"S", b"server_version\x0018.0\x00")
                + _message(b"S", b"client_encoding\x00UTF8\x00")
                + _message(b"K", key)
                + _message(_READY, _IDLE)
            )
            self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        while True:
            kind, body = _read(client)
            if kind == b"X":
                return
            if server is None:
                server = self._borrow()
            server.sendall(_message(kind, body))
            if kind not in (b"Q", b"S"):
                continue
            while True:
                kind, body = _read(server)
                client.sendall(_message(kind, body))
                if kind == _READY:
                    break
            if body == _IDLE and not self._session:
                with self._guard:
                    self._idle.append(server)
                server = None

    def _borrow(self) -> socket.socket:
        with self._guard:
            if self._idle:
                return self._idle.popleft() if self._round_robin else self._idle.pop()
        return self._connect()

    def _connect(self) -> socket.socket:
        parts = urlsplit(self._target)
        folder = parse_qs(parts.query).get("host")
        if folder:
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{folder[0]}/.s.PGSQL.{parts.port or 5432}")
        else:
            server = socket.create_connection((parts.hostname, parts.port or 5432))
        self._open.append(server)
        user = (parts.username or "postgres").encode()
        name = parts.path.strip("/").encode()
        body = b"user\x00" + user + b"\x00database\x00" + name + b"\x00\x00"
        start = struct.pack("!II", len(body) + 8, 196_608) + body
        server.sendall(start)
        while _read(server)[0] != _READY:
            pass
        return server


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _read(source: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1)
    length = struct.unpack("!I", _exactly(source, 4))[0]
    return kind, _exactly(source, length - 4)


def _exactly(source: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = source.recv(count - len(found))
        if not part:
            raise EOFError
        found += part
    return found
