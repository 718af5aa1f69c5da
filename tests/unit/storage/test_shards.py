"""Shards: one holder at a time, and no other one can finish its rows."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from mappings.errors import FencedError, StorageError
from middleware.storage.clock import move_clock, next_due, read_offset
from middleware.storage.database import Database
from middleware.storage.ids import SHARDS, shard_of
from middleware.storage.inbox import finish_inbox, insert_inbox, list_inbox
from middleware.storage.nudges import upsert_nudges
from middleware.storage.shards import (
    check_epoch,
    check_epochs,
    has_due,
    hold,
    hold_several,
    list_idle_due,
    list_ready,
)
from tests.conftest import NOW
from tests.unit.storage.seeds import NUDGE, SHARD, item, seed


@pytest.fixture
def other(database_url):
    opened = Database(database_url, pool_size=2)
    yield opened
    opened.close()


def test_shard_of_is_the_same_for_ever():
    assert [shard_of("e1", f"Patient/{n}") for n in range(4)] == [0, 22, 29, 6]
    assert shard_of("ab", "c") != shard_of("a", "bc")


def test_shard_of_spreads_over_all_shards():
    counts = [0] * SHARDS
    for number in range(3200):
        counts[shard_of("e1", f"Patient/{number}")] += 1
    assert min(counts) > 60
    assert max(counts) < 145


def test_hold_is_exclusive_and_counts_epochs(database, other):
    with hold(database, "resolve", 3) as first:
        assert first is not None
        with hold(other, "resolve", 3) as second:
            assert second is None
        with hold(other, "resolve", 4) as neighbour, hold(other, "decide", 3) as stage:
            assert neighbour is not None
            assert stage is not None
    with hold(other, "resolve", 3) as after:
        assert after is not None
        assert (first.epoch, after.epoch) == (1, 2)


def test_of_several_shards_those_are_taken_that_nobody_has(database, other):
    with hold(other, "resolve", 4), hold(other, "resolve", 5):
        pass
    with (
        hold(other, "resolve", 3),
        hold_several(database, "resolve", [3, 4, 9]) as held,
    ):
        assert held == {4: 2, 9: 1}
        with hold(other, "resolve", 5) as neighbour:
            assert neighbour is not None
        with hold_several(other, "resolve", [4, 9]) as none:
            assert none == {}
    with hold_several(other, "resolve", [3, 4, 9]) as later:
        assert later == {3: 2, 4: 3, 9: 2}


def test_a_holder_of_several_that_lost_one_finishes_none(database, other):
    with hold_several(database, "resolve", [3, 4]) as held:
        with database.tx() as tx:
            check_epochs(tx, "resolve", held)
        _cut_lock(other, 3)
        with (
            hold(other, "resolve", 4),
            pytest.raises(FencedError),
            database.tx() as tx,
        ):
            check_epochs(tx, "resolve", held)


def test_a_frozen_holder_of_several_loses_them_after_a_while(database, other):
    with hold_several(database, "resolve", [3, 4], longest="20ms") as held:
        taken = False
        while not taken:
            with hold(other, "resolve", 3) as again:
                taken = again is not None
        with pytest.raises(FencedError), database.tx() as tx:
            check_epochs(tx, "resolve", held)
    with hold(database, "resolve", 3) as later:
        assert later is not None
        assert later.epoch == 3


def test_ready_shards_come_longest_due_first_and_counted_to_a_batch(database, other):
    with database.tx() as tx:
        seed(tx)
        early = NOW - timedelta(minutes=1)
        rows = [item(number, shard=5) for number in range(3)]
        rows += [item(3, shard=8, received_at=early), item(4, shard=2)]
        insert_inbox(tx, rows)
    with hold(other, "resolve", 2), hold(other, "decide", 5), database.tx() as tx:
        assert list_ready(tx, "resolve", NOW, 40) == [(8, 1), (5, 3)]
        assert list_ready(tx, "resolve", NOW, 2) == [(8, 1), (5, 2)]
        assert list_ready(tx, "resolve", early, 2) == [(8, 1)]


def test_hold_is_let_go_when_the_work_raises(database, other):
    with pytest.raises(KeyError), hold(database, "resolve", 3):
        raise KeyError("stop")
    with hold(other, "resolve", 3) as held:
        assert held is not None


def test_a_frozen_holder_cannot_finish_after_a_takeover(database, other):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1)])
    with hold(database, "resolve", 7) as frozen:
        assert frozen is not None
        _cut_lock(other, 7)
        with hold(other, "resolve", 7) as taken:
            assert taken is not None
            with pytest.raises(FencedError):
                _finish(database, frozen.epoch)
            with other.tx() as tx:
                check_epoch(tx, "resolve", 7, taken.epoch)
                assert [row.key for row in list_inbox(tx, [7], NOW, 10)] == ["k1"]


def test_a_takeover_waits_for_the_finishing_transaction_that_checked_first(
    database, other
):
    """The share lock orders them: the old holder's commit, then the new epoch."""
    started = threading.Event()
    epochs: list[int] = []

    def take() -> None:
        while not epochs:
            started.set()
            with hold(other, "resolve", 7) as taken:
                epochs.extend([taken.epoch] if taken else [])

    with hold(database, "resolve", 7) as first:
        assert first is not None
        _cut_lock(other, 7)
        with database.tx() as tx:
            check_epoch(tx, "resolve", 7, first.epoch)
            thread = threading.Thread(target=take)
            thread.start()
            started.wait()
            tx.execute("INSERT INTO mark VALUES ('kept', '1')")
        thread.join()
    assert epochs == [2]


def test_a_takeover_gives_up_while_an_unfinished_transaction_keeps_the_row(
    database, other
):
    with hold(database, "resolve", 7) as first:
        assert first is not None
        _cut_lock(other, 7)
        with database.tx() as tx:
            check_epoch(tx, "resolve", 7, first.epoch)
            with hold(other, "resolve", 7) as taken:
                assert taken is None
    with hold(other, "resolve", 7) as later:
        assert later is not None
        assert later.epoch == 2


def test_check_epoch_of_a_shard_that_was_never_held_is_fenced(database):
    with pytest.raises(FencedError), database.tx() as tx:
        check_epoch(tx, "resolve", 1, 1)


def test_hold_says_when_the_database_is_away(database_url):
    opened = Database(database_url, pool_size=1)
    opened.close()
    broken = Database(database_url, pool_size=1)
    broken.url = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(StorageError), hold(broken, "resolve", 1):
        pass
    broken.close()


def test_due_shards_are_those_with_open_rows_that_are_due(database):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1, shard=0), item(2, shard=31), item(3, shard=31)])
        assert list_idle_due(tx, NOW - timedelta(seconds=1)) == []
        due = [shard for stage, shard in list_idle_due(tx, NOW) if stage == "resolve"]
        assert sorted(due) == [0, 31]
        assert ("deliver", SHARD) in list_idle_due(tx, NOW + timedelta(hours=2))
        assert has_due(tx, "resolve", 31, NOW)
        assert not has_due(tx, "resolve", 30, NOW)


def test_idle_due_leaves_out_what_is_held(database, other):
    with database.tx() as tx:
        seed(tx)
        insert_inbox(tx, [item(1, shard=5), item(2, shard=6)])
    with hold(database, "resolve", 5), other.tx() as tx:
        assert sorted(list_idle_due(tx, NOW)) == [("decide", SHARD), ("resolve", 6)]
    with other.tx() as tx:
        assert sorted(list_idle_due(tx, NOW)) == [
            ("decide", SHARD),
            ("resolve", 5),
            ("resolve", 6),
        ]


def test_next_due_is_the_earliest_open_row_and_never_in_the_past(database):
    with database.tx() as tx:
        assert next_due(tx, NOW) is None
        seed(tx, nudge=False)
        assert next_due(tx, NOW + timedelta(hours=1)) == NOW + timedelta(hours=1)
        tx.execute("UPDATE event SET state = 'done'")
        assert next_due(tx, NOW) is None
        upsert_nudges(tx, [NUDGE], NOW)
        assert next_due(tx, NOW) == NOW + timedelta(hours=2)


def test_the_clock_is_set_freely_until_there_are_events_and_then_never_back(database):
    with database.tx() as tx:
        assert read_offset(tx) == timedelta(0)
        move_clock(tx, timedelta(days=-6))
        assert read_offset(tx) == timedelta(days=-6)
        seed(tx)
        move_clock(tx, timedelta(days=30, seconds=0.5))
        move_clock(tx, timedelta(days=1))
        assert read_offset(tx) == timedelta(days=30, seconds=0.5)


def _finish(database: Database, epoch: int) -> None:
    """Finish the row as a stage does, in one transaction with its check."""
    with database.tx() as tx:
        finish_inbox(tx, [row.id for row in list_inbox(tx, [7], NOW, 10)], NOW)
        check_epoch(tx, "resolve", 7, epoch)


def _cut_lock(database: Database, shard: int) -> None:
    """End the session that holds the shard's lock, as a network cut would."""
    with database.tx() as tx:
        cut = tx.execute(
            "SELECT pid, pg_terminate_backend(pid, 5000) AS ended FROM pg_locks "
            "WHERE locktype = 'advisory' AND objsubid = 2 AND objid = %s",
            (shard,),
        ).fetchall()
    assert [row["ended"] for row in cut] == [True]
