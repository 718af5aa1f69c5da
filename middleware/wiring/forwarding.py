"""Forwarding the simulated clock from the console, within a bounded time.

The work is the worker's; this only moves the clocks, waits, and says what came of it.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mappings.endpoint import Endpoint, EndpointKind
from mappings.nudge import REASONS
from middleware.storage import console_reading as reading
from middleware.storage import endpoints, story
from middleware.wiring.clockwork import Clockwork
from middleware.wiring.runtime import Runtime
from middleware.wiring.sandbox_control import SandboxControl

LEAPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
BOUND_SECONDS = 25.0
TICK = "janitor"
TICK_LATE = timedelta(seconds=30)
LOOKS = 20
JUST_AFTER = timedelta(milliseconds=1)


class _OutOfTimeError(Exception):
    """The bound was reached; whatever was begun goes on in the worker."""


class Forward:
    """Moves the clock of the product and of the sandbox behind its first endpoint."""

    def __init__(
        self, runtime: Runtime, *, bound_seconds: float = BOUND_SECONDS
    ) -> None:
        self._runtime = runtime
        self._bound = bound_seconds
        self._one_at_a_time = threading.Lock()

    def __call__(self, leap: str) -> str:
        """Forward to the next message, by an hour or by a day; say what happened.

        Returns within 30 s. Raises CareCueError when the sandbox cannot be asked.
        """
        if leap != "next" and leap not in LEAPS:
            return "The clock was not moved: choose how far."
        if not self._one_at_a_time.acquire(blocking=False):
            return "The clock is being moved already. Look again in a few seconds."
        try:
            return self._forward(leap)
        finally:
            self._one_at_a_time.release()

    def _forward(self, leap: str) -> str:
        endpoint = self._sandbox()
        if endpoint is None:
            return "The clock was not moved: no sandbox is connected."
        begun = self._runtime.clock.now()
        working = self._ticked_since(begun - TICK_LATE)
        deadline = time.monotonic() + self._bound
        clockwork = self._clockwork(endpoint, deadline)
        try:
            if leap == "next":
                moved = self._to_next(clockwork, begun)
            else:
                clockwork.forward(begun + LEAPS[leap], lambda _: None)
                moved = True
            ending = ""
        except _OutOfTimeError:
            moved = True
            ending = " It stopped there to keep this page quick; press again to go on."
        if not moved:
            return "No message is planned, so the clock was not moved."
        if working:
            self._wait_for_turns(deadline)
        return f"{self._now_in(endpoint)} {self._what_came(begun)}{ending}"

    def _sandbox(self) -> Endpoint | None:
        with self._runtime.database.tx() as tx:
            known = endpoints.list_endpoints(tx)
        sandboxes = [item for item in known if item.kind is EndpointKind.SANDBOX]
        return sandboxes[0] if sandboxes else None

    def _clockwork(self, endpoint: Endpoint, deadline: float) -> Clockwork:
        control = SandboxControl(endpoint.fhir_base.removesuffix("/fhir"))

        def pending() -> int:
            if time.monotonic() > deadline:
                raise _OutOfTimeError
            return control.pending()

        return Clockwork(self._runtime, control.set_clock, pending)

    def _to_next(self, clockwork: Clockwork, begun: datetime) -> bool:
        """Go to one planned message after another until one has left or failed."""
        for look in range(LOOKS):
            clockwork.wait_quiet()
            if look and self._left(begun):
                return True
            with self._runtime.database.tx() as tx:
                due = reading.next_planned(tx)
            if due is None:
                return look > 0
            clockwork.forward(due + JUST_AFTER, lambda _: None)
        return True

    def _left(self, begun: datetime) -> bool:
        with self._runtime.database.tx() as tx:
            ended = reading.list_ended_since(tx, begun)
        return any(state in ("sent", "failed") for state, _, _ in ended)

    def _wait_for_turns(self, deadline: float) -> None:
        """Let the worker tick and read the EHR at the new time, so that pages see it."""
        now, pause = self._runtime.clock.now(), threading.Event()
        every = timedelta(seconds=self._runtime.settings.poll_seconds)
        while time.monotonic() < deadline:
            if self._ticked_since(now - TICK_LATE) and self._polled_since(now - every):
                return
            pause.wait(0.05)

    def _ticked_since(self, instant: datetime) -> bool:
        with self._runtime.database.tx() as tx:
            last = story.last_finished(tx, TICK)
        return last is not None and last > instant

    def _polled_since(self, instant: datetime) -> bool:
        with self._runtime.database.tx() as tx:
            last = story.oldest_poll(tx)
        return last is not None and last > instant

    def _now_in(self, endpoint: Endpoint) -> str:
        local = self._runtime.clock.now().astimezone(ZoneInfo(endpoint.site.zone))
        hour = local.hour % 12 or 12
        return f"It is now {local:%a, %b} {local.day}, {hour}:{local:%M %p %Z}."

    def _what_came(self, begun: datetime) -> str:
        with self._runtime.database.tx() as tx:
            ended = reading.list_ended_since(tx, begun)
            due = reading.next_planned(tx)
        told = [_tell(state, reason, total) for state, reason, total in ended]
        text = " ".join(told) or "No message was due."
        return text if due or ended else f"{text} None is planned."


def _tell(state: str, reason: str, total: int) -> str:
    noun = "message was" if total == 1 else "messages were"
    if state == "sent":
        return f"{total} {noun} sent."
    known = REASONS.get(reason)
    return f"{total} {noun} {state}: {known.sentence if known else reason}"
