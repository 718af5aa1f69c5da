"""Free ports for what a test starts."""

from __future__ import annotations

import contextlib
import socket


def free_ports() -> int:
    """Return the first of four neighbouring ports that are free."""
    for first in range(21000, 29000, 4):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + 4):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no four neighbouring ports are free")
