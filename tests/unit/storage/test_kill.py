"""Workers that are killed between any two steps: every row is done, none twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from middleware.storage.inbox import insert_inbox
from middleware.storage.jobs import Wakes
from middleware.storage.shards import list_idle_due
from middleware.ticker import Ticker
from tests.conftest import NOW
from tests.unit.storage.seeds import item, seed

ROWS = 1200
WORKER = """
import sys, threading
from datetime import datetime
from middleware.clock import FixedClock
from middleware.storage.database import Database
from middleware.storage.inbox import finish_inbox, list_inbox
from middleware.storage.jobs import Wakes
from middleware.storage.shards import check_epochs
from middleware.worker import Worker

clock = FixedClock(datetime.fromisoformat(sys.argv[2]))
database = Database(sys.argv[1])

def step(held):
    with database.tx() as tx:
        rows = list_inbox(tx, held, clock.now(), 3)
    with database.tx() as tx:
        check_epochs(tx, "resolve", held)
        finish_inbox(tx, [row.id for row in rows], clock.now())
        for row in rows:
            tx.execute("INSERT INTO effect VALUES (%s)", (row.key,))
    return len(rows)

print("ready", flush=True)
worker = Worker(database, Wakes(sys.argv[1]), {"resolve": step}, clock, concurrency=2)
worker.run(threading.Event())
"""


def test_killed_workers_lose_nothing_and_do_nothing_twice(
    database, database_url, clock
):
    with database.tx() as tx:
        seed(tx)
        tx.execute("CREATE TABLE effect (key text)")
    wakes = Wakes(database_url)
    ticker = Ticker(database, wakes, clock)
    workers = [_start(database_url) for _ in range(4)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    ticker.start()
    with database.tx() as tx:
        insert_inbox(tx, [item(number, shard=number % 8) for number in range(ROWS)])
    for number in (1, 2, 3):
        _until(database, number * ROWS // 6)
        victim = workers.pop()
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    with database.tx() as tx:
        assert "resolve" in dict(list_idle_due(tx, NOW))
    _until(database, ROWS)
    ticker.stop()
    wakes.close()
    for worker in workers:
        worker.kill()
        worker.communicate()
    with database.tx() as tx:
        found = tx.execute(
            "SELECT count(*) AS effects, count(DISTINCT key) AS keys FROM effect"
        ).fetchone()
    assert found == {"effects": ROWS, "keys": ROWS}


def _start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, NOW.isoformat()],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def _until(database, wanted: int) -> None:
    for _ in range(100_000):
        with database.tx() as tx:
            row = tx.execute(
                "SELECT count(*) AS n FROM inbox WHERE state = 'done'"
            ).fetchone()
        if row["n"] >= wanted:
            return
    raise AssertionError(f"only {row['n']} of {wanted} rows were done")
