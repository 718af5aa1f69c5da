"""The ticker: wakes shards that have due rows, and runs periodic work in its turn.

A metronome, not a memory: what is due is read from the rows, and the turns of periodic
work are claimed in the database, so that ten tickers are as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import UTC, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from mappings.errors import CareCueError, ContentError
from middleware.ports import Clock
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.storage.schedule import claim, list_ahead, note_result
from middleware.storage.shards import list_idle_due

TICK_SECONDS = 0.25
LONGEST_LOOK_SECONDS = 0.25

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Periodic:
    """Work that is done once per ``every``, whichever ticker comes first."""

    name: str
    every: timedelta
    run: Callable[[], None]


JANITOR = "janitor"
JANITOR_EVERY = timedelta(seconds=10)


class Ticker:
    """Ticks in threads of its own between ``start`` and ``stop``."""

    def __init__(
        self,
        database: Database,
        wakes: Wakes,
        clock: Clock,
        periodic: Sequence[Periodic] = (),
        *,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._database = database
        self._wakes = wakes
        self._clock = clock
        self._periodic = (Periodic(JANITOR, JANITOR_EVERY, self._sweep), *periodic)
        self._tick_seconds = tick_seconds
        self._failing: set[str] = set()
        self._busy: set[str] = set()
        self._scheduler: BackgroundScheduler | None = None
        self._places: futures.ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to tick."""
        self._places = futures.ThreadPoolExecutor(
            len(self._periodic), thread_name_prefix="periodic"
        )
        scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": None,
            },
            timezone=UTC,
        )
        scheduler.add_job(self.tick, IntervalTrigger(seconds=self._tick_seconds))
        shortest = min(work.every for work in self._periodic).total_seconds() / 2
        look = IntervalTrigger(seconds=min(LONGEST_LOOK_SECONDS, shortest))
        scheduler.add_job(self._look, look)
        scheduler.start()
        self._scheduler = scheduler

    def stop(self) -> None:
        """Stop ticking; work that runs is waited for."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
            self._scheduler = None
        if self._places is not None:
            self._places.shutdown(wait=True)
            self._places = None

    def tick(self) -> int:
        """Wake every shard that has due rows and no holder; return how many."""
        try:
            with self._database.tx() as tx:
                due = list_idle_due(tx, self._clock.now())
            self._wakes.wake_all(due)
        except CareCueError:
            self._note("tick", failed=True)
            return 0
        self._note("tick", failed=False)
        return len(due)

    def _look(self) -> None:
        """Begin whatever may have its turn, and is not under way here."""
        try:
            with self._database.beside() as tx:
                ahead = list_ahead(tx, self._clock.now())
        except CareCueError:
            self._note("look", failed=True)
            return
        self._note("look", failed=False)
        for work in self._periodic:
            if self._places and work.name not in ahead | self._busy:
                self._busy.add(work.name)
                self._places.submit(self._begin, work)

    def _begin(self, work: Periodic) -> None:
        try:
            self.turn(work)
        finally:
            self._busy.discard(work.name)

    def turn(self, work: Periodic) -> bool:
        """Run periodic work if its turn has come and is ours; never raises."""
        try:
            with self._database.tx() as tx:
                ours = claim(tx, work.name, work.every, self._clock.now())
            if not ours:
                return False
            fault = _run(work)
            with self._database.tx() as tx:
                note_result(tx, work.name, fault)
        except CareCueError:
            self._note(work.name, failed=True)
            return False
        self._note(work.name, failed=False)
        return True

    def _sweep(self) -> None:
        swept = self._wakes.janitor()
        if swept:
            _log.info("wake-ups swept", count=swept)

    def _note(self, name: str, *, failed: bool) -> None:
        """Log a failure when it begins and when it ends, not four times a second."""
        if failed and name not in self._failing:
            self._failing.add(name)
            _log.exception("ticker cannot work", name=name)
        elif not failed and name in self._failing:
            self._failing.discard(name)
            _log.info("ticker works again", name=name)


def _run(work: Periodic) -> str | None:
    try:
        work.run()
    except ContentError as error:
        _log.error("content is not usable", error=error.message)
        return error.message
    except Exception as error:  # noqa: BLE001 -- one fault must not stop the others
        _log.exception("periodic work failed", name=work.name)
        return type(error).__name__
    return None
