"""The worker: takes a shard, lets its stage work until nothing is due, lets go.

It knows stages only as functions and is the one place that catches broadly: a stage
that raises rests for a while and is woken again by the ticker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from mappings.errors import FencedError
from middleware.ports import Clock
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.storage.shards import has_due, hold

Step = Callable[[int, int], int]

DRAIN_SECONDS = 2.0
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 30.0

_log = structlog.get_logger(__name__)


class Worker:
    """Drains shards; ``steps`` maps a stage to its step(shard, epoch) -> rows handled.

    A step handles one batch and returns 0 when nothing is due.
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
    ) -> None:
        self._database = database
        self._wakes = wakes
        self._steps = steps
        self._clock = clock
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds
        self._rests = _Rests()

    def run(self, stop: threading.Event) -> None:
        """Drain what is woken, in threads, until ``stop`` is set. Blocks."""
        self._wakes.run_worker(self.wake_up, self._concurrency, stop)

    def wake_up(self, stage: str, shard: int) -> None:
        """Answer one wake-up."""
        self.drain(stage, shard)

    def drain(self, stage: str, shard: int) -> int:
        """Work on a shard until nothing is due or 2 s are over; return rows handled.

        Returns 0 at once while another worker holds the shard: that one looks once
        more after letting go. Never raises.
        """
        if stage not in self._steps or self._rests.rests(stage, shard):
            return 0
        try:
            handled = self._drain(stage, shard)
            # Without progress the next look is the ticker's: rows that a stage leaves
            # due on purpose must not spin.
            if handled and self._work_left(stage, shard):
                self._wakes.wake(stage, shard)
        except FencedError:
            _log.warning("shard was taken over", stage=stage, shard=shard)
            return 0
        except Exception:  # noqa: BLE001 -- here, and nowhere else in the engine
            self._rests.begin(stage, shard)
            _log.exception("stage failed", stage=stage, shard=shard)
            return 0
        self._rests.end(stage, shard)
        return handled

    def _drain(self, stage: str, shard: int) -> int:
        step = self._steps[stage]
        handled = 0
        with hold(self._database, stage, shard) as held:
            if held is None:
                return 0
            end = time.monotonic() + self._drain_seconds
            while done := step(shard, held.epoch):
                handled += done
                if time.monotonic() >= end:
                    break
        return handled

    def _work_left(self, stage: str, shard: int) -> bool:
        with self._database.beside() as tx:
            return has_due(tx, stage, shard, self._clock.now())


class _Rests:
    """Which shards rest after a failure, and until when (monotonic seconds)."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._until: dict[tuple[str, int], tuple[float, float]] = {}

    def rests(self, stage: str, shard: int) -> bool:
        """Tell whether the shard still rests."""
        with self._guard:
            _, until = self._until.get((stage, shard), (0.0, 0.0))
        return time.monotonic() < until

    def begin(self, stage: str, shard: int) -> None:
        """Let it rest, twice as long as after the failure before."""
        with self._guard:
            last, _ = self._until.get((stage, shard), (FIRST_REST_SECONDS / 2, 0.0))
            length = min(last * 2, LONGEST_REST_SECONDS)
            self._until[stage, shard] = (length, time.monotonic() + length)

    def end(self, stage: str, shard: int) -> None:
        """Forget its failures."""
        with self._guard:
            self._until.pop((stage, shard), None)
