"""How every connection to PostgreSQL is opened, and how its faults are told.

Connections are direct or session-pooled: locks, LISTEN and prepared statements belong
to a session. Fault texts carry SQLSTATE and names of constraints, never row values,
because row values are patient data.
"""

from __future__ import annotations

import select
from typing import Any, TypeAlias

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_dumps, set_json_loads

from mappings.errors import StorageError

Row: TypeAlias = dict[str, Any]
Tx: TypeAlias = psycopg.Connection[Row]
Cursor: TypeAlias = psycopg.Cursor[Row]

PERMANENT_CLASSES = ("22", "23", "42")

PARAMETERS: dict[str, Any] = {
    "application_name": "carecue",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

# No transaction waits for the network, so one that idles this long belongs to a
# process that is frozen: its locks must not stop a takeover.
_SESSION = """
SELECT set_config('TimeZone', 'UTC', false),
       set_config('idle_in_transaction_session_timeout', '30s', false)
"""


def open_connection(url: str) -> Tx:
    """Open a connection of its own, in autocommit: for locks and for LISTEN."""
    try:
        connection = psycopg.connect(
            url, autocommit=True, row_factory=dict_row, **PARAMETERS
        )
    except psycopg.Error as error:
        raise storage_error(error) from None
    try:
        configure_connection(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def configure_connection(connection: Tx) -> None:
    """Set what every session needs: UTC, orjson for jsonb, a limit on idling."""
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)
    connection.execute(_SESSION)
    if not connection.autocommit:
        connection.commit()


def check_idle(connection: Tx) -> None:
    """Raise OperationalError for a connection that has ended, as a pool wants it.

    It costs no round trip: a server that ends a session says so, and then something
    waits to be read. One that vanished without a word is found by the next statement.
    """
    waiting = select.poll()
    if not connection.closed:
        waiting.register(connection.fileno(), select.POLLIN)
        if not waiting.poll(0):
            return
    # The driver has not read it yet and would take the connection for a good one.
    connection.close()
    raise psycopg.OperationalError("the server closed the connection")


def storage_error(error: psycopg.Error) -> StorageError:
    """Translate a driver's error into one that names no row values."""
    state = error.sqlstate
    names = [
        name
        for name in (error.diag.table_name, error.diag.constraint_name)
        if name is not None
    ]
    where = f" at {' '.join(names)}" if names else ""
    if state is None:
        return StorageError(
            "the database cannot be reached or closed the connection; nothing of "
            "this transaction was kept; check CARECUE_DATABASE_URL and the server"
        )
    # Class 42 is about our own statements: its text names columns, never values.
    told = f": {error.diag.message_primary}" if state.startswith("42") else ""
    return StorageError(
        f"the database refused a statement ({type(error).__name__}, {state}){where}"
        f"{told}; nothing of this transaction was kept",
        permanent=state[:2] in PERMANENT_CLASSES,
    )
