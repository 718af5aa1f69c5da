"""The processes: ``serve``, ``worker``, ``migrate`` and ``sandbox``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from granian import Granian
from granian.constants import Interfaces

from mappings.errors import CareCueError, ConfigurationError
from middleware.cli.output import fail, progress
from middleware.sandbox.app import Options
from middleware.sandbox.server import serve as serve_sandbox
from middleware.settings import environment_of, read_settings
from middleware.storage.database import Database
from middleware.storage.migrate import migrate
from middleware.wiring.runtime import open_runtime
from middleware.wiring.working import run_worker


def stop_with_parent() -> None:
    """End this process when the one that started it does (its end of stdin closes)."""
    if os.environ.get("CARECUE_STOP_WITH_STDIN") != "1":
        return
    os.environ.pop("CARECUE_STOP_WITH_STDIN")

    def watch() -> None:
        while os.read(0, 4096):
            continue
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@click.command()
@click.option("--console-only", is_flag=True, hidden=True)
def serve(console_only: bool) -> None:
    """Run the web process: the public listener, and the console on its own.

    \b
    Example:
      CARECUE_DATABASE_URL=postgresql://... carecue serve
    """
    try:
        settings = read_settings()
        with open_runtime(settings):
            pass
    except CareCueError as error:
        fail(error)
    child = None
    if console_only:
        stop_with_parent()
        _granian("console_app", settings.console_host, settings.console_port)
        return
    child = subprocess.Popen(
        [sys.executable, "-m", "middleware.cli", "serve", "--console-only"],
        env={**environment_of(settings), "CARECUE_STOP_WITH_STDIN": "1"},
        stdin=subprocess.PIPE,
    )
    stop_with_parent()
    try:
        _granian("public_app", settings.listen_host, settings.listen_port)
    finally:
        child.terminate()
        child.wait(10)


def _granian(factory: str, host: str, port: int) -> None:
    Granian(
        f"middleware.wiring.apps:{factory}",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        blocking_threads=4,
        log_enabled=False,
    ).serve()


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
        with open_runtime(read_settings()) as runtime:
            run_worker(runtime, stop)
    except CareCueError as error:
        fail(error)


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database schema to this version.

    \b
    Example:
      CARECUE_DATABASE_URL=postgresql://... carecue migrate
    """
    try:
        settings = read_settings()
        if settings.database_url is None:
            raise ConfigurationError(
                "No database is named: set CARECUE_DATABASE_URL. Nothing was changed."
            )
        database = Database(settings.database_url)
        try:
            applied = migrate(database)
        finally:
            database.close()
    except CareCueError as error:
        fail(error)
    for name in applied:
        progress(f"applied {name}")
    click.echo(f"The schema is up to date ({len(applied)} applied).")


@click.command()
@click.option("--port", type=int, default=8082, help="Port of the EHR (loopback).")
@click.option("--smtp-port", type=int, default=8025, help="Port of the mail sink.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps its state; without it nothing is kept.",
)
@click.option(
    "--load",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with Synthea transaction Bundles to load at first start.",
)
@click.option("--zone", default="America/Los_Angeles", help="Time zone of the clinic.")
@click.option("--start", help="Instant at which a new sandbox's clock begins.")
@click.option("--app-launch-url", help="Launch URL of the app that charts can open.")
def sandbox(
    port: int,
    smtp_port: int,
    data: Path | None,
    load: Path | None,
    zone: str,
    start: str | None,
    app_launch_url: str | None,
) -> None:
    """Run the sandbox EHR alone: FHIR R4, SMART, phones and mailboxes.

    \b
    Example:
      carecue sandbox --port 8082 --load ./synthea
    """
    stop_with_parent()
    serve_sandbox(
        Options(
            base_url=f"http://127.0.0.1:{port}",
            data_dir=data,
            smtp_port=smtp_port,
            app_launch_url=app_launch_url,
            load_dir=load,
            start=datetime.fromisoformat(start) if start else None,
            site_zone=ZoneInfo(zone),
        ),
        port=port,
    )
