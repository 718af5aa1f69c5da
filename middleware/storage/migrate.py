"""The schema: applied in order by ``carecue migrate``, only checked by all others.

procrastinate's own migrations are applied here too and recorded by name, so that a
newer release of it brings its tables forward.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import LiteralString

import psycopg
from procrastinate.schema import SchemaManager

from mappings.errors import StorageError
from middleware.storage.connecting import Tx, storage_error
from middleware.storage.database import Database

_LOCK = 0x63617265
_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_version (name text PRIMARY KEY)"
_QUEUE = "procrastinate/"


def migrate(database: Database) -> list[str]:
    """Bring the schema up to date; return the names of what was applied, in order.

    Runs at most once at a time over all processes; each migration is a transaction.
    """
    try:
        with database.listen_connection() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            connection.execute(_VERSIONS)
            return _apply_queue(connection) + _apply_own(connection)
    except psycopg.Error as error:
        raise storage_error(error) from None


def check_schema(database: Database) -> None:
    """Raise StorageError unless the schema is exactly the one this release needs."""
    with database.tx() as tx:
        row = tx.execute("SELECT to_regclass('schema_version') AS found").fetchone()
        applied = _applied(tx) if row and row["found"] else set()
    wanted = {*_own_names(), *_queue_names()}
    if wanted - applied:
        raise StorageError(
            "the database's schema is older than this release; nothing was changed; "
            "run `carecue migrate`",
            permanent=True,
        )
    newer = sorted(name for name in applied - wanted if not name.startswith(_QUEUE))
    if newer:
        raise StorageError(
            f"the database's schema is newer than this release ({newer[-1]}); nothing "
            "was changed; install the release that last ran `carecue migrate`",
            permanent=True,
        )


def _apply_own(connection: Tx) -> list[str]:
    missing = [name for name in _own_names() if name not in _applied(connection)]
    folder = resources.files("middleware.storage") / "migrations"
    for name in missing:
        _apply(connection, [name], (folder / name).read_text(encoding="utf-8"))
    return missing


def _apply_queue(connection: Tx) -> list[str]:
    """Install procrastinate's schema whole, or the migrations that are missing."""
    row = connection.execute(
        "SELECT to_regclass('procrastinate_jobs') AS found"
    ).fetchone()
    if row is None or row["found"] is None:
        names = _queue_names()
        _apply(connection, names, SchemaManager.get_schema())
        return names[-1:]
    missing = [name for name in _queue_names() if name not in _applied(connection)]
    folder = Path(SchemaManager.get_migrations_path())
    for name in missing:
        file = folder / name.removeprefix(_QUEUE)
        _apply(connection, [name], file.read_text(encoding="utf-8"))
    return missing


def _apply(connection: Tx, names: list[str], statements: LiteralString) -> None:
    with connection.transaction():
        # Read from files of the release and of procrastinate, never from input.
        connection.execute(statements)
        for name in names:
            connection.execute("INSERT INTO schema_version (name) VALUES (%s)", (name,))


def _applied(tx: Tx) -> set[str]:
    return {row["name"] for row in tx.execute("SELECT name FROM schema_version")}


def _own_names() -> list[str]:
    folder = resources.files("middleware.storage") / "migrations"
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))


def _queue_names() -> list[str]:
    folder = Path(SchemaManager.get_migrations_path())
    return sorted(f"{_QUEUE}{file.name}" for file in folder.glob("*.sql"))
