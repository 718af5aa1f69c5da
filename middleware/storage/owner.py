"""Who owns the embedded server, and what a killed owner left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]

from mappings.errors import StorageError


class OwnerLock:
    """A lock on a file for the life of this process; the system frees it at its end.

    It belongs to the process (not to children that it forks).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock or raise StorageError naming the process that has it."""
        file = self._path.open("a+")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise StorageError(
                f"{self._path.parent} is in use by another CareCue (process {holder}); "
                "nothing was changed; stop that one, or set CARECUE_HOME or "
                "CARECUE_DATABASE_URL",
                permanent=True,
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def clear_stale_pid(data: Path) -> None:
    """Remove ``postmaster.pid`` unless it names a server of these data that runs.

    After a kill or a reboot its process id may be gone or belong to a stranger.
    """
    file = data / "postmaster.pid"
    if file.exists() and not _is_our_server(file, data):
        file.unlink(missing_ok=True)


def _is_our_server(file: Path, data: Path) -> bool:
    first = file.read_text().splitlines()[:1]
    if not first or not first[0].strip().isdigit():
        return False
    try:
        command = psutil.Process(int(first[0])).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return str(data) in command and "postgres" in Path(command[0]).name
