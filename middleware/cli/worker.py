"""``carecue worker``: the stages drained and the metronome kept."""

from __future__ import annotations

import signal
import threading

import click

from mappings.errors import CareCueError
from middleware.cli.output import fail
from middleware.cli.parent import stop_with_parent
from middleware.settings import read_settings
from middleware.wiring.runtime import open_runtime, wait_for_database
from middleware.wiring.working import run_worker


@click.command()
def worker() -> None:
    """Run a worker: it drains the stages and keeps the metronome.

    \b
    Example:
      CARECUE_DATABASE_URL=postgresql://... carecue worker
    """
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stop_with_parent()
    try:
        settings = read_settings()
        if wait_for_database(settings, stop):
            with open_runtime(settings) as runtime:
                run_worker(runtime, stop)
    except CareCueError as error:
        fail(error)
