"""The benchmark's planned messages: a million that wait, and none, side by side.

Two databases of their own on one server are asked in turns, so that both meet the
same load.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from mappings.endpoint import Endpoint
from middleware.cli.bench_charts import Maker
from middleware.cli.bench_rig import database_on, own_database
from middleware.cli.output import progress
from middleware.settings import read_settings
from middleware.storage import benching, endpoints, events
from middleware.storage.ids import shard_of
from middleware.storage.shards import hold, list_idle_due
from middleware.wiring.pipeline import STEPS, stage_context
from middleware.wiring.runtime import Runtime, open_runtime

# A sweep takes less than a millisecond, a decision a hundred times that.
SWEEPS, DECISIONS = 400, 40
# Planned messages are patients p1_000_000_000 and on; those decided for are not.
MESSAGES_PER_PATIENT = 10


@dataclass
class Store:
    """One database with what waits in it."""

    runtime: Runtime
    decide: Callable[[int], None]


def measure_waiting(
    endpoint: Endpoint, maker: Maker, now: datetime, messages: int
) -> dict[str, Any]:
    """Return what the due sweep and a decision cost with messages waiting and without.

    The median of rounds taken in turns; a decision is the whole step: reading the
    event, deciding, storing what was planned.
    """
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="carecue-bench-"))
        url = stack.enter_context(own_database(Path(home)))
        beside = stack.enter_context(database_on(url, f"carecue_full_{os.getpid()}"))
        empty, full = (
            stack.enter_context(_open(Path(home), where, endpoint, maker, now))
            for where in (url, beside)
        )
        progress(f"{messages} messages are planned")
        with full.runtime.database.tx() as tx:
            benching.plan_messages(
                tx, endpoint.id, messages, messages // MESSAGES_PER_PATIENT or 1, now
            )
        progress(f"{SWEEPS} sweeps and {DECISIONS} decisions of each")
        return {
            "messages": messages,
            "patients": messages // MESSAGES_PER_PATIENT or 1,
            "sweep": _compare(lambda store, _: _sweep(store, now), SWEEPS, empty, full),
            "decision": _compare(
                lambda store, turn: store.decide(turn), DECISIONS, empty, full
            ),
        }


@contextlib.contextmanager
def _open(
    home: Path, url: str, endpoint: Endpoint, maker: Maker, now: datetime
) -> Iterator[Store]:
    settings = read_settings(home=home, database_url=url, secret_key_file=None)
    with open_runtime(settings) as runtime:
        with runtime.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, now)
        context = stage_context(runtime)

        def decide(number: int) -> None:
            turn = maker.make(number)
            shard = shard_of(endpoint.id, turn.event.patient)
            event = replace(turn.event, shard=shard)
            with runtime.database.tx() as tx:
                events.insert_event(
                    tx,
                    event,
                    source="push",
                    inbox_id=None,
                    chart=turn.chart,
                    due_at=now,
                )
            with hold(runtime.database, "decide", shard) as held:
                if held is not None:
                    STEPS["decide"](context, {shard: held.epoch}, now)

        yield Store(runtime, decide)


def _sweep(store: Store, now: datetime) -> None:
    with store.runtime.database.tx() as tx:
        list_idle_due(tx, now)


def _compare(
    work: Callable[[Store, int], None], rounds: int, empty: Store, full: Store
) -> dict[str, float]:
    spent: dict[str, list[float]] = {"empty": [], "full": []}
    for turn in range(rounds):
        for name, store in (("empty", empty), ("full", full)):
            began = perf_counter()
            work(store, turn)
            spent[name].append(perf_counter() - began)
    # The first ones open connections and compile conditions.
    medians = {
        name: statistics.median(times[rounds // 4 :]) for name, times in spent.items()
    }
    return {
        "empty_ms": round(medians["empty"] * 1000, 3),
        "full_ms": round(medians["full"] * 1000, 3),
        "ratio": round(medians["full"] / medians["empty"], 2),
    }
