"""What came in: kept as it came, worked on once, retried, buried."""

from __future__ import annotations

from datetime import timedelta

from middleware.storage.inbox import (
    PollCursor,
    advance_cursor,
    finish_inbox,
    insert_inbox,
    kill_inbox,
    list_inbox,
    note_fault,
    read_cursor,
    retry_inbox,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed

LATER = NOW + timedelta(minutes=1)


def test_items_with_a_known_key_are_left_out(database):
    with database.tx() as tx:
        seed(tx)
        assert insert_inbox(tx, []) == 0
        assert insert_inbox(tx, [item(1), item(2)]) == 2
        assert insert_inbox(tx, [item(2), item(3), item(3)]) == 1
        found = list_inbox(tx, [7], NOW, 10)
    assert [(row.key, row.focus, row.attempts) for row in found] == [
        ("k1", "Encounter/1", 0),
        ("k2", "Encounter/2", 0),
        ("k3", "Encounter/3", 0),
    ]


def test_only_due_items_of_the_shard_are_listed_in_order(database):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1), item(2, received_at=NOW - timedelta(minutes=1))])
        insert_inbox(tx, [item(3, shard=8), item(4, received_at=LATER)])
        assert [row.key for row in list_inbox(tx, [7], NOW, 10)] == ["k2", "k1"]
        assert [row.key for row in list_inbox(tx, [7], NOW, 1)] == ["k2"]


def test_items_are_finished_retried_and_killed(database):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1), item(2), item(3)])
        one, two, three = (row.id for row in list_inbox(tx, [7], NOW, 10))
        finish_inbox(tx, [one], NOW)
        retry_inbox(tx, two, LATER, "server away")
        kill_inbox(tx, three, "no such resource", NOW)
        assert list_inbox(tx, [7], NOW, 10) == []
        again = list_inbox(tx, [7], LATER, 10)
        assert [(row.id, row.attempts) for row in again] == [(two, 1)]
        rows = tx.execute(
            "SELECT state, error, done_at, attempts FROM inbox ORDER BY id"
        ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("done", None, NOW, 0),
        ("waiting", "server away", None, 1),
        ("dead", "no such resource", NOW, 0),
    ]


def test_a_finished_item_is_not_brought_back_by_a_late_retry(database):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1)])
        (row,) = list_inbox(tx, [7], NOW, 10)
        finish_inbox(tx, [row.id], NOW)
        retry_inbox(tx, row.id, LATER, "late")
        kill_inbox(tx, row.id, "late", LATER)
        left = tx.execute("SELECT state, error, attempts FROM inbox").fetchone()
    assert left == {"state": "done", "error": None, "attempts": 0}


def test_the_poll_cursor_goes_ahead_and_waits_where_a_poll_failed(database):
    with database.tx() as tx:
        seed(tx)
        assert read_cursor(tx, "e1", "Encounter") is None
        advance_cursor(tx, "e1", "Encounter", NOW, NOW)
        note_fault(tx, "e1", "Encounter", "503", LATER)
        assert read_cursor(tx, "e1", "Encounter") == PollCursor(
            "e1", "Encounter", NOW, LATER, "503", read_at=NOW
        )
        advance_cursor(tx, "e1", "Encounter", LATER, LATER)
        advance_cursor(tx, "e1", "Encounter", NOW, LATER)
        assert read_cursor(tx, "e1", "Encounter") == PollCursor(
            "e1", "Encounter", LATER, LATER, None, read_at=LATER
        )
        note_fault(tx, "e1", "Encounter", "503", LATER)
        assert read_cursor(tx, "e1", "Encounter").since == LATER
        advance_cursor(tx, "e1", "Encounter", NOW, LATER, back=True)
        assert read_cursor(tx, "e1", "Encounter").since == NOW
