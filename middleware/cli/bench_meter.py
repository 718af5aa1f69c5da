"""What processes cost: CPU seconds and memory, read from the system's own counts."""

from __future__ import annotations

import contextlib

import psutil  # type: ignore[import-untyped]


class Meter:
    """CPU and memory of one process and all that it started."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """Return user and system time so far, of ended children too."""
        own = self._root.cpu_times()
        used = float(own.children_user + own.children_system)
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used += float(times.user + times.system)
        return used

    def largest_megabytes(self) -> float:
        """Return the resident memory of the largest process."""
        largest = max(int(process.memory_info().rss) for process in self._tree())
        return round(largest / 1_000_000, 1)

    def _tree(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


def postmaster_meter(backend_pid: int | None) -> Meter | None:
    """Return the meter of a local server by one of its backends; None elsewhere."""
    try:
        parent = psutil.Process(backend_pid).parent() if backend_pid else None
    except psutil.Error:
        return None
    if parent is None or "postgres" not in parent.name():
        return None
    return Meter(parent.pid)
