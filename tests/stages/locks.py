"""Waiting until some session of the database waits for a lock."""

from __future__ import annotations

import threading
import time

from tests.stages.world import World

_WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def wait_for_lock(world: World) -> None:
    """Return when some session waits for a lock."""
    deadline = time.monotonic() + 60
    while world.one(_WAITING) == 0:
        assert time.monotonic() < deadline, "nobody came to the lock"
        threading.Event().wait(0.01)
