"""The event loop that a procrastinate worker lives in, hidden behind a blocking call.

procrastinate's worker is asynchronous; everything of ours is not. The loop gets a
thread pool as large as its concurrency, so that drains never wait for a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import procrastinate

CHECK_SECONDS = 0.1


def run_until(
    stop: threading.Event,
    make_app: Callable[[], procrastinate.App],
    options: dict[str, Any],
    threads: int,
) -> None:
    """Run one worker until ``stop`` is set or it fails; running jobs are finished."""
    asyncio.run(_run(stop, make_app(), options, threads))


async def _run(
    stop: threading.Event,
    app: procrastinate.App,
    options: dict[str, Any],
    threads: int,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(
        ThreadPoolExecutor(threads + 2, thread_name_prefix="drain")
    )
    worker = asyncio.create_task(_work(app, options))
    while not stop.is_set() and not worker.done():
        await asyncio.wait([worker], timeout=CHECK_SECONDS)
    if not worker.done():
        worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def _work(app: procrastinate.App, options: dict[str, Any]) -> None:
    async with app.open_async():
        await app.run_worker_async(**options)
