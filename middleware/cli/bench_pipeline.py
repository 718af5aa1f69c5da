"""``carecue bench pipeline``: from a notification to its planned messages, measured."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.bench_ehr import serve as serve_ehr
from middleware.cli.bench_figures import percentile
from middleware.cli.bench_line import (
    EVENTS_PER_NOTIFICATION,
    Line,
    Passage,
    open_line,
)
from middleware.cli.bench_options import as_json, real, whole
from middleware.cli.output import fail, progress

WARM_UP = 100
# A burst is given up when less than this many events a second are worked off.
LEAST_PER_SECOND = 10.0
CONNECTIONS = 8


@click.command()
@as_json
@real("--rate", 1, 1000, 100.0, "Events a second of the paced part.")
@real("--seconds", 1, 600, 20.0, "Length of the paced part.")
@whole(
    "--burst",
    0,
    200_000,
    2_000,
    "Then so many notifications as fast as they are taken, worked off to the end.",
)
@whole("--workers", 1, 16, 2, "Worker processes.")
def pipeline(
    as_json: bool, rate: float, seconds: float, burst: int, workers: int
) -> None:
    """Load web process, workers and database with an EHR beside them; look for every row.

    \b
    Examples:
      carecue bench pipeline
      carecue bench pipeline --json --rate 100 --seconds 60 --burst 50000
    """
    paced = max(round(rate * seconds / EVENTS_PER_NOTIFICATION), 1)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="carecue-bench-") as folder,
            open_line(
                Path(folder), CONNECTIONS, workers, WARM_UP + paced + burst
            ) as line,
        ):
            result = _measure(line, rate, paced, burst)
    except CareCueError as error:
        fail(error)
    result["workers"] = workers
    _print(result, as_json)
    if any(result[name] for name in ("wrong", "refused", "waiting", "dead")):
        progress("did not hold: every notification answered 200, planned exactly once")
        raise SystemExit(1)


@click.command()
@click.argument("port", type=int)
@click.option("--later", is_flag=True, help="Its stays ended a day ago, not just now.")
def ehr(port: int, later: bool) -> None:
    """Serve the benchmark's EHR alone, on this port of this machine.

    \b
    Example:
      carecue bench ehr 8085
    """
    serve_ehr(port, later=later)


def _measure(line: Line, rate: float, paced: int, burst: int) -> dict[str, Any]:
    progress(f"warming up: {WARM_UP} notifications")
    line.run(WARM_UP, 0, 120)
    per_second = rate / EVENTS_PER_NOTIFICATION
    progress(f"{paced} notifications, {per_second:.0f} a second")
    result = _figures(line.run(paced, per_second, paced / per_second * 3 + 60))
    worked = None
    if burst:
        progress(f"a burst of {burst}")
        worked = _figures(line.run(burst, 0, burst / LEAST_PER_SECOND + 60))
    waiting, dead = line.count_open()
    wrong = line.list_wrong()
    return {
        "rate": rate,
        **result,
        "burst": worked,
        "answered": len(line.rig.accepted),
        "wrong": len(wrong),
        "first_wrong": line.describe(wrong[0]) if wrong else None,
        "refused": line.rig.refused,
        "statuses": line.rig.statuses,
        "waiting": waiting,
        "dead": dead,
        "postgresql": line.rig.server.version,
        "fsync": line.rig.server.fsync,
        "synchronous_commit": line.rig.server.synchronous_commit,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _figures(passage: Passage) -> dict[str, Any]:
    events = max(passage.events, 1)
    ordered = sorted(passage.latencies)
    cpu = {
        name: round(used * 1000 / events, 3)
        for name, used in passage.cpu_seconds.items()
    }
    return {
        "notifications": passage.outcome.sent,
        "events": passage.events,
        "seconds": round(passage.seconds, 1),
        "taken_per_second": round(passage.outcome.sent / passage.outcome.seconds, 1),
        "events_per_second": round(events / passage.seconds, 1),
        **{
            f"p{rank}_ms": percentile(ordered, rank) for rank in (50, 95, 99) if ordered
        },
        "cpu_ms_per_event": {**cpu, "all": round(sum(cpu.values()), 3)},
    }


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(result))
        return
    click.echo(
        f"PostgreSQL {result['postgresql']}, fsync {result['fsync']}, "
        f"synchronous_commit {result['synchronous_commit']}, {result['cpus']} CPUs, "
        f"{result['workers']} workers, load average {result['load_average']}"
    )
    click.echo(
        f"{result['rate']:.0f} events a second asked: p50 {result['p50_ms']:.0f} ms, "
        f"p95 {result['p95_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms from the turn of "
        "a notification to its planned messages"
    )
    _print_part("paced", result)
    if result["burst"]:
        _print_part("burst", result["burst"])
    click.echo(
        f"answered 200: {result['answered']}, not planned exactly once: "
        f"{result['wrong']}, refused: {result['refused']}, waiting: "
        f"{result['waiting']}, given up: {result['dead']}"
    )


def _print_part(name: str, part: dict[str, Any]) -> None:
    cpu = ", ".join(f"{of} {ms:.2f}" for of, ms in part["cpu_ms_per_event"].items())
    click.echo(
        f"{name}: {part['notifications']} notifications, {part['events']} events in "
        f"{part['seconds']} s ({part['taken_per_second']} taken, "
        f"{part['events_per_second']} events worked off a second)\n"
        f"  CPU ms per event: {cpu}"
    )
