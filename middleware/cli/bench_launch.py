"""``carecue bench launch``: from the callback to the page, beside a plain client."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.bench_far import serve
from middleware.cli.bench_figures import percentile
from middleware.cli.bench_options import as_json, whole
from middleware.cli.bench_walk import Distance, Opened, open_distance
from middleware.cli.output import fail, progress

SHELL_SECONDS, WHOLE_SECONDS, MOST_REQUESTS = 1.0, 2.0, 6


@click.command()
@as_json
@whole("--launches", 2, 200, 40, "Launches of each measurement.")
@whole("--plain", 1, 20, 3, "Launches of the plain client beside each.")
@whole("--latency", 0, 2000, 300, "Milliseconds that each answer of the EHR takes.")
def launch(as_json: bool, launches: int, plain: int, latency: int) -> None:
    """Launch the app from a distant EHR and print what the page took from the callback.

    \b
    Examples:
      carecue bench launch
      carecue bench launch --json --launches 10 --plain 1
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix="carecue-bench-") as folder,
            open_distance(Path(folder)) as distance,
        ):
            result: dict[str, Any] = {
                name: _measure(distance, name, launches, plain, latency)
                for name in ("batches", "no_batches")
            }
    except CareCueError as error:
        fail(error)
    result["latency_ms"] = latency
    result["cpus"] = os.cpu_count()
    result["load_average"] = round(os.getloadavg()[0], 2)
    _print(result, as_json)
    if latency == 300 and not all(result[name]["held"] for name in SETS):
        progress("did not hold: shell p95 1.0 s, whole p95 2.0 s, six requests")
        raise SystemExit(1)


SETS = {"batches": "an EHR with batches", "no_batches": "an EHR without"}


FIRST = ("shell_ms", "answer_ms", "whole_ms")


def _measure(
    distance: Distance, name: str, launches: int, plain: int, latency: int
) -> dict[str, Any]:
    distance.set(seconds=latency / 1000, batches=name == "batches")
    progress(f"{SETS[name]}: the first launch")
    first = distance.open()
    opened: list[Opened] = []
    others: list[tuple[float, int]] = []
    for turn in range(launches):
        progress(f"{SETS[name]}: launch {turn + 1} of {launches}")
        opened.append(distance.open())
        # In turns, so that both meet the same load.
        if turn * plain % launches < plain:
            others.append(distance.open_plainly())
    shell = sorted(each.shell for each in opened)
    answer = sorted(each.answer for each in opened)
    whole_page = sorted(each.whole for each in opened)
    asked = max(each.requests for each in (first, *opened))
    return {
        "launches": launches,
        "shell": _figures(shell),
        "answer": _figures(answer),
        "whole": _figures(whole_page),
        "first": {name: round(getattr(first, name[:-3]) * 1000, 1) for name in FIRST},
        "requests": asked,
        "requests_in_all": max(each.in_all for each in (first, *opened)),
        "verdict_in_shell": sum(each.verdict for each in opened),
        "held": percentile(shell, 95) <= SHELL_SECONDS * 1000
        and percentile(whole_page, 95) <= WHOLE_SECONDS * 1000
        and asked <= MOST_REQUESTS,
        "plain": {
            "launches": len(others),
            "p50_ms": round(median(seconds for seconds, _ in others) * 1000, 1),
            "requests": others[0][1],
        },
        "plain_to_shell": _ratio(others, shell),
        "plain_to_whole": _ratio(others, whole_page),
    }


def _figures(ordered: Sequence[float]) -> dict[str, float]:
    return {
        "p50_ms": percentile(ordered, 50),
        "p95_ms": percentile(ordered, 95),
        "max_ms": round(ordered[-1] * 1000, 2),
    }


def _ratio(others: Sequence[tuple[float, int]], ours: Sequence[float]) -> float:
    return round(median(seconds for seconds, _ in others) / median(ours), 1)


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(result))
        return
    click.echo(
        f"each answer of the EHR takes {result['latency_ms']} ms; "
        f"{result['cpus']} CPUs, load average {result['load_average']}"
    )
    for name, said in SETS.items():
        part = result[name]
        click.echo(
            f"{said}: {part['launches']} launches, at most {part['requests']} requests "
            f"to the answer, {part['requests_in_all']} in all\n"
            f"  first piece p50 {part['shell']['p50_ms']:.0f} ms, p95 "
            f"{part['shell']['p95_ms']:.0f} ms; answer p95 "
            f"{part['answer']['p95_ms']:.0f} ms; whole page p50 "
            f"{part['whole']['p50_ms']:.0f} ms, p95 {part['whole']['p95_ms']:.0f} ms\n"
            f"  fhirclient, one after the other: {part['plain']['requests']} requests, "
            f"{part['plain']['p50_ms']:.0f} ms: {part['plain_to_whole']} x the whole "
            f"page, {part['plain_to_shell']} x the first piece"
        )


@click.command()
@click.argument("port", type=int)
def far(port: int) -> None:
    """Serve the benchmark's distant EHR on a port of this machine.

    \b
    Example:
      carecue bench far 8085
    """
    serve(port)
