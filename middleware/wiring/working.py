"""A worker process: the stages drained, the metronome kept, what time asks for done."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import structlog

from middleware.clock import SystemClock
from middleware.stages import patients
from middleware.stages.agreeing import close_agreed
from middleware.stages.context import StageContext
from middleware.stages.control import control_subscriptions
from middleware.stages.escalating import escalate_tasks, probe_escalation
from middleware.stages.orphans import wake_orphans
from middleware.stages.reconcile import poll_endpoints
from middleware.stages.recover import recover_subscriptions
from middleware.stages.settled import read_tasks
from middleware.stages.track import track_subscriptions
from middleware.storage import endpoints, login_links
from middleware.storage.gathering import GatheredWakes
from middleware.storage.schedule import CONTENT
from middleware.ticker import Periodic, Ticker
from middleware.wiring.generations import check_generation, note_generation
from middleware.wiring.known_plans import KnownPlans
from middleware.wiring.listening import Listeners, socket_ports
from middleware.wiring.pipeline import STEPS, bind_step, stage_context
from middleware.wiring.rolling_out import pause_unwanted
from middleware.wiring.runtime import Runtime
from middleware.wiring.stewarding import forget_old
from middleware.wiring.subscribing import control_ports
from middleware.worker import Worker

_log = structlog.get_logger(__name__)

CONTROL_EVERY = timedelta(seconds=5)
TRACK_EVERY = timedelta(seconds=1)
RECOVER_EVERY = timedelta(seconds=2)
ORPHANS_EVERY = timedelta(seconds=2)
GENERATION_EVERY = timedelta(minutes=1)
RETENTION_EVERY = timedelta(days=1)
ESCALATE_EVERY = timedelta(seconds=10)
PROBE_EVERY = timedelta(hours=1)
OBJECTIONS_EVERY = timedelta(minutes=1)
CONTENT_EVERY = timedelta(seconds=10)


def run_worker(runtime: Runtime, stop: threading.Event) -> None:
    """Drain the stages and keep the metronome until ``stop`` is set.

    A database that is older than this machine remembers was restored: every message
    is held before the first one could go out.
    """
    check_generation(runtime)
    note_generation(runtime)
    wakes = GatheredWakes(runtime.wakes.wake_all)
    context = replace(stage_context(runtime), wake=wakes.wake)
    worker = Worker(
        runtime.database,
        runtime.wakes,
        {name: bind_step(step, context) for name, step in STEPS.items()},
        runtime.clock,
        concurrency=runtime.settings.worker_concurrency,
    )
    _require_content(context)
    listeners = Listeners(socket_ports(context))
    ticker = Ticker(
        runtime.database, runtime.wakes, runtime.clock, _periodic(runtime, context)
    )
    ticker.start()
    listeners.start()
    try:
        worker.run(stop)
    finally:
        ticker.stop()
        listeners.stop()
        wakes.close()


def _periodic(runtime: Runtime, context: StageContext) -> tuple[Periodic, ...]:
    """Return what is done in turns, by whichever worker comes first."""
    poll_every = timedelta(seconds=runtime.settings.poll_seconds)
    ports = control_ports(runtime, context)
    known = KnownPlans(runtime.database, runtime.settings.content_dir)
    return (
        Periodic("reconcile", poll_every, lambda: poll_endpoints(context)),
        Periodic("track", TRACK_EVERY, lambda: _track(context)),
        Periodic("control", CONTROL_EVERY, lambda: control_subscriptions(ports)),
        Periodic("recover", RECOVER_EVERY, lambda: _recover(context)),
        Periodic("patients", patients.EVERY, lambda: _look_at_patients(context)),
        Periodic("tasks", poll_every, lambda: _close_tasks(context)),
        Periodic("orphans", ORPHANS_EVERY, lambda: wake_orphans(context)),
        Periodic("generation", GENERATION_EVERY, lambda: _note(runtime)),
        Periodic("objections", OBJECTIONS_EVERY, lambda: _pause(runtime)),
        Periodic("escalate", ESCALATE_EVERY, lambda: _escalate(context)),
        Periodic(CONTENT, CONTENT_EVERY, known.check),
        Periodic("probe", PROBE_EVERY, lambda: _probe(context)),
        Periodic("retention", RETENTION_EVERY, lambda: _forget(runtime)),
    )


def _require_content(context: StageContext) -> None:
    """Read every site's content; raises ContentError where it is not usable."""
    with context.database.tx() as tx:
        known = endpoints.list_endpoints(tx)
    for endpoint in known:
        context.library(endpoint)


def _track(context: StageContext) -> None:
    track_subscriptions(context)


def _recover(context: StageContext) -> None:
    recover_subscriptions(context)


def _look_at_patients(context: StageContext) -> None:
    patients.poll_patients(context)


def _close_tasks(context: StageContext) -> None:
    read_tasks(context)
    close_agreed(context)


def _note(runtime: Runtime) -> None:
    note_generation(runtime)


def _escalate(context: StageContext) -> None:
    escalate_tasks(context)


def _probe(context: StageContext) -> None:
    probe_escalation(context)


def _pause(runtime: Runtime) -> None:
    for paused in pause_unwanted(runtime):
        _log.warning("plan paused", plan=paused.plan, reason=paused.reason)


def _forget(runtime: Runtime) -> None:
    forget_old(runtime)
    with runtime.database.tx() as tx:
        login_links.delete_expired_logins(tx, SystemClock().now())
