"""Free ports for what a test starts."""

from __future__ import annotations

import contextlib
import os
import socket

# Each process of a run looks in a place of its own: a port is free until it is used.
SPAN = 1000


def free_ports() -> int:
    """Return the first of four neighbouring ports that are free."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    lowest = 21000 + SPAN * (process % 8)
    for first in range(lowest, lowest + SPAN, 4):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 4):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no four neighbouring ports are free")
