"""A process that serves waits for its database, but not for what no waiting mends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from mappings.errors import StorageError
from middleware.settings import Settings
from middleware.storage.database import Database
from middleware.wiring.runtime import wait_for_database

pytestmark = pytest.mark.usefixtures("own_logging")


class Stop(threading.Event):
    """Waits for nothing; at the second wait it does what is asked."""

    def __init__(self, second: Callable[[], object]) -> None:
        super().__init__()
        self._second = second
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 2:
            self._second()
        return self.is_set()


def let_in(postgres_url: str, database_url: str, allowed: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
        sql.Identifier(str(name)), sql.SQL(allowed)
    )
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(statement)


def test_a_database_that_comes_later_is_waited_for(
    postgres_url: str, database_url: str, tmp_path: Path
) -> None:
    let_in(postgres_url, database_url, "false")
    stop = Stop(lambda: let_in(postgres_url, database_url, "true"))
    assert wait_for_database(Settings(home=tmp_path, database_url=database_url), stop)
    assert stop.waits == 2


def test_who_is_told_to_stop_waits_no_longer(tmp_path: Path) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    stop = Stop(lambda: threading.Event.set(stop))
    assert not wait_for_database(Settings(home=tmp_path, database_url=away), stop)
    assert stop.waits == 2


def test_a_schema_of_another_release_is_not_waited_for(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with database.tx() as tx:
        tx.execute("INSERT INTO schema_version VALUES ('9999_pre_later.sql')")
    stop = Stop(lambda: None)
    settings = Settings(home=tmp_path, database_url=database_url)
    with pytest.raises(StorageError, match="newer than this release"):
        wait_for_database(settings, stop)
    assert stop.waits == 0
