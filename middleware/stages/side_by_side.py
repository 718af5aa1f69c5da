"""Queues worked on side by side, each in its own order, as far as their lanes allow.

It knows nothing of what the items are. A lane that is full leaves its items where they
are, for the next step, and the others go on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from middleware.stages.lanes import Lanes, Place

T = TypeVar("T")
Running = dict["Future[bool]", "deque[T]"]

# After this nothing new begins, so that no slow lane keeps a shard for long.
BEGIN_SECONDS = 2.0


def work_side_by_side(
    lanes: Lanes,
    queues: Iterable[Iterable[T]],
    lane_of: Callable[[T], str],
    work: Callable[[T, Place], bool],
) -> int:
    """Work on the queues until they are empty or cannot go on; return items handled.

    ``work`` returns False to leave the rest of its queue for later. What it raises is
    raised here, after those under way have come to their end and nothing new began.
    """
    waiting = [deque(queue) for queue in queues]
    lane_count = len({lane_of(item) for queue in waiting for item in queue})
    until = time.monotonic() + BEGIN_SECONDS
    running: Running[T] = {}
    faults: list[BaseException] = []
    handled = 0
    with ThreadPoolExecutor(max(1, lanes.places * lane_count)) as pool:
        while True:
            if not faults and time.monotonic() < until:
                _begin(pool, lanes, waiting, running, lane_of, work)
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                queue = running.pop(done)
                error = done.exception()
                if error is not None:
                    faults.append(error)
                    continue
                handled += 1
                if done.result() and queue:
                    waiting.append(queue)
    if faults:
        raise faults[0]
    return handled


def _begin(
    pool: ThreadPoolExecutor,
    lanes: Lanes,
    waiting: list[deque[T]],
    running: Running[T],
    lane_of: Callable[[T], str],
    work: Callable[[T, Place], bool],
) -> None:
    """Begin the first item of every queue whose lane has a place."""
    full: set[str] = set()
    left = []
    for queue in waiting:
        name = lane_of(queue[0])
        place = lanes.enter(name) if name not in full else None
        if place is None:
            full.add(name)
            left.append(queue)
            continue
        running[pool.submit(_run, work, queue.popleft(), place)] = queue
    waiting[:] = left


def _run(work: Callable[[T, Place], bool], item: T, place: Place) -> bool:
    try:
        return work(item, place)
    finally:
        place.leave()
