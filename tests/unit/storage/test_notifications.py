"""What a notification leaves behind: all of it in one statement, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from middleware.storage.database import Database
from middleware.storage.inbox import NewItem
from middleware.storage.notifications import NewNotification, insert_notifications
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed

TAKEN = NewNotification(
    subscription_id="s1",
    received_at=NOW,
    method="POST",
    path="Encounter/e1",
    headers={"Content-Type": "application/fhir+json", "User-Agent": 'it\'s "x"'},
    body=b'\x00{"resourceType": "Bundle"',
    state="stored",
    type="event-notification",
    form="r4-backport",
    topic="http://example.org/topic",
    status="active",
    count=7,
    numbers=(6, 7),
    digests=("a6", "b7"),
)
ASIDE = replace(
    TAKEN, state="quarantined", type=None, form=None, topic=None, error="not JSON"
)


def keep(
    database: Database, notification: NewNotification, *items: NewItem
) -> list[dict[str, Any]]:
    """Insert in autocommit, as intake does, and return the notifications."""
    with database.listen_connection() as connection, connection.cursor() as cursor:
        insert_notifications(cursor, [(notification, items)])
        return rows(database, "SELECT * FROM notification ORDER BY id")


def rows(database: Database, query: str) -> list[dict[str, Any]]:
    with database.tx() as tx:
        return list(tx.execute(query))


@pytest.fixture(autouse=True)
def seeded(database: Database) -> None:
    with database.tx() as tx:
        seed(tx)


def test_it_is_kept_as_it_came_with_its_tally(database):
    (kept,) = keep(database, TAKEN)
    assert kept == {
        "id": kept["id"],
        "subscription_id": "s1",
        "received_at": NOW,
        "method": "POST",
        "path": "Encounter/e1",
        "headers": TAKEN.headers,
        "body": TAKEN.body,
        "type": "event-notification",
        "form": "r4-backport",
        "topic": "http://example.org/topic",
        "state": "stored",
        "error": None,
    }
    assert rows(database, "SELECT * FROM tally") == [
        {
            "notification_id": kept["id"],
            "subscription_id": "s1",
            "received_at": NOW,
            "type": "event-notification",
            "status": "active",
            "count": 7,
            "numbers": [6, 7],
            "digests": ["a6", "b7"],
            "reference": None,
        }
    ]


def test_what_is_set_aside_tells_nothing(database):
    (kept,) = keep(database, ASIDE)
    assert (kept["state"], kept["type"], kept["error"]) == (
        "quarantined",
        None,
        "not JSON",
    )
    assert rows(database, "SELECT 1 FROM tally") == []


@pytest.mark.parametrize("count", [0, 1, 2, 3000])
def test_items_belong_to_their_notification(database, count):
    made = [item(number) for number in range(count)]
    (kept,) = keep(database, TAKEN, *made)
    found = rows(database, "SELECT * FROM inbox ORDER BY id")
    assert [row["key"] for row in found] == [one.key for one in made]
    for row, one in zip(found, made, strict=True):
        assert row["notification_id"] == kept["id"]
        assert (row["subscription_id"], row["received_at"]) == ("s1", NOW)
        assert (row["due_at"], row["state"]) == (NOW, "waiting")
        for name in ("focus", "version", "event_number", "shard", "source"):
            assert row[name] == getattr(one, name)


def test_known_keys_are_left_out_and_the_rest_is_kept(database):
    keep(database, TAKEN, item(1))
    kept = keep(database, TAKEN, item(1))
    assert len(kept) == 2
    keep(database, TAKEN, item(1), item(2), item(2))
    found = rows(database, "SELECT key, notification_id AS n FROM inbox ORDER BY id")
    assert [row["key"] for row in found] == [item(1).key, item(2).key]
    assert found[0]["n"] == kept[0]["id"]


def test_several_are_kept_with_one_statement_each_with_what_is_its_own(database):
    other = replace(
        TAKEN, body="\u00fc\x00\n".encode(), path="", numbers=(), digests=(), count=None
    )
    empty = replace(TAKEN, body=b"", headers={}, status=None)
    with database.listen_connection() as connection, connection.cursor() as cursor:
        given = [(TAKEN, [item(1), item(2)]), (ASIDE, []), (other, [item(3)])]
        insert_notifications(cursor, [*given, (empty, [item(1)])])
        written = cursor.rowcount
    found = rows(database, "SELECT * FROM notification ORDER BY id")
    assert written == 3
    bodies = [bytes(row["body"]) for row in found]
    assert bodies == [TAKEN.body, ASIDE.body, other.body, b""]
    assert [row["headers"] for row in found][-2:] == [TAKEN.headers, {}]
    ids = [row["id"] for row in found]
    tallied = rows(database, "SELECT * FROM tally ORDER BY notification_id")
    assert [row["notification_id"] for row in tallied] == [ids[0], ids[2], ids[3]]
    assert [row["numbers"] for row in tallied] == [[6, 7], [], [6, 7]]
    kept = rows(database, "SELECT notification_id AS n, key FROM inbox ORDER BY id")
    assert [(row["n"], row["key"]) for row in kept] == [
        (ids[0], item(1).key),
        (ids[0], item(2).key),
        (ids[2], item(3).key),
    ]


def test_an_item_that_cannot_be_kept_leaves_nothing(database):
    broken = replace(item(1), endpoint_id="nobody")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        keep(database, TAKEN, item(2), broken)
    for table in ("notification", "tally", "inbox"):
        assert rows(database, f"SELECT 1 FROM {table}") == []
