"""What the benchmark asks of the database: a place of its own, a floor and a count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from middleware.storage.connecting import Tx, open_connection, storage_error

_STORED = """
SELECT i.focus, count(*) AS rows FROM notification AS n
LEFT JOIN inbox AS i ON i.notification_id = n.id AND i.source = 'push'
    AND position(convert_to(i.focus, 'UTF8') IN n.body) > 0
WHERE n.subscription_id = %s AND n.state = 'stored'
GROUP BY i.focus
"""


@dataclass(frozen=True)
class Server:
    """How durable a commit is, and the postmaster's process id if it runs here."""

    version: str
    fsync: bool
    synchronous_commit: str
    backend_pid: int | None


@contextmanager
def own_database(url: str, name: str) -> Iterator[str]:
    """Make a database on a server, lend its URL, and drop it; raises StorageError."""
    connection = open_connection(url)
    try:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    except psycopg.Error as error:
        connection.close()
        raise storage_error(error) from None
    try:
        yield make_conninfo(url, dbname=name)
    finally:
        connection.close()
        # The first connection may have been cut while the load ran.
        with open_connection(url) as last:
            last.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def read_server(tx: Tx) -> Server:
    """Return what a commit is worth here; the process id only of a local server."""
    row = tx.execute(
        "SELECT current_setting('server_version') AS version, "
        "current_setting('fsync') = 'on' AS fsync, "
        "current_setting('synchronous_commit') AS synchronous_commit, "
        "CASE WHEN coalesce(host(inet_server_addr()) IN ('127.0.0.1', '::1'), true) "
        "THEN pg_backend_pid() END AS backend_pid"
    ).fetchone()
    assert row is not None
    return Server(**row)


def insert_plainly(
    connection: Tx, subscription_id: str, body: bytes, focus: str, now: datetime
) -> None:
    """Commit the rows of one delivery with one plain statement each: the floor."""
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO notification (subscription_id, received_at, method, path, "
            "headers, body, type, form, state) VALUES (%s, %s, 'POST', '', '{}', %s, "
            "'event-notification', 'r4-backport', 'stored') RETURNING id",
            (subscription_id, now, body),
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO tally (notification_id, subscription_id, received_at, type) "
            "VALUES (%s, %s, %s, 'event-notification')",
            (row["id"], subscription_id, now),
        )
        connection.execute(
            "INSERT INTO inbox (key, endpoint_id, subscription_id, notification_id, "
            "source, focus, version, resource_type, shard, received_at, due_at) SELECT "
            "%s, endpoint_id, id, %s, 'push', %s, '7', 'Encounter', 0, %s, %s "
            "FROM subscription WHERE id = %s",
            (f"{subscription_id}|{focus}", row["id"], focus, now, now, subscription_id),
        )


def count_stored(
    tx: Tx, subscription_id: str, foci: Sequence[str]
) -> tuple[int, int, int]:
    """Count deliveries by focus: stored once, missing, and doubled.

    Stored means: one raw notification whose body names the focus, with its inbox row.
    """
    rows = tx.execute(_STORED, (subscription_id,)).fetchall()
    stored = {row["focus"]: int(row["rows"]) for row in rows}
    found = [stored.get(focus, 0) for focus in foci]
    return (
        found.count(1),
        found.count(0),
        sum(1 for focus, rows in stored.items() if focus and rows > 1),
    )
