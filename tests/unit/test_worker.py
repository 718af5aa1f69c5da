"""The worker: drains in order, looks once more, rests after failures, is fenced."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from mappings.errors import FencedError, StorageError
from middleware.storage.inbox import finish_inbox, insert_inbox, list_inbox
from middleware.storage.jobs import Wakes
from middleware.storage.shards import Held, check_epochs, hold
from middleware.worker import Worker
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed


@pytest.fixture
def wakes(database_url):
    opened = Wakes(database_url)
    yield opened
    opened.close()


@pytest.fixture
def make(database, wakes, clock):
    def build(step, stage="resolve", **options):
        return Worker(database, wakes, {stage: step}, clock, **options)

    return build


@pytest.fixture
def finish_two(database):
    """A step that finishes two items a time and notes their keys."""
    done: list[str] = []

    def step(held: Held) -> int:
        with database.tx() as tx:
            rows = list_inbox(tx, held, NOW, 2)
            finish_inbox(tx, [row.id for row in rows], NOW)
            check_epochs(tx, "resolve", held)
        done.extend(row.key for row in rows)
        return len(rows)

    step.done = done
    return step


def put(database, *numbers, **changes):
    with database.tx() as tx:
        if tx.execute("SELECT 1 FROM endpoint").fetchone() is None:
            seed(tx)
        insert_inbox(tx, [item(number, **changes) for number in numbers])


def test_a_drain_goes_on_until_nothing_is_due(database, wakes, make, finish_two):
    put(database, 1, 2, 3, 4, 5)
    put(database, 6, received_at=NOW + timedelta(seconds=1))
    assert make(finish_two).drain("resolve", 7) == 5
    assert finish_two.done == ["k1", "k2", "k3", "k4", "k5"]
    assert wakes.pending() == 0


def test_a_drain_ends_after_its_time_and_wakes_itself(
    database, wakes, make, finish_two
):
    put(database, 1, 2, 3)
    assert make(finish_two, drain_seconds=0.0).drain("resolve", 7) == 2
    assert wakes.pending() == 1


def test_a_row_that_came_while_letting_go_is_seen(database, wakes, make, finish_two):
    """It is nobody else's as long as the shard is held."""

    def step(held: Held) -> int:
        handled = finish_two(held)
        if finish_two.done == ["k1"]:
            put(database, 2)
        return handled

    put(database, 1)
    assert make(step).drain("resolve", 7) == 2
    assert finish_two.done == ["k1", "k2"]
    assert wakes.pending() == 0


def test_rows_that_a_stage_leaves_due_do_not_spin(database, wakes, make):
    put(database, 1)
    assert make(lambda held: 0).drain("resolve", 7) == 0
    assert wakes.pending() == 0


def test_a_held_shard_is_left_to_its_holder(database, make, finish_two):
    put(database, 1)
    with hold(database, "resolve", 7):
        assert make(finish_two).drain("resolve", 7) == 0
    assert make(finish_two).drain("resolve", 7) == 1


def test_an_unknown_stage_is_left_alone(make, finish_two):
    assert make(finish_two).drain("wash", 7) == 0


def test_a_shard_rests_after_a_failure_and_others_do_not(
    database, wakes, make, finish_two
):
    calls: list[list[int]] = []

    def step(held: Held) -> int:
        calls.append(sorted(held))
        if 7 in held:
            raise KeyError("broken")
        return finish_two(held)

    put(database, 1)
    put(database, 2, shard=8)
    worker = make(step, rest_seconds=30)
    assert [worker.drain("resolve", 7) for _ in range(2)] == [1, 0]
    assert calls == [[7, 8], [7], [8]]
    assert finish_two.done == ["k2"]
    assert wakes.pending() == 0


def test_a_database_that_is_away_is_not_asked_once_for_each_shard(database, make):
    calls: list[list[int]] = []

    def step(held: Held) -> int:
        calls.append(sorted(held))
        raise StorageError("the database is away")

    put(database, 1)
    put(database, 2, shard=8)
    worker = make(step, rest_seconds=30)
    assert [worker.drain("resolve", 7) for _ in range(2)] == [0, 0]
    assert calls == [[7, 8]]


def test_rows_of_many_shards_are_worked_on_together(database, make):
    seen: list[tuple[list[int], int]] = []

    def step(held: Held) -> int:
        with database.tx() as tx:
            rows = list_inbox(tx, held, NOW, 40)
            check_epochs(tx, "resolve", held)
            finish_inbox(tx, [row.id for row in rows], NOW)
        seen.append((sorted(held), len(rows)))
        return len(rows)

    for number in range(6):
        put(database, number, shard=number)
    assert make(step).drain("resolve", 31) == 6
    assert seen == [([0, 1, 2, 3, 4, 5], 6)]


def test_a_full_batch_leaves_other_shards_to_other_workers(database, wakes, make):
    """The longest due come first, and no more of them than fill the batch."""
    seen: list[list[int]] = []

    def step(held: Held) -> int:
        seen.append(sorted(held))
        return 0

    early = NOW - timedelta(minutes=1)
    put(database, *range(30), shard=9, received_at=early)
    put(database, *range(30, 50), shard=4)
    put(database, 50, shard=5)
    assert make(step).drain("resolve", 5) == 0
    assert seen == [[4, 9]]
    assert wakes.pending() == 1


def test_a_stage_that_waits_for_others_takes_the_woken_shard_alone(database, make):
    seen: list[list[int]] = []

    def step(held: Held) -> int:
        seen.append(sorted(held))
        return 0

    put(database, 1)
    with database.tx() as tx:
        tx.execute("UPDATE nudge SET due_at = %s", (NOW,))
        shard = tx.execute("SELECT shard FROM nudge").fetchone()["shard"]
    worker = make(step, stage="deliver")
    assert worker.drain("deliver", shard) == 0
    assert seen == [[shard]]


def test_a_woken_shard_without_due_rows_is_looked_into_once(database, make):
    """What a killed worker left under way is no due row."""
    seen: list[list[int]] = []

    def step(held: Held) -> int:
        seen.append(sorted(held))
        return 1

    assert make(step, stage="deliver").drain("deliver", 3) == 1
    assert seen == [[3]]


def test_a_failed_step_lets_go_of_its_shard(database, make, finish_two):
    def step(held: Held) -> int:
        raise KeyError("broken")

    put(database, 1)
    make(step).drain("resolve", 7)
    assert make(finish_two).drain("resolve", 7) == 1


def test_a_fenced_step_does_not_rest(database, make, finish_two):
    answers = iter([FencedError("resolve", 7), None])

    def step(held: Held) -> int:
        if error := next(answers, None):
            raise error
        return finish_two(held)

    put(database, 1)
    worker = make(step)
    assert [worker.drain("resolve", 7) for _ in range(2)] == [0, 1]


def test_a_running_worker_drains_what_is_woken(database, wakes, make, finish_two):
    drained, stop = threading.Event(), threading.Event()

    def step(held: Held) -> int:
        handled = finish_two(held)
        if len(finish_two.done) == 3:
            drained.set()
        return handled

    put(database, 1, 2, 3)
    thread = threading.Thread(target=make(step).run, args=(stop,))
    thread.start()
    wakes.wake("resolve", 7)
    assert drained.wait(20)
    stop.set()
    thread.join()
    assert finish_two.done == ["k1", "k2", "k3"]


def test_two_workers_do_each_row_once(database, wakes, make, finish_two):
    put(database, *range(40))
    worker = make(finish_two)
    threads = [
        threading.Thread(target=worker.drain, args=("resolve", 7)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worker.drain("resolve", 7)
    assert finish_two.done == [f"k{number}" for number in range(40)]
