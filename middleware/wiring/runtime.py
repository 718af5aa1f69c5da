"""What every process of ours opens first, and closes last.

Nothing here decides; it only makes the parts that settings describe.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from mappings.errors import CareCueError, ConfigurationError, StorageError
from middleware.clock import MovableClock, SystemClock
from middleware.fhir.keys import SigningKeys
from middleware.log import configure_logging
from middleware.ports import Clock, Ids, RandomIds
from middleware.sealing import Sealer, create_key_file, read_keys
from middleware.settings import Settings
from middleware.stages.lanes import PLACES
from middleware.storage import clock as stored_clock
from middleware.storage import marks
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.storage.migrate import check_schema

KEYS_MARK = "signing-keys"
AGAIN_SECONDS = 1.0
SAID_EVERY = 30

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    """The open parts of one process."""

    settings: Settings
    database: Database
    wakes: Wakes
    clock: Clock
    ids: Ids
    sealer: Sealer
    # What was opened for an application of this process; it is closed first.
    opened: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Close every connection; nothing of it is usable afterwards."""
        self.opened.close()
        self.wakes.close()
        self.database.close()


@contextmanager
def open_runtime(settings: Settings, *, checked: bool = True) -> Iterator[Runtime]:
    """Open database, queue, clock and keys; close them at the end.

    Raises ConfigurationError without a database URL, StorageError when the schema is
    not the one that this version needs.
    """
    runtime = make_runtime(settings, checked=checked)
    try:
        yield runtime
    finally:
        runtime.close()


def make_runtime(settings: Settings, *, checked: bool = True) -> Runtime:
    """Open the parts for the life of the process."""
    configure_logging(settings.log_level)
    if settings.database_url is None:
        raise ConfigurationError(
            "No database is named. Set CARECUE_DATABASE_URL to a PostgreSQL 15 or "
            "newer, or run `carecue demo`, which brings its own."
        )
    path = settings.secret_key_path
    if not path.exists():
        create_key_file(path)
    # Threads hold a connection for moments only: one for each place of a lane is ample.
    pool_size = settings.worker_concurrency * 3 + 4 + PLACES
    database = Database(settings.database_url, pool_size=pool_size)
    try:
        if checked:
            check_schema(database)
    except CareCueError:
        database.close()
        raise
    return Runtime(
        settings=settings,
        database=database,
        wakes=Wakes(settings.database_url),
        clock=_clock(settings, database),
        ids=RandomIds(),
        sealer=Sealer(read_keys(path)),
    )


def wait_for_database(settings: Settings, stop: threading.Event) -> bool:
    """Return when the database can be used; False when ``stop`` was set before.

    What restarts a machine may start us before the database, and one that is upgraded
    comes back. Raises CareCueError for what no waiting mends: a schema or server that
    this version cannot use.
    """
    tries = 0
    while not stop.is_set():
        try:
            with open_runtime(settings):
                return True
        except StorageError as error:
            if error.permanent:
                raise
            if tries % SAID_EVERY == 0:
                _log.warning("waiting for the database", error=error.message)
        tries += 1
        stop.wait(AGAIN_SECONDS)
    return False


def database_fault(runtime: Runtime) -> str | None:
    """Return why the database cannot be used now, or None; answers at once.

    A connection of its own is opened: the pool would wait for a server that is gone.
    """
    try:
        runtime.database.listen_connection().close()
    except CareCueError as error:
        return error.message
    return None


def _clock(settings: Settings, database: Database) -> Clock:
    if not settings.movable_clock:
        return SystemClock()

    def offset() -> timedelta:
        with database.beside() as tx:
            return stored_clock.read_offset(tx)

    return MovableClock(offset)


def signing_keys(runtime: Runtime) -> SigningKeys:
    """Return our signing keys, made and sealed into the database at first use."""
    with runtime.database.tx() as tx:
        sealed = marks.read_mark(tx, KEYS_MARK)
        if sealed is None:
            fresh = runtime.sealer.seal(SigningKeys.generate().dump()).hex()
            sealed = marks.add_mark(tx, KEYS_MARK, fresh)
    return SigningKeys.load(runtime.sealer.open(bytes.fromhex(str(sealed))))
