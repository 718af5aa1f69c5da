"""Wake-ups: at most one waits, a dead worker's job blocks nobody, and they are fast."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mappings.errors import StorageError
from middleware.storage.jobs import Wakes

STUCK = """
import sys, threading
from middleware.storage.jobs import Wakes
def drain(stage, shard):
    print("draining", stage, shard, flush=True)
    threading.Event().wait()
Wakes(sys.argv[1]).run_worker(drain, 1, threading.Event())
"""


@pytest.fixture
def wakes(database_url):
    opened = Wakes(database_url)
    yield opened
    opened.close()


@pytest.fixture
def worker(wakes):
    """A running worker: a queue of what it was asked to drain."""
    drained: queue.Queue[tuple[str, int]] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=wakes.run_worker,
        args=(lambda stage, shard: drained.put((stage, shard)), 2, stop),
    )
    thread.start()
    yield drained
    stop.set()
    thread.join()


def test_a_wake_waits_once_however_often_it_is_sent(wakes):
    """Once per stage, or per shard where each is worked on by itself."""
    for _ in range(5):
        wakes.wake("resolve", 1)
    wakes.wake_all([("resolve", 2), ("decide", 1), ("deliver", 1), ("deliver", 2)])
    assert wakes.pending() == 4


def test_wakes_at_the_same_time_do_not_fail(wakes):
    threads = [
        threading.Thread(target=wakes.wake, args=("resolve", 1)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wakes.pending() == 1


def test_a_wake_without_a_database_is_left_to_the_ticker():
    opened = Wakes("postgresql://nobody@127.0.0.1:1/none")
    opened._pool.timeout = 0.1
    opened.wake("resolve", 1)
    with pytest.raises(StorageError, match="cannot be reached"):
        opened.janitor()
    opened.close()


def test_a_woken_shard_is_drained_and_the_job_is_gone(wakes, worker, database):
    wakes.wake("resolve", 5)
    assert worker.get(timeout=20) == ("resolve", 5)
    wakes.wake("deliver", 6)
    assert worker.get(timeout=20) == ("deliver", 6)
    wakes.wake("resolve", 5)
    assert worker.get(timeout=20) == ("resolve", 5)
    _until_none_pending(wakes)
    with database.tx() as tx:
        row = tx.execute("SELECT count(*) AS n FROM procrastinate_jobs").fetchone()
    assert row == {"n": 0}


def test_wakes_sent_before_the_worker_came_are_answered(wakes, database_url):
    wakes.wake_all([("deliver", shard) for shard in range(4)])
    drained: queue.Queue[int] = queue.Queue()
    stop = threading.Event()
    other = Wakes(database_url)
    thread = threading.Thread(
        target=other.run_worker, args=(lambda _, shard: drained.put(shard), 2, stop)
    )
    thread.start()
    found = sorted(drained.get(timeout=20) for _ in range(4))
    stop.set()
    thread.join()
    other.close()
    assert found == [0, 1, 2, 3]


def test_a_drain_that_raises_leaves_no_job_behind(wakes, database_url):
    asked: queue.Queue[int] = queue.Queue()
    stop = threading.Event()

    def fail(_stage: str, shard: int) -> None:
        asked.put(shard)
        raise KeyError("stop")

    thread = threading.Thread(target=wakes.run_worker, args=(fail, 1, stop))
    thread.start()
    wakes.wake("resolve", 1)
    assert asked.get(timeout=20) == 1
    wakes.wake("resolve", 2)
    assert asked.get(timeout=20) == 2
    _until_none_pending(wakes)
    stop.set()
    thread.join()


def test_a_worker_that_loses_its_connections_goes_on(wakes, worker, database):
    wakes.wake("resolve", 1)
    assert worker.get(timeout=20) == ("resolve", 1)
    with database.tx() as tx:
        tx.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    wakes.wake("resolve", 2)
    assert worker.get(timeout=20) == ("resolve", 2)


def test_a_worker_without_a_database_stops_when_it_is_told_to():
    opened = Wakes("postgresql://nobody@127.0.0.1:1/none")
    stop = threading.Event()
    thread = threading.Thread(
        target=opened.run_worker, args=(lambda stage, shard: None, 1, stop)
    )
    thread.start()
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    opened.close()


def test_the_job_of_a_killed_worker_blocks_nobody_and_is_swept(
    wakes, database_url, request
):
    wakes.wake("resolve", 9)
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, database_url],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "draining resolve 9\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert wakes.pending() == 1
    worker = request.getfixturevalue("worker")
    wakes.wake("resolve", 9)
    assert worker.get(timeout=20) == ("resolve", 9)
    assert wakes.janitor(stalled_seconds=3600) == 0
    _until_pending(wakes, 1)
    assert wakes.janitor(stalled_seconds=0) == 1
    assert wakes.pending() == 0


def _until_none_pending(wakes: Wakes) -> None:
    _until_pending(wakes, 0)


def _until_pending(wakes: Wakes, wanted: int) -> None:
    for _ in range(10_000):
        if wakes.pending() == wanted:
            return
    raise AssertionError(f"there are still {wakes.pending()} wake-ups")
