"""The schema: applied once, by one at a time, and checked by everyone else."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from procrastinate.schema import SchemaManager

from mappings.errors import StorageError
from middleware.storage import (
    conditions,
    controls,
    inbox,
    nudges,
    quarantine,
    subscriptions,
)
from middleware.storage.database import Database
from middleware.storage.migrate import _queue_names, check_schema, migrate
from subscriptions.recovery import find_trouble, needs_recovery
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


FIRST = """
INSERT INTO endpoint VALUES ('north', 'North', 'production', 'https://n.test/fhir',
    '{}', '2026-01-05T10:00Z');
INSERT INTO subscription VALUES ('s1', 'north', 'hook', 'sealed', 'Encounter',
    'backport', 'Encounter?', '7', 'active', 41, '2026-01-05T11:00Z',
    '2026-01-05T10:00Z');
INSERT INTO poll_cursor VALUES ('north', 'Encounter', '2026-01-05T10:59Z',
    '2026-01-05T11:00Z', NULL);
INSERT INTO notification (subscription_id, received_at, method, path, headers, body,
    state, error) VALUES ('s1', '2026-01-05T11:00Z', 'POST', '', '{}', '<x/>',
    'quarantined', 'not read');
INSERT INTO inbox (key, endpoint_id, subscription_id, notification_id, source, focus,
    version, resource_type, shard, received_at, due_at) VALUES ('s1|x', 'north', 's1',
    1, 'push', 'Encounter/1', '2', 'Encounter', 3, '2026-01-05T11:00Z',
    '2026-01-05T11:00Z');
INSERT INTO event (id, key, endpoint_id, kind, patient, shard, focus, focus_version,
    occurred_at, received_at, inbox_id, source, due_at) VALUES ('e1', 'k', 'north',
    'encounter-finished', 'p1', 3, 'Encounter/1', '2', '2026-01-05T11:00Z',
    '2026-01-05T11:00Z', 1, 'push', '2026-01-05T11:00Z');
INSERT INTO nudge (id, key, endpoint_id, event_id, patient, shard, plan, plan_version,
    action, topic, focus, occasion, recipient, state, reason, due_at, expires_at,
    created_at) VALUES ('n1', 'k', 'north', 'e1', 'p1', 3, 'plan', '1', 'call', 't',
    'Encounter/1', 'o', 'patient', 'planned', 'due', '2026-01-06T11:00Z',
    '2026-01-07T11:00Z', '2026-01-05T11:00Z');
"""


def test_a_database_of_the_first_schema_with_rows_is_brought_forward(empty):
    """Nothing that waits is lost, and what is counted goes on where it stood."""
    first = (
        Path(__file__).parents[3] / "middleware/storage/migrations" / OWN[0]
    ).read_text(encoding="utf-8")
    with empty.listen_connection() as connection:
        connection.execute(SchemaManager.get_schema())
        connection.execute(first)
        connection.execute("CREATE TABLE schema_version (name text PRIMARY KEY)")
        names = [OWN[0], *_queue_names()]
        connection.execute(
            "INSERT INTO schema_version SELECT unnest(%s::text[])", (names,)
        )
        connection.execute(FIRST)
    assert migrate(empty) == OWN[1:]
    check_schema(empty)
    now = datetime(2026, 1, 5, 11, 1, tzinfo=UTC)
    with empty.tx() as tx:
        (watched,) = conditions.list_watched(tx, "north")
        assert watched.condition.numbering.highest == 41
        assert not needs_recovery(find_trouble(watched.condition, now))
        row = subscriptions.find_subscription(tx, "hook")
        assert row is not None
        assert (row.proof, row.channel) == ("header", "rest-hook")
        (item,) = inbox.list_inbox(tx, [3], now, 10)
        assert item.focus == "Encounter/1"
        (aside,) = quarantine.list_quarantined(tx, 0, 10)
        assert aside.body == b"<x/>"
        cursor = inbox.read_cursor(tx, "north", "Encounter")
        assert cursor is not None
        assert cursor.since == datetime(2026, 1, 5, 10, 59, tzinfo=UTC)
        waiting = nudges.list_due_nudges(tx, 3, now + timedelta(days=2), 10)
        assert [one.id for one in waiting] == ["n1"]
        # One subscription that was made before is taken over, not made again.
        assert controls.list_uncontrolled(tx, "north") == {"Encounter": "s1"}
