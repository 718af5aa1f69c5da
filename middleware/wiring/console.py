"""The console's application with its ports."""

from __future__ import annotations

from flask import Flask

from middleware.clock import SystemClock
from middleware.stages.context import StageContext
from middleware.web.console import create_console_app
from middleware.web.console_ports import ConsolePorts
from middleware.wiring.forwarding import Forward
from middleware.wiring.known_plans import KnownPlans
from middleware.wiring.runtime import Runtime, database_fault


def create_console(runtime: Runtime, context: StageContext) -> Flask:
    """Make the console for this process."""
    known = KnownPlans(runtime.database, runtime.settings.content_dir)
    return create_console_app(
        ConsolePorts(
            database=runtime.database,
            clock=runtime.clock,
            wall=SystemClock(),
            ids=runtime.ids,
            wake=runtime.wakes.wake,
            host=runtime.settings.console_host,
            read_plans=lambda: known.look().plans,
            content_fault=lambda: known.look().fault,
            channels=tuple(sorted(context.channels)),
            ready=lambda: database_fault(runtime),
            forward=Forward(runtime) if runtime.settings.movable_clock else None,
        )
    )
