"""Whether a PostgreSQL server is one that this storage can stand on.

PostgreSQL 15 or newer, reached directly or through a session pool. A transaction pool
(pgbouncer with ``pool_mode = transaction``) would hand an advisory lock to whoever
comes next, so it is refused by name.
"""

from __future__ import annotations

import psycopg

from mappings.errors import StorageError
from middleware.storage.connecting import Tx, open_connection, storage_error

MIN_VERSION = 150_000


def check_server(url: str) -> None:
    """Raise StorageError when the server is too old or behind a transaction pool."""
    try:
        with open_connection(url) as connection:
            version = connection.info.server_version
            if version < MIN_VERSION:
                raise StorageError(
                    f"PostgreSQL {version // 10_000} is too old: CareCue needs 15 or "
                    "newer; nothing was changed; upgrade the server or leave "
                    "CARECUE_DATABASE_URL unset to use the embedded one",
                    permanent=True,
                )
            if _backend(connection) != connection.info.backend_pid:
                _refuse_transaction_pool(url, connection)
    except psycopg.Error as error:
        raise storage_error(error) from None


def _refuse_transaction_pool(url: str, first: Tx) -> None:
    """Tell a session pool from a transaction pool behind a proxy.

    Two clients that are both connected share a backend, or one client's backend
    changes between two statements, only where transactions are pooled: a pool that
    takes the freshest backend shows the first, one that goes round shows the second.
    """
    before = _backend(first)
    try:
        with open_connection(url) as second, second.transaction():
            pooled = _backend(second) == before or _backend(first) != before
    except psycopg.errors.ProtocolViolation:
        # pgbouncer's answer to BEGIN with pool_mode = statement.
        pooled = True
    if pooled or _backend(first) != before:
        raise StorageError(
            "CARECUE_DATABASE_URL points to a transaction-pooling proxy (pgbouncer "
            "with pool_mode = transaction, or the like), where locks belong to "
            "nobody; nothing was changed; give the server's own address or a pool "
            "with pool_mode = session",
            permanent=True,
        )


def _backend(connection: Tx) -> int:
    row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    return int(row["pid"]) if row else -1
