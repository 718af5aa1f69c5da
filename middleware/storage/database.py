"""The one database: pooled transactions, and connections of their own for locks.

Whoever wants rows opens ``tx()`` and hands it to a function of this package. Nothing
here knows what the rows mean.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from mappings.errors import StorageError
from middleware.ports import transaction_scope
from middleware.storage.connecting import (
    PARAMETERS,
    Tx,
    check_idle,
    configure_connection,
    open_connection,
    storage_error,
)
from middleware.storage.server_checks import check_server

WAIT_SECONDS = 15.0


class Database:
    """A PostgreSQL database (>= 15), reached directly or through a session pool.

    Opening it checks the server; raises StorageError. ``close`` it when done.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        check_server(url)
        self.url = url
        self._guard = threading.Lock()
        self._idle_locks: list[Tx] = []
        self._closed = False
        self._pool: ConnectionPool[Tx] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[dict[str, object]],
            kwargs={"row_factory": dict_row, **PARAMETERS},
            min_size=1,
            max_size=pool_size,
            configure=configure_connection,
            check=check_idle,
            timeout=WAIT_SECONDS,
            open=True,
            name="carecue",
        )

    @contextlib.contextmanager
    def tx(self) -> Iterator[Tx]:
        """Open a transaction: committed at the end, rolled back by any exception.

        Network calls inside it raise. Driver errors come out as StorageError.
        """
        try:
            with self._pool.connection() as connection, transaction_scope():
                yield connection
        except PoolTimeout:
            raise _no_connection() from None
        except psycopg.Error as error:
            raise storage_error(error) from None

    @contextlib.contextmanager
    def single(self) -> Iterator[Tx]:
        """Lend a connection for one statement, a transaction by itself: one round trip.

        What ``tx()`` says of the network and of errors holds here too.
        """
        try:
            with self._pool.connection() as connection, transaction_scope():
                connection.autocommit = True
                try:
                    yield connection
                finally:
                    if not connection.closed:
                        connection.autocommit = False
        except PoolTimeout:
            raise _no_connection() from None
        except psycopg.Error as error:
            raise storage_error(error) from None

    def listen_connection(self) -> Tx:
        """Open a connection of its own, in autocommit; the caller closes it."""
        return open_connection(self.url)

    @contextlib.contextmanager
    def lock_connection(self) -> Iterator[Tx]:
        """Lend a connection that only ever holds session locks.

        It is kept for the next lock, unless something raised while it was lent: then
        it is closed, which frees whatever lock it held.
        """
        with self._guard:
            connection = self._idle_locks.pop() if self._idle_locks else None
        if connection is None or not _is_alive(connection):
            connection = self.listen_connection()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._guard:
            if self._closed or connection.closed:
                connection.close()
            else:
                self._idle_locks.append(connection)

    @contextlib.contextmanager
    def beside(self) -> Iterator[Tx]:
        """Lend a connection outside the pool, in autocommit, for one read.

        For what is read while a transaction is open: a second connection of the same
        pool, wanted by every thread that has a first one, might never come.
        """
        try:
            with self.lock_connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise storage_error(error) from None

    def ping(self) -> None:
        """Ask the server for an answer; raises StorageError without one."""
        with self.tx() as tx:
            tx.execute("SELECT 1")

    def close(self) -> None:
        """Close every connection; the database is not usable afterwards."""
        with self._guard:
            self._closed = True
            connections, self._idle_locks = self._idle_locks, []
        for connection in connections:
            connection.close()
        self._pool.close()


def _no_connection() -> StorageError:
    return StorageError(
        f"no database connection became free within {WAIT_SECONDS:.0f} s; "
        "nothing was changed; check the server, or run fewer workers"
    )


def _is_alive(connection: Tx) -> bool:
    try:
        check_idle(connection)
    except psycopg.Error:
        return False
    return True
