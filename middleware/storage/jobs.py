"""Wake-ups: procrastinate jobs that only say "this stage has work in this shard".

They are hints, deferred after the commit that made the work; the ticker is the
guarantee. A job carries no patient data. At most one waits per stage and shard, or per
stage where shards are worked on together; a running one blocks nobody, so a dead
worker's job is only swept up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import (
    AlreadyEnqueued,
    ConnectorException,
    ProcrastinateException,
)
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from middleware.storage.connecting import PARAMETERS, Tx, check_idle, storage_error
from middleware.storage.job_loop import run_until
from middleware.storage.shards import TOGETHER

QUEUE = "carecue"
TASK = "carecue:drain"
HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 20.0
# The worker forgets a notification that arrives while it fetches: this bounds the wait.
POLL_SECONDS = 0.25
RESTART_SECONDS = 1.0

_WAITING = """
SELECT queueing_lock FROM procrastinate_jobs
WHERE status = 'todo' AND queueing_lock = ANY(%s)
"""
_SWEEP_DEAD = """
DELETE FROM procrastinate_jobs AS job WHERE status = 'doing' AND NOT EXISTS (
    SELECT 1 FROM procrastinate_workers AS worker WHERE worker.id = job.worker_id
    AND worker.last_heartbeat >= now() - make_interval(secs => %s))
"""
_SWEEP_ENDED = """
DELETE FROM procrastinate_jobs
WHERE status NOT IN ('todo', 'doing')
"""
_SWEEP_WORKERS = """
DELETE FROM procrastinate_workers
WHERE last_heartbeat < now() - make_interval(secs => %s)
"""

Drain = Callable[[str, int], None]

_log = structlog.get_logger(__name__)


class Wakes:
    """Sends and receives wake-ups of one database; ``close`` it when done."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._app = procrastinate.App(
            connector=procrastinate.SyncPsycopgConnector(conninfo=database_url)
        )
        self._pool: ConnectionPool[Tx] = ConnectionPool(
            database_url,
            connection_class=psycopg.Connection[dict[str, Any]],
            kwargs={"row_factory": dict_row, "autocommit": True, **PARAMETERS},
            min_size=0,
            max_size=4,
            check=check_idle,
            timeout=5.0,
            open=True,
            name="carecue-wakes",
        )

    def wake(self, stage: str, shard: int) -> None:
        """Say that a shard has work; call it after the commit that made the work.

        Never raises for a database that is away: the ticker wakes the shard later.
        """
        self.wake_all([(stage, shard)])

    def wake_all(self, shards: Iterable[tuple[str, int]]) -> None:
        """Say that several (stage, shard) have work, leaving out those that wait."""
        wanted = {
            stage if stage in TOGETHER else f"{stage}:{shard}": (stage, shard)
            for stage, shard in shards
        }
        if not wanted:
            return
        try:
            with self._pool.connection() as connection:
                waiting = connection.execute(_WAITING, (list(wanted),)).fetchall()
                for row in waiting:
                    wanted.pop(row["queueing_lock"], None)
                for lock, (stage, shard) in wanted.items():
                    self._defer(connection, lock, stage, shard)
        except (psycopg.Error, ConnectorException) as error:
            _log.warning("wake not sent", error=type(error).__name__)

    def _defer(self, connection: Tx, lock: str, stage: str, shard: int) -> None:
        task = self._app.configure_task(
            TASK, queue=QUEUE, queueing_lock=lock, connection=connection
        )
        try:
            task.defer(stage=stage, shard=shard)
        except AlreadyEnqueued:
            _log.debug("wake already waits", stage=stage, shard=shard)

    def run_worker(self, drain: Drain, concurrency: int, stop: threading.Event) -> None:
        """Run ``drain`` for each wake-up, in threads, until ``stop`` is set.

        Blocks. A worker that loses the database is started again.
        """
        while not stop.is_set():
            try:
                run_until(
                    stop,
                    lambda: self._worker_app(drain, concurrency),
                    self._worker_options(concurrency),
                    concurrency,
                )
            except (psycopg.Error, ProcrastinateException) as error:
                _log.warning("worker starts again", error=type(error).__name__)
            stop.wait(RESTART_SECONDS)

    def _worker_app(self, drain: Drain, concurrency: int) -> procrastinate.App:
        app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=self._url,
                kwargs=PARAMETERS,
                min_size=1,
                max_size=concurrency + 3,
            )
        )

        def run(stage: str, shard: int) -> None:
            drain(stage, shard)

        app.task(name=TASK, queue=QUEUE)(run)
        return app

    def _worker_options(self, concurrency: int) -> dict[str, Any]:
        return {
            "queues": [QUEUE],
            "concurrency": concurrency,
            "fetch_job_polling_interval": POLL_SECONDS,
            "abort_job_polling_interval": 3600.0,
            "update_heartbeat_interval": HEARTBEAT_SECONDS,
            "stalled_worker_timeout": STALLED_SECONDS,
            "delete_jobs": "always",
            "install_signal_handlers": False,
            "listen_notify": True,
        }

    def janitor(self, *, stalled_seconds: float = STALLED_SECONDS) -> int:
        """Sweep up jobs of dead workers and ended jobs; return how many.

        A worker is dead when it gave no heartbeat for ``stalled_seconds``. The work
        itself is in the stage's rows and is woken by the ticker.
        """
        try:
            with self._pool.connection() as connection, connection.transaction():
                dead = connection.execute(_SWEEP_DEAD, (stalled_seconds,)).rowcount
                ended = connection.execute(_SWEEP_ENDED).rowcount
                connection.execute(_SWEEP_WORKERS, (stalled_seconds,))
        except psycopg.Error as error:
            raise storage_error(error) from None
        return dead + ended

    def pending(self) -> int:
        """Return how many wake-ups wait or run."""
        try:
            with self._pool.connection() as connection:
                row = connection.execute(
                    "SELECT count(*) AS pending FROM procrastinate_jobs "
                    "WHERE status IN ('todo', 'doing')"
                ).fetchone()
        except psycopg.Error as error:
            raise storage_error(error) from None
        return int(row["pending"]) if row else 0

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
