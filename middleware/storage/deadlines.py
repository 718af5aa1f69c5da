"""Cutting a connection whose time is over: no wait for the database is without end.

PostgreSQL's own limits count while it runs; a server that is frozen or cut off answers
nothing at all, and the driver would wait with it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator

import psycopg

from middleware.storage.connecting import Tx

_STEP_SECONDS = 0.05


class Deadlines:
    """One thread that watches over connections in use. ``close`` it when done."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[int, tuple[float, Tx]] = {}
        self._numbers = itertools.count()
        self._asleep = False
        self._closed = False
        threading.Thread(target=self._run, name="deadlines", daemon=True).start()

    @contextlib.contextmanager
    def limit(self, connection: Tx, until: float) -> Iterator[None]:
        """Cut the connection at ``until`` (monotonic) unless the block ends before."""
        with self._changed:
            number = next(self._numbers)
            self._open[number] = (until, connection)
            if self._asleep:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._open.pop(number, None)

    def close(self) -> None:
        """End the thread; nothing is cut any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for number, (until, connection) in list(self._open.items()):
                    if until <= now:
                        del self._open[number]
                        _cut(connection)
                self._asleep = not self._open
                self._changed.wait(None if self._asleep else _STEP_SECONDS)
                self._asleep = False


def _cut(connection: Tx) -> None:
    with contextlib.suppress(OSError, psycopg.Error):
        copy = os.dup(connection.pgconn.socket)
        with socket.socket(fileno=copy) as sock:
            sock.shutdown(socket.SHUT_RDWR)
