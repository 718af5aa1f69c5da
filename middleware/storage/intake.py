"""The database as intake uses it: every transaction ends in time, one way or another.

Whoever sends a notification gets an answer within 1.5 seconds. A statement that waits
for a lock is ended by the server, a server that does not answer by a watch of our own;
a connection that is not free, or cannot be made, is not waited for. A transaction that
was cut off may have been committed: it is sent again and its keys make it one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from mappings.errors import StorageError
from middleware.ports import transaction_scope
from middleware.storage.connecting import (
    PARAMETERS,
    Tx,
    configure_connection,
    storage_error,
)
from middleware.storage.deadlines import Deadlines

STATEMENT_LIMIT = "1500ms"
# A server that comes back is found again within this time.
_RECONNECT_SECONDS = 2.0


class IntakeDatabase:
    """A pool of its own for intake. ``close`` it when done."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._deadlines = Deadlines()
        self._asked = threading.local()
        self._pool: ConnectionPool[Tx] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[dict[str, object]],
            kwargs={"row_factory": dict_row, **PARAMETERS},
            min_size=1,
            max_size=pool_size,
            configure=_configure,
            check=self._check,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=True,
            name="carecue-intake",
        )

    @contextlib.contextmanager
    def tx(self, until: float) -> Iterator[Tx]:
        """Open a transaction that is over at ``until`` (monotonic seconds).

        Committed at the end, rolled back by any exception. Raises StorageError.
        """
        try:
            with self._lend(until) as connection, transaction_scope():
                yield connection
        except PoolTimeout:
            raise StorageError(
                "no database connection became free in time; nothing was changed"
            ) from None
        except psycopg.Error as error:
            raise storage_error(error) from None

    @contextlib.contextmanager
    def _lend(self, until: float) -> Iterator[Tx]:
        left = until - time.monotonic()
        if left <= 0:
            raise PoolTimeout
        self._asked.until = until
        connection = self._pool.getconn(timeout=left)
        try:
            with self._deadlines.limit(connection, until), connection:
                yield connection
        finally:
            self._pool.putconn(connection)

    def _check(self, connection: Tx) -> None:
        """See that a pooled connection still answers; it is looked at in time, too."""
        with self._deadlines.limit(connection, self._asked.until):
            ConnectionPool.check_connection(connection)

    def close(self) -> None:
        """Close every connection; the database is not usable afterwards."""
        self._pool.close()
        self._deadlines.close()


def _configure(connection: Tx) -> None:
    configure_connection(connection)
    connection.execute(
        "SELECT set_config('statement_timeout', %s, false)", (STATEMENT_LIMIT,)
    )
    connection.commit()
