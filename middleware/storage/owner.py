"""Who owns the embedded server, and what a killed owner left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from mappings.errors import StorageError


class OwnerLock:
    """A lock on a file for the life of this process; the system frees it at its end.

    It belongs to the process (not to children that it forks).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A bare descriptor: a file object would let go when it is collected.
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock or raise StorageError naming the process that has it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise StorageError(
                f"{self._path.parent} is in use by another CareCue (process {holder}); "
                "nothing was changed; stop that one, or set CARECUE_HOME or "
                "CARECUE_DATABASE_URL",
                permanent=True,
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def clear_stale_pid(data: Path) -> None:
    """Remove ``postmaster.pid`` unless it names a server of these data that runs.

    After a kill or a reboot its process id may be gone, belong to a stranger, or be
    that of a dead process which nobody has waited for (in a container without init);
    then the lock beside its socket names it too.
    """
    file = data / "postmaster.pid"
    if file.exists() and not _is_our_server(file, data):
        file.unlink(missing_ok=True)
        for lock in data.glob(".s.PGSQL.*.lock"):
            lock.unlink(missing_ok=True)


def _is_our_server(file: Path, data: Path) -> bool:
    first = file.read_text().splitlines()[:1]
    if not first or not first[0].strip().isdigit():
        return False
    try:
        command = psutil.Process(int(first[0])).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return str(data) in command and "postgres" in Path(command[0]).name
