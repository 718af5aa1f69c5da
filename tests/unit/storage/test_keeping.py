"""Deliveries that come at the same time: one statement, and each its own answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import psycopg
import pytest

from mappings.errors import StorageError
from middleware.storage.database import Database
from middleware.storage.intake import IntakeDatabase
from middleware.storage.keeping import Keeper
from middleware.storage.notifications import Delivery, NewNotification
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed


def delivery(number: int, body: bytes = b"{}", subscription: str = "s1") -> Delivery:
    kept = NewNotification(
        subscription, NOW, "POST", "", {}, body, "stored", "resource", "r4-criteria"
    )
    return kept, [item(number)]


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def intake(database: Database, database_url: str) -> Iterator[IntakeDatabase]:
    with database.tx() as tx:
        seed(tx)
    opened = IntakeDatabase(database_url)
    yield opened
    opened.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool


def kept(database: Database) -> list[tuple[str, int]]:
    """Return the key and the transaction of every item."""
    with database.tx() as tx:
        rows = tx.execute("SELECT key, xmin::text::int AS t FROM inbox ORDER BY id")
        return [(row["key"], row["t"]) for row in rows]


def held_up(
    keeper: Keeper, threads: ThreadPoolExecutor, url: str, others: list[Delivery]
) -> list[Future[None]]:
    """Send the first, hold its statement up until the others wait, let go."""
    with psycopg.connect(url) as blocker:
        blocker.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        sent = [threads.submit(keeper.keep, delivery(0), soon())]
        until_blocked(url)
        sent += [threads.submit(keeper.keep, other, soon()) for other in others]
        while len(keeper._line) < len(others):
            assert not any(each.done() for each in sent)
            threading.Event().wait(0.005)
    wait(sent)
    return sent


def until_blocked(url: str) -> None:
    """Return when a statement waits for the lock."""
    with psycopg.connect(url, autocommit=True) as watch:
        while not watch.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
            threading.Event().wait(0.005)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.storage.keeping.PATIENCE_SECONDS", 60.0)


def test_who_comes_alone_is_kept_at_once(database, intake):
    keeper = Keeper(intake)
    for number in range(3):
        keeper.keep(delivery(number), soon())
    assert len({transaction for _, transaction in kept(database)}) == 3


def test_those_who_waited_are_kept_with_one_commit(
    database, intake, database_url, threads
):
    others = [delivery(number) for number in range(1, 9)]
    sent = held_up(Keeper(intake), threads, database_url, others)
    assert [each.exception() for each in sent] == [None] * 9
    transactions = [transaction for _, transaction in kept(database)]
    assert len(transactions) == 9
    assert len(set(transactions)) == 2


def test_one_that_cannot_be_kept_takes_no_other_with_it(
    database, intake, database_url, threads
):
    wrong = delivery(1, subscription="gone")
    others = [wrong, delivery(2), delivery(3)]
    keeper = Keeper(intake)
    sent = held_up(keeper, threads, database_url, others)
    faults = [each.exception() for each in sent]
    assert [fault is None for fault in faults] == [True, False, True, True]
    assert isinstance(faults[1], StorageError)
    assert faults[1].permanent
    assert sorted(key for key, _ in kept(database)) == sorted(
        item(number).key for number in (0, 2, 3)
    )
    keeper.keep(delivery(4), soon())


def test_a_statement_takes_no_more_bytes_than_it_is_made_for(
    database, intake, database_url, threads, monkeypatch
):
    monkeypatch.setattr("middleware.storage.keeping.MOST_BYTES", 1000)
    large = b" " * 500
    others = [delivery(number, large) for number in range(1, 5)]
    sent = held_up(Keeper(intake), threads, database_url, others)
    assert [each.exception() for each in sent] == [None] * 5
    assert len({transaction for _, transaction in kept(database)}) == 3


def test_who_waits_too_long_is_told_and_holds_nobody_up(
    database, intake, database_url, threads
):
    keeper = Keeper(intake)
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        first = threads.submit(keeper.keep, delivery(0), soon())
        until_blocked(database_url)
        with pytest.raises(StorageError, match="not be written in time"):
            keeper.keep(delivery(1), soon(0.1))
    assert first.exception() is None
    keeper.keep(delivery(2), soon())
    assert [key for key, _ in kept(database)] == [item(0).key, item(2).key]


def test_a_statement_that_takes_long_is_passed(
    database, intake, database_url, threads, monkeypatch
):
    """Another transaction holds one key; the others do not wait for it."""
    monkeypatch.setattr("middleware.storage.keeping.PATIENCE_SECONDS", 0.01)
    keeper, held = Keeper(intake), item(0)
    with psycopg.connect(database_url) as blocker:
        blocker.execute(
            "INSERT INTO inbox (key, endpoint_id, source, shard, received_at, due_at) "
            "VALUES (%s, %s, 'poll', 0, %s, %s)",
            (held.key, held.endpoint_id, NOW, NOW),
        )
        first = threads.submit(keeper.keep, delivery(0), soon())
        until_blocked(database_url)
        others = [threads.submit(keeper.keep, delivery(n), soon()) for n in (1, 2)]
        wait(others)
        assert [each.exception() for each in others] == [None, None]
        assert not first.done()
    assert first.exception() is None


def test_many_threads_lose_and_double_nothing(database, intake, threads):
    keeper, numbers = Keeper(intake), range(600)
    start = threading.Barrier(12)

    def send(part: int) -> None:
        start.wait()
        for number in numbers[part::12]:
            keeper.keep(delivery(number), soon(20.0))

    wait(done := [threads.submit(send, part) for part in range(12)])
    assert [each.exception() for each in done] == [None] * 12
    found = kept(database)
    assert sorted(key for key, _ in found) == sorted(item(n).key for n in numbers)
    assert len({transaction for _, transaction in found}) < 600


def test_a_database_that_is_away_is_told_to_each(database_url, threads):
    closed = IntakeDatabase(database_url)
    closed.close()
    keeper = Keeper(closed)
    sent = [threads.submit(keeper.keep, delivery(n), soon(0.3)) for n in range(4)]
    faults = [each.exception() for each in sent]
    assert all(isinstance(fault, StorageError) for fault in faults)
    assert len({id(fault) for fault in faults}) == 4
