"""The worker: takes shards, lets their stage work until nothing is due, lets go.

It knows stages only as functions and is the one place that catches broadly: a stage
that raises rests for a while and is woken again by the ticker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from mappings.errors import CareCueError, FencedError, StorageError
from middleware.ports import Clock
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.storage.shards import (
    FOR_EVER,
    FROZEN_AFTER,
    TOGETHER,
    Held,
    has_due,
    hold_several,
    list_ready,
)

Step = Callable[[Held], int]

DRAIN_SECONDS = 2.0
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Worker:
    """Drains shards; ``steps`` maps a stage to its step(held) -> rows handled.

    A step handles one batch of the shards held and returns 0 when nothing is due.
    """

    def __init__(
        self,
        database: Database,
        wakes: Wakes,
        steps: Mapping[str, Step],
        clock: Clock,
        *,
        concurrency: int = 2,
        drain_seconds: float = DRAIN_SECONDS,
        rest_seconds: float = FIRST_REST_SECONDS,
    ) -> None:
        self._database = database
        self._wakes = wakes
        self._steps = steps
        self._clock = clock
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds
        self._rests = _Rests(rest_seconds)

    def run(self, stop: threading.Event) -> None:
        """Drain what is woken, in threads, until ``stop`` is set. Blocks."""
        self._wakes.run_worker(self.wake_up, self._concurrency, stop)

    def wake_up(self, stage: str, shard: int) -> None:
        """Answer one wake-up."""
        self.drain(stage, shard)

    def drain(self, stage: str, shard: int) -> int:
        """Work until nothing is due or 2 s are over; return rows handled.

        A stage whose shards are worked on together takes every shard that has work, as
        far as a batch goes; for the others it is the one that was woken. What another
        worker holds is left to it: it looks once more after letting go. Never raises.
        """
        if stage not in self._steps:
            return 0
        handled, end = 0, time.monotonic() + self._drain_seconds
        try:
            ready = self._look_first(stage, shard)
            while ready:
                if time.monotonic() >= end and handled:
                    self._wakes.wake(stage, ready[0][0])
                    break
                chosen = _choose(ready, TOGETHER.get(stage, 1))
                if len(chosen) < len(ready):
                    # Another worker may take the rest meanwhile.
                    self._wakes.wake(stage, ready[len(chosen)][0])
                done = self._work(stage, chosen)
                handled += done
                # Without progress the next look is the ticker's: rows that a stage
                # leaves due on purpose must not spin.
                if not done:
                    break
                ready = self._list_ready(stage, shard)
        except CareCueError as error:
            _log.warning("no look at what is due", stage=stage, error=error.message)
        return handled

    def _look_first(self, stage: str, shard: int) -> list[tuple[int, int]]:
        if stage in TOGETHER:
            return self._list_ready(stage, shard)
        # Woken for what was left under way too, which no due row tells of.
        return self._awake(stage, [(shard, 1)])

    def _list_ready(self, stage: str, shard: int) -> list[tuple[int, int]]:
        """Return the shards to work on, each with how many rows are due in it."""
        now, limit = self._clock.now(), TOGETHER.get(stage)
        with self._database.beside() as tx:
            if limit is None:
                ready = [(shard, 1)] if has_due(tx, stage, shard, now) else []
            else:
                ready = list_ready(tx, stage, now, limit)
        return self._awake(stage, ready)

    def _awake(
        self, stage: str, ready: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        return [item for item in ready if not self._rests.rests(stage, item[0])]

    def _work(self, stage: str, shards: Sequence[int]) -> int:
        """Take the shards and do one step; where several fail, each goes by itself."""
        try:
            longest = FROZEN_AFTER if stage in TOGETHER else FOR_EVER
            holding = hold_several(self._database, stage, shards, longest=longest)
            with holding as held:
                handled = self._steps[stage](held) if held else 0
        except FencedError:
            _log.warning("shard was taken over", stage=stage, shards=shards)
            return 0
        except Exception as error:  # noqa: BLE001 -- here, and nowhere else in the engine
            away = isinstance(error, StorageError) and not error.permanent
            if len(shards) > 1 and not away:
                _log.info("shards go one by one", error=type(error).__name__)
                return sum(self._work(stage, [shard]) for shard in shards)
            self._rests.begin(stage, shards)
            _log.exception("stage failed", stage=stage, shards=shards)
            return 0
        self._rests.end(stage, held)
        return handled


def _choose(ready: Sequence[tuple[int, int]], limit: int) -> list[int]:
    """Return the shards that have waited longest, until they fill a batch."""
    chosen: list[int] = []
    rows = 0
    for shard, count in ready:
        if rows >= limit:
            break
        chosen.append(shard)
        rows += count
    return chosen


class _Rests:
    """Which shards rest after a failure, and until when (monotonic seconds)."""

    def __init__(self, first_seconds: float) -> None:
        self._first = first_seconds
        self._guard = threading.Lock()
        self._until: dict[tuple[str, int], tuple[float, float]] = {}

    def rests(self, stage: str, shard: int) -> bool:
        """Tell whether the shard still rests."""
        with self._guard:
            _, until = self._until.get((stage, shard), (0.0, 0.0))
        return time.monotonic() < until

    def begin(self, stage: str, shards: Iterable[int]) -> None:
        """Let them rest, twice as long as after the failure before."""
        with self._guard:
            for shard in shards:
                last, _ = self._until.get((stage, shard), (self._first / 2, 0.0))
                length = min(last * 2, LONGEST_REST_SECONDS)
                self._until[stage, shard] = (length, time.monotonic() + length)

    def end(self, stage: str, shards: Iterable[int]) -> None:
        """Forget their failures."""
        with self._guard:
            for shard in shards:
                self._until.pop((stage, shard), None)
