"""``carecue bench``: what this machine does, beside floors of the same run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.bench_decide import decide
from middleware.cli.bench_deliver import deliver
from middleware.cli.bench_figures import Figures, cheapest
from middleware.cli.bench_launch import far, launch
from middleware.cli.bench_options import as_json, real, whole
from middleware.cli.bench_pipeline import ehr, pipeline
from middleware.cli.bench_rig import HOOK, Rig, open_rig
from middleware.cli.output import fail, progress

MOST_PER_SECOND = 20_000
BURST_SECONDS = 120.0
WARM_UP = 200
PARSE, NOTHING = "/floor/parse", "/floor/nothing"


@click.group()
def bench() -> None:
    """Measure on this machine; nothing of an installation is touched."""


@bench.command()
@as_json
@real("--seconds", 0.1, 60, 3.0, "Length of each single measurement.")
@whole(
    "--rounds",
    1,
    20,
    3,
    "How often each is measured; the round with the least CPU counts.",
)
@whole("--connections", 1, 256, 16, "Keep-alive connections of the sender.")
@whole("--burst", 0, 200_000, 0, "Also send so many as fast as they are taken.")
def ingest(
    as_json: bool, seconds: float, rounds: int, connections: int, burst: int
) -> None:
    """Load a real `carecue serve` of its own and print what taking one in costs.

    \b
    Examples:
      carecue bench ingest
      carecue bench ingest --json --seconds 2 --burst 50000
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix="carecue-bench-") as folder,
            open_rig(Path(folder), connections) as rig,
        ):
            result = _measure(rig, seconds, rounds, burst)
    except CareCueError as error:
        fail(error)
    _print(result, as_json)
    if result["missing"] or result["doubled"] or result["refused"]:
        progress("did not hold: every notification answered 200, stored exactly once")
        raise SystemExit(1)


def _measure(rig: Rig, seconds: float, rounds: int, burst: int) -> dict[str, Any]:
    """Measure both sizes and, if wanted, the burst; then look for every row."""
    server = rig.server
    small = _measure_size(rig, "3kb", NOTHING, seconds, rounds)
    large = _measure_size(rig, "60kb", PARSE, seconds, rounds)
    taken = None
    if burst:
        progress(f"3kb: a burst of {burst}")
        taken = rig.post(HOOK, "3kb", BURST_SECONDS, burst)
    stored, missing, doubled = rig.count_stored()
    return {
        **small,
        "large": large,
        "burst": taken.plain() if taken else None,
        "accepted": len(rig.accepted),
        "stored": stored,
        "missing": missing,
        "doubled": doubled,
        "refused": rig.refused,
        "statuses": rig.statuses,
        "web_process_mb": rig.web.largest_megabytes(),
        "postgresql": server.version,
        "fsync": server.fsync,
        "synchronous_commit": server.synchronous_commit,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _measure_size(
    rig: Rig, size: str, floor: str, seconds: float, rounds: int
) -> dict[str, Any]:
    """Measure the hook and both floors in turns, so that all meet the same load."""
    measures: dict[str, Callable[[], Figures]] = {
        "floor_route": lambda: rig.post(floor, size, seconds, most),
        "hook": lambda: rig.post(HOOK, size, seconds, most),
        "floor_insert": lambda: rig.insert(size, seconds),
    }
    most = int(seconds * MOST_PER_SECOND)
    for path in (floor, HOOK):
        rig.post(path, size, seconds, WARM_UP)
    found: dict[str, list[Figures]] = {name: [] for name in measures}
    for turn in range(rounds):
        for name, measure in measures.items():
            progress(f"{size}: round {turn + 1} of {rounds}, {name}")
            found[name].append(measure())
    hook, route, insert = (
        cheapest(found[name]) for name in ("hook", "floor_route", "floor_insert")
    )
    return {
        "bytes": rig.length(size),
        **hook.plain(),
        "floors": {"route": route.plain(), "insert": insert.plain()},
        "cpu_to_route": round(hook.cpu_s_per_1000 / (route.cpu_s_per_1000 or 1), 2),
        "cpu_to_insert": round(hook.cpu_s_per_1000 / (insert.cpu_s_per_1000 or 1), 2),
    }


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(result))
        return
    click.echo(
        f"PostgreSQL {result['postgresql']}, fsync {result['fsync']}, "
        f"synchronous_commit {result['synchronous_commit']}, {result['cpus']} CPUs, "
        f"load average {result['load_average']}"
    )
    click.echo(
        f"{'':24}{'per s':>9}{'p50 ms':>9}{'p95':>8}{'p99':>8}{'CPU s/1000':>12}"
    )
    for part in (result, result["large"]):
        size = f"{part['bytes']} bytes"
        _print_row(f"{size}, hook", part)
        _print_row("  floor: route", part["floors"]["route"])
        _print_row("  floor: insert", part["floors"]["insert"])
        click.echo(
            f"  CPU {part['cpu_to_route']} x the route, "
            f"{part['cpu_to_insert']} x the insert; web process "
            f"{part['process_cpu_s_per_1000']}, PostgreSQL "
            f"{part['postgresql_cpu_s_per_1000']}, generator apart "
            f"{part['generator_cpu_s_per_1000']}"
        )
    if result["burst"]:
        _print_row("burst", result["burst"])
    click.echo(
        f"answered 200: {result['accepted']}, stored once: {result['stored']}, "
        f"missing: {result['missing']}, doubled: {result['doubled']}, "
        f"refused: {result['refused']}; web process {result['web_process_mb']} MB"
    )


def _print_row(name: str, figures: dict[str, Any]) -> None:
    click.echo(
        f"{name:24}{figures['requests_per_second']:>9.0f}{figures['p50_ms']:>9.2f}"
        f"{figures['p95_ms']:>8.2f}{figures['p99_ms']:>8.2f}"
        f"{figures['cpu_s_per_1000']:>12.3f}"
    )


bench.add_command(pipeline)
bench.add_command(decide)
bench.add_command(deliver)
bench.add_command(ehr)
bench.add_command(launch)
bench.add_command(far)
