"""The web process and the schema: ``serve`` and ``migrate``."""

from __future__ import annotations

import subprocess
import sys
import threading

import click
from granian import Granian
from granian.constants import Interfaces

from mappings.errors import CareCueError, ConfigurationError
from middleware.cli.output import fail, progress
from middleware.cli.parent import stop_with_parent
from middleware.settings import environment_of, read_settings
from middleware.storage.database import Database
from middleware.storage.migrate import migrate
from middleware.wiring.runtime import wait_for_database
from subscriptions.reading import READERS

# A body that never ends holds the thread that answered it; there are more threads than
# such bodies are read. They are made when they are needed.
THREADS = READERS + 32
# A process that was told to end while it began may never notice. Twice this is less
# than what supervisors wait before they kill, and more than any answer takes.
END_SECONDS = 5


@click.command()
@click.option("--console-only", is_flag=True, hidden=True)
@click.option("--floors", is_flag=True, hidden=True)  # of `carecue bench`
def serve(console_only: bool, floors: bool) -> None:
    """Run the web process: the public listener, and the console on its own.

    \b
    Example:
      CARECUE_DATABASE_URL=postgresql://... carecue serve
    """
    stop_with_parent()
    try:
        settings = read_settings()
        # A signal ends the process here: nothing is open yet.
        wait_for_database(settings, threading.Event())
    except CareCueError as error:
        fail(error)
    if console_only:
        host, port = settings.console_host, settings.console_port
        _granian("middleware.wiring.apps:console_app", host, port)
        return
    child = subprocess.Popen(
        [sys.executable, "-m", "middleware.cli", "serve", "--console-only"],
        env={**environment_of(settings), "CARECUE_STOP_WITH_STDIN": "1"},
        stdin=subprocess.PIPE,
    )
    public = "middleware.wiring.apps:public_app"
    if floors:
        public = "middleware.wiring.benching:floored_app"
    try:
        _granian(public, settings.listen_host, settings.listen_port)
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_SECONDS + 2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _granian(factory: str, host: str, port: int) -> None:
    Granian(
        factory,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        blocking_threads=THREADS,
        workers_kill_timeout=END_SECONDS,
        log_enabled=False,
    ).serve()


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
