"""The schema: applied once, by one at a time, and checked by everyone else."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from mappings.errors import StorageError
from middleware.storage.database import Database
from middleware.storage.migrate import check_schema, migrate
from tests.databases import with_name

OWN = sorted(
    path.name
    for path in (
        Path(__file__).parents[3] / "middleware" / "storage" / "migrations"
    ).glob("*.sql")
)


@pytest.fixture
def empty(postgres_url):
    name = "carecue_empty"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    opened = Database(with_name(postgres_url, name), pool_size=2)
    yield opened
    opened.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_an_empty_database_is_refused_until_it_is_migrated(empty):
    with pytest.raises(StorageError, match="run `carecue migrate`"):
        check_schema(empty)
    applied = migrate(empty)
    assert applied[-len(OWN) :] == OWN
    assert applied[0].startswith("procrastinate/")
    check_schema(empty)


def test_a_second_migration_applies_nothing(database):
    assert migrate(database) == []


def test_two_migrations_at_once_are_one(empty):
    applied: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: applied.append(migrate(empty)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, len(OWN) + 1]


def test_a_newer_schema_is_refused(database):
    with database.tx() as tx:
        tx.execute("INSERT INTO schema_version VALUES ('9999_pre_future.sql')")
    with pytest.raises(StorageError, match="newer than this release"):
        check_schema(database)


def test_a_missing_queue_migration_is_refused_and_then_applied(database):
    """As after an upgrade of procrastinate: its files are applied one by one."""
    name = "procrastinate/03.04.00_50_post_add_retry_failed_job_procedure.sql"
    with database.tx() as tx:
        tx.execute("DELETE FROM schema_version WHERE name = %s", (name,))
    with pytest.raises(StorageError, match="older than this release"):
        check_schema(database)
    assert migrate(database) == [name]
    check_schema(database)


def test_stage_tables_are_analysed_early(database):
    with database.tx() as tx:
        rows = tx.execute(
            "SELECT relname FROM pg_class WHERE "
            "'autovacuum_analyze_scale_factor=0.02' = ANY(reloptions) ORDER BY relname"
        ).fetchall()
    assert [row["relname"] for row in rows] == [
        "delivery",
        "event",
        "inbound",
        "inbox",
        "nudge",
        "outbox",
        "procrastinate_jobs",
        "tally",
    ]
