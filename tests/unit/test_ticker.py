"""The ticker: wakes due shards that nobody holds, and takes each turn once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from middleware.storage.inbox import insert_inbox
from middleware.storage.jobs import Wakes
from middleware.storage.schedule import list_errors
from middleware.storage.shards import hold
from middleware.ticker import Periodic, Ticker
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed

MINUTE = timedelta(minutes=1)


@pytest.fixture
def wakes(database_url):
    opened = Wakes(database_url)
    yield opened
    opened.close()


@pytest.fixture
def ticker(database, wakes, clock):
    return Ticker(database, wakes, clock)


def put(database):
    with database.tx() as tx:
        seed(tx)
        tx.execute("UPDATE event SET state = 'done'")
        insert_inbox(tx, [item(1), item(2, shard=8)])


def test_a_tick_wakes_what_is_due_and_not_held(database, wakes, ticker):
    put(database)
    with hold(database, "resolve", 8):
        assert ticker.tick() == 1
    assert wakes.pending() == 1
    assert ticker.tick() == 2
    assert wakes.pending() == 1


def test_a_tick_wakes_a_nudge_when_its_time_has_come(database, wakes, ticker, clock):
    put(database)
    with database.tx() as tx:
        tx.execute("DELETE FROM inbox")
    assert ticker.tick() == 0
    clock.instant = NOW + timedelta(hours=2)
    assert ticker.tick() == 1


def test_a_turn_is_run_by_one_of_ten_tickers(database, wakes, clock):
    runs: list[str] = []
    work = Periodic("poll", MINUTE, lambda: runs.append("poll"))
    tickers = [Ticker(database, wakes, clock, [work]) for _ in range(10)]
    assert sorted(ticker.turn(work) for ticker in tickers) == [False] * 9 + [True]
    clock.instant = NOW + MINUTE
    assert sorted(ticker.turn(work) for ticker in tickers) == [False] * 9 + [True]
    assert runs == ["poll", "poll"]


def test_work_that_fails_is_noted_and_has_its_next_turn(database, ticker, clock):
    def fail() -> None:
        raise KeyError("Rosa Alvarez")

    work = Periodic("poll", MINUTE, fail)
    assert ticker.turn(work)
    with database.tx() as tx:
        assert list_errors(tx) == {"poll": "KeyError"}
    clock.instant = NOW + MINUTE
    assert ticker.turn(Periodic("poll", MINUTE, lambda: None))
    with database.tx() as tx:
        assert list_errors(tx) == {}


def test_a_running_ticker_ticks_and_sweeps_until_it_is_stopped(database, wakes, clock):
    ran = threading.Event()
    put(database)
    ticker = Ticker(
        database,
        wakes,
        clock,
        [Periodic("poll", timedelta(seconds=0.1), ran.set)],
        tick_seconds=0.02,
    )
    ticker.start()
    assert ran.wait(20)
    for _ in range(10_000):
        if wakes.pending() == 1:
            break
    ticker.stop()
    ticker.stop()
    assert wakes.pending() == 1


def test_a_ticker_survives_a_database_that_is_away(database, wakes, clock):
    ticker = Ticker(database, wakes, clock)
    database.close()
    assert ticker.tick() == 0
    assert not ticker.turn(Periodic("poll", MINUTE, lambda: None))
