"""One row at a time: what breaks on one row postpones that row and no other.

It may not decide what postponing means; each stage says that. Faults of the database
and a shard that was taken over end the whole batch instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from mappings.errors import CareCueError, StorageError

R = TypeVar("R")
T = TypeVar("T")

_log = structlog.get_logger(__name__)


def attempt(
    stage: str, run: Callable[[], T], postpone: Callable[[CareCueError], None]
) -> T | None:
    """Return what ``run`` returns; where it fails, ``postpone`` its row with the error.

    Anything that is not ours is a row that no code of ours understands: without this
    it would stop every other patient of its shard, each time anew.
    """
    try:
        return run()
    except StorageError as error:
        if not error.permanent:
            raise
        postpone(error)
    except CareCueError as error:
        postpone(error)
    except Exception as error:  # noqa: BLE001 -- a broken row must not hold up others
        _log.exception("row failed", stage=stage)
        postpone(
            CareCueError(
                f"this row cannot be worked on ({type(error).__name__}); nothing was "
                "sent for it; it is tried again; the log names the place"
            )
        )
    return None


def attempt_together(
    stage: str,
    rows: Sequence[R],
    run: Callable[[Sequence[R]], T],
    postpone: Callable[[R, CareCueError], None],
) -> list[T | None]:
    """Work on rows at once; where that fails, on each alone, and return what came of it.

    ``run`` keeps nothing when it raises, so the row that breaks goes by itself.
    """
    if len(rows) > 1:
        try:
            return [run(rows)]
        except StorageError as error:
            if not error.permanent:
                raise
        except Exception as error:  # noqa: BLE001 -- which row it was shows below
            _log.info("rows go one by one", stage=stage, error=type(error).__name__)
    return [attempt(stage, partial(run, [row]), partial(postpone, row)) for row in rows]
