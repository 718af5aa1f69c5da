"""Fast-forward: jump to the next due instant, drain until quiet, and repeat.

Only where the clock may be moved at all; the sandbox's clock goes along over HTTP.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from mappings.endpoint import EndpointKind
from mappings.errors import CareCueError, ConfigurationError
from middleware.clock import SystemClock
from middleware.storage import clock, endpoints, shards, story
from middleware.wiring.runtime import Runtime

PAUSE = 0.015
PATIENCE = 30.0


class Clockwork:
    """Moves the product's clock and, where given, the sandbox's with it.

    ``set_other`` moves the other clock, ``pending`` tells how much the other side has
    still to send.
    """

    def __init__(
        self,
        runtime: Runtime,
        set_other: Callable[[datetime], None],
        pending: Callable[[], int],
    ) -> None:
        self._runtime = runtime
        self._set_other = set_other
        self._pending = pending
        self._pause = threading.Event()

    def set(self, instant: datetime) -> None:
        """Set both clocks; raises ConfigurationError unless all are sandboxes."""
        with self._runtime.database.tx() as tx:
            kinds = {item.kind for item in endpoints.list_endpoints(tx)}
            if not self._runtime.settings.movable_clock or kinds - {
                EndpointKind.SANDBOX
            }:
                raise ConfigurationError(
                    "The clock can be moved only where CARECUE_MOVABLE_CLOCK is set "
                    "and every endpoint is a sandbox. Nothing was moved."
                )
        self._set_other(instant)
        with self._runtime.database.tx() as tx:
            clock.move_clock(tx, instant - SystemClock().now())

    def forward(self, target: datetime, on_jump: Callable[[datetime], None]) -> None:
        """Let time pass until ``target``, stopping wherever something is due."""
        while True:
            self.wait_quiet()
            now = self._runtime.clock.now()
            with self._runtime.database.tx() as tx:
                due = clock.next_due(tx, now)
            if now >= target:
                return
            instant = min(target, max(due, now)) if due else target
            self.set(instant + timedelta(milliseconds=1))
            on_jump(instant)
            self._wake()

    def poll(self) -> None:
        """Let the reconciliation poll come round once, as time would."""
        every = timedelta(seconds=self._runtime.settings.poll_seconds)
        now = self._runtime.clock.now()
        self.set(now + every + timedelta(seconds=1))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with self._runtime.database.tx() as tx:
                last = story.oldest_poll(tx)
            if last is not None and last > now:
                self.wait_quiet()
                return
            self._pause.wait(PAUSE)
        raise CareCueError(
            "The reconciliation poll did not run. Nothing is lost; check the worker."
        )

    def wait_quiet(self) -> None:
        """Return when nothing is due anywhere; raises CareCueError after 30 s."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._pending() == 0 and self._idle():
                return
            self._pause.wait(PAUSE)
        raise CareCueError(
            "Work was still due after 30 s. Nothing is lost; check the worker's log."
        )

    def _idle(self) -> bool:
        now = self._runtime.clock.now()
        with self._runtime.database.tx() as tx:
            return story.count_due(tx, now) == 0 and self._pending() == 0

    def _wake(self) -> None:
        now = self._runtime.clock.now()
        with self._runtime.database.tx() as tx:
            due = shards.list_idle_due(tx, now)
        self._runtime.wakes.wake_all(due)
