"""Periodic work at every endpoint, each by itself: a slow one keeps no other waiting.

An endpoint's work is done by one thread of one process at a time, however long it takes
and however often its turn comes; a claim in the database says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from middleware.storage.claims import claim
from middleware.storage.database import Database

T = TypeVar("T")

PLACES = 8
# Who has not ended by then goes on alone, and is passed over until it has.
PATIENCE_SECONDS = 5.0


def work_by_endpoint(
    database: Database,
    work: str,
    endpoint_ids: Iterable[str],
    run: Callable[[str], T],
) -> list[T]:
    """Run the work of each endpoint; return the results of those that ended soon.

    What one of these raised is raised here.
    """
    pool = ThreadPoolExecutor(PLACES, thread_name_prefix=work)
    try:
        begun = [
            pool.submit(partial(_run_alone, database, work, name, run))
            for name in dict.fromkeys(endpoint_ids)
        ]
        ended = wait(begun, PATIENCE_SECONDS).done
    finally:
        pool.shutdown(wait=False)
    return [result for one in ended for result in one.result()]


def _run_alone(
    database: Database, work: str, name: str, run: Callable[[str], T]
) -> list[T]:
    with claim(database, work, name) as ours:
        return [run(name)] if ours else []
