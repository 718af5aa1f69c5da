"""What all tests share: a real PostgreSQL, a clock that stands still, counted ids, our keys.

The server is embedded and started once per run; every test gets an empty database
that is migrated. CARECUE_TEST_DATABASE_URL names a server to use instead (its user
must be allowed to create databases).
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from middleware.clock import FixedClock
from middleware.fhir.keys import SigningKeys
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from tests.databases import Databases

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

# The same examples in every run; --hypothesis-profile=explore looks for new ones.
settings.register_profile("carecue", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("carecue")


def _refuse_strangers(event: str, arguments: tuple[Any, ...]) -> None:
    """Let sockets reach this machine only."""
    if event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise PermissionError(f"a test may not connect to {address[0]}")


sys.addaudithook(_refuse_strangers)


def pytest_collection_finish() -> None:
    """Keep what was collected out of every later search for garbage.

    It is thousands of tests and modules, and none of it ends before the run.
    """
    gc.collect()
    gc.freeze()


class CountedIds:
    """Identifiers that count up, the same in every run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._numbers):012d}"

    def secret(self) -> str:
        return f"secret-{next(self._numbers):036d}"


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
def databases(postgres_url: str) -> Iterator[Databases]:
    """Where tests get databases from."""
    made = Databases(postgres_url)
    yield made
    made.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty database that only this test uses."""
    url = databases.take()
    yield url
    databases.give_back(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database that only this test uses, opened."""
    opened = Database(database_url, pool_size=4)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands at 15:00 UTC on Monday, 16 November 2026."""
    return FixedClock(NOW)


@pytest.fixture(scope="session")
def keys() -> SigningKeys:
    """Our signing keys; they never change, and making a pair takes its time."""
    return SigningKeys.generate()


@pytest.fixture
def ids() -> CountedIds:
    """Identifiers that count up from one."""
    return CountedIds()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """A command or runtime sets up logging for its process, which here is the tests'."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
