"""The database as intake uses it: every transaction ends in time, one way or another.

Whoever sends a notification gets an answer within 1.5 seconds. A statement that waits
for a lock is ended by the server, a server that does not answer by a watch of our own;
a connection that is not free, or cannot be made, is not waited for. A transaction that
was cut off may have been committed: it is sent again and its keys make it one.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from mappings.errors import StorageError
from middleware.ports import transaction_scope
from middleware.storage.connecting import (
    PARAMETERS,
    Cursor,
    Row,
    Tx,
    check_idle,
    configure_connection,
    storage_error,
)
from middleware.storage.deadlines import Deadlines

# The server gives up before the watch cuts the line: then it is known what was kept.
STATEMENT_LIMIT = "1s"
# A server that comes back is found again within this time.
_RECONNECT_SECONDS = 2.0


class _Connection(psycopg.Connection[Row]):
    """A connection that keeps one cursor: making one costs a tenth of a statement."""

    @functools.cached_property
    def kept_cursor(self) -> Cursor:
        return self.cursor()


class IntakeDatabase:
    """A pool of its own for intake. ``close`` it when done."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._deadlines = Deadlines()
        self._pool: ConnectionPool[_Connection] = ConnectionPool(
            url,
            connection_class=_Connection,
            kwargs={"row_factory": dict_row, "autocommit": True, **PARAMETERS},
            min_size=1,
            max_size=pool_size,
            configure=_configure,
            check=check_idle,
            reconnect_timeout=_RECONNECT_SECONDS,
            open=True,
            name="carecue-intake",
        )

    @contextlib.contextmanager
    def tx(self, until: float) -> Iterator[Tx]:
        """Open a transaction that is over at ``until`` (monotonic seconds).

        Committed at the end, rolled back by any exception. Raises StorageError.
        """
        with self.statement(until) as cursor, cursor.connection.transaction():
            yield cursor.connection

    @contextlib.contextmanager
    def statement(self, until: float) -> Iterator[Cursor]:
        """Lend a cursor for one statement, which commits by itself: one round trip.

        It is kept, with the statement prepared, for the next one. Raises StorageError,
        at the latest at ``until``; nothing is tried again here.
        """
        connection = self._take(until)
        try:
            with self._deadlines.limit(connection, until), transaction_scope():
                yield connection.kept_cursor
        except BaseException as error:
            # What it was doing may not be over: it is not lent again.
            connection.close()
            if isinstance(error, psycopg.Error):
                raise storage_error(error) from None
            raise
        finally:
            self._pool.putconn(connection)

    def _take(self, until: float) -> _Connection:
        try:
            return self._pool.getconn(timeout=max(until - time.monotonic(), 0.0))
        except PoolTimeout:
            raise StorageError(
                "no database connection became free in time; nothing was changed"
            ) from None
        except psycopg.Error as error:
            raise storage_error(error) from None

    def close(self) -> None:
        """Close every connection; the database is not usable afterwards."""
        self._pool.close()
        self._deadlines.close()


def _configure(connection: Tx) -> None:
    configure_connection(connection)
    connection.execute(
        "SELECT set_config('statement_timeout', %s, false)", (STATEMENT_LIMIT,)
    )
