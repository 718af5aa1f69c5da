"""The console's application with its ports, and the simulated clock behind it."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from mappings.content import load_shipped
from mappings.endpoint import EndpointKind
from middleware.stages.context import StageContext
from middleware.storage import clock as stored_clock
from middleware.storage import endpoints
from middleware.web.console import ConsolePorts, create_console_app
from middleware.wiring.clockwork import Clockwork
from middleware.wiring.runtime import Runtime
from middleware.wiring.sandbox_control import SandboxControl

LEAPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


def create_console(runtime: Runtime, context: StageContext) -> Flask:
    """Make the console for this process."""
    plans = load_shipped().plans
    return create_console_app(
        ConsolePorts(
            database=runtime.database,
            clock=runtime.clock,
            ids=runtime.ids,
            wake=runtime.wakes.wake,
            plans=tuple(plan.id for plan in plans),
            topics=tuple(sorted({plan.topic for plan in plans})),
            channels=tuple(sorted(context.channels)),
            forward=_Forward(runtime) if runtime.settings.movable_clock else None,
        )
    )


class _Forward:
    """Moves the clock of the product and of the sandbox behind its only endpoint."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __call__(self, leap: str) -> str:
        with self._runtime.database.tx() as tx:
            known = [
                item
                for item in endpoints.list_endpoints(tx)
                if item.kind is EndpointKind.SANDBOX
            ]
            now = self._runtime.clock.now()
            due = stored_clock.next_due(tx, now)
        if not known:
            return "The clock was not moved: no sandbox is connected."
        control = SandboxControl(known[0].fhir_base.removesuffix("/fhir"))
        clockwork = Clockwork(self._runtime, control.set_clock, control.pending)
        if leap == "next":
            if due is None:
                return "Nothing is planned, so the clock was not moved."
            target = due + timedelta(milliseconds=1)
        elif leap in LEAPS:
            target = now + LEAPS[leap]
        else:
            return "The clock was not moved: choose how far."
        clockwork.forward(target, lambda _: None)
        return f"It is now {target:%b} {target.day}, {target:%H:%M} UTC."
