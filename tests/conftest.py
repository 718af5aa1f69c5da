"""What all tests share: a real PostgreSQL, a clock that stands still, counted ids.

The server is embedded and started once per run; every test gets a fresh copy of a
database that was migrated once. CARECUE_TEST_DATABASE_URL names a server to use
instead (its user must be allowed to create databases).
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from middleware.clock import FixedClock
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from middleware.storage.migrate import migrate

NOW = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
_numbers = itertools.count(1)


def _refuse_strangers(event: str, arguments: tuple[Any, ...]) -> None:
    """Let sockets reach this machine only."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise PermissionError(f"a test may not connect to {address[0]}")


sys.addaudithook(_refuse_strangers)


class CountedIds:
    """Identifiers that count up, the same in every run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"

    def secret(self) -> str:
        return f"secret-{next(self._numbers):036d}"


def with_name(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    parts = urlsplit(url)
    netloc = parts.netloc or "postgres@"
    return urlunsplit((parts.scheme, netloc, f"/{name}", parts.query, ""))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server's own database."""
    outside = os.environ.get("CARECUE_TEST_DATABASE_URL")
    if outside:
        yield outside
        return
    home = Path(tempfile.mkdtemp(prefix="carecue-pg-"))
    server = Embedded(home, settings=FAST)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database that is only ever copied."""
    name = f"carecue_template_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    database = Database(with_name(postgres_url, name), pool_size=1)
    migrate(database)
    database.close()
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """A fresh, migrated, empty database; gone after the test."""
    name = f"carecue_test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield with_name(postgres_url, name)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated, empty database, opened."""
    opened = Database(database_url, pool_size=4)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 15:00 UTC on Monday, 16 November 2026."""
    return FixedClock(NOW)


@pytest.fixture
def ids() -> CountedIds:
    """Identifiers that count up from one."""
    return CountedIds()
