"""`carecue bench ingest`: a short run says what was measured, and every row is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from mappings.content import load_shipped
from middleware.cli.bench_bodies import (
    FIRST,
    fill,
    full_resource_template,
    id_only_template,
)
from middleware.cli.bench_charts import MIX, RESOURCES, Maker
from subscriptions.parsing import parse_notification

FIGURES = (
    "requests_per_second",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "cpu_s_per_1000",
    "process_cpu_s_per_1000",
    "generator_cpu_s_per_1000",
)


Bench = Callable[..., dict[str, Any]]
ARGUMENTS = ("--seconds=0.2", "--rounds=1", "--burst=60", "--connections=4")


@pytest.fixture
def bench(postgres_url: str, tmp_path: Path) -> Bench:
    """Run a benchmark by its name and options; return what it prints as JSON."""

    def run(name: str, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [
                sys.executable,
                *("-m", "middleware.cli", "bench", name, "--json"),
                *arguments,
            ],
            env={
                **os.environ,
                "CARECUE_DATABASE_URL": postgres_url,
                "CARECUE_HOME": str(tmp_path),
            },
            cwd=Path(__file__).parents[2],
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        told: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
        return told

    return run


@pytest.fixture
def outcome(bench: Bench) -> dict[str, Any]:
    """What a run of one round of a fifth of a second prints as JSON."""
    return bench("ingest", *ARGUMENTS)


@pytest.mark.demo
def test_a_run_counts_every_row_and_prints_its_floors(outcome: dict[str, Any]) -> None:
    for part in (outcome, outcome["large"]):
        measured = [part, part["floors"]["route"], part["floors"]["insert"]]
        for figures in measured:
            assert figures["requests"] > 0
            assert all(figures[name] >= 0 for name in FIGURES)
            assert figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
        assert part["cpu_to_route"] > 0
    assert outcome["accepted"] == outcome["stored"] > 60
    assert (outcome["missing"], outcome["doubled"], outcome["refused"]) == (0, 0, 0)
    assert outcome["burst"]["requests"] == 60
    assert 20 < outcome["web_process_mb"] < 200
    assert outcome["postgresql_cpu_s_per_1000"] is not None


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [(id_only_template, 2_800, 3_400), (full_resource_template, 57_000, 63_000)],
)
def test_the_bodies_are_what_servers_send_and_each_is_new(
    make: Any, least: int, most: int
) -> None:
    template = make("http://ehr.test/fhir")
    read = []
    for number in (FIRST, FIRST + 1):
        body = fill(template, number)
        assert least < len(body) < most
        told = parse_notification("POST", "", {}, body)
        (event,) = told.events
        assert (told.form, told.count, event.number) == ("r4-backport", number, number)
        assert (event.focus, event.version) == (f"Encounter/{number}", "7")
        assert (event.resource is None) == (make is id_only_template)
        read.append(event)
    assert read[0] != read[1]


@pytest.fixture
def passage(bench: Bench) -> dict[str, Any]:
    """What a short run of the whole line prints as JSON."""
    arguments = ("--rate=20", "--seconds=2", "--burst=40", "--workers=1")
    return bench("pipeline", *arguments)


@pytest.mark.demo
def test_a_passage_plans_every_message_once_and_says_what_it_cost(
    passage: dict[str, Any],
) -> None:
    assert passage["answered"] == 100 + passage["notifications"] + 40
    left = [passage[name] for name in ("wrong", "refused", "waiting", "dead")]
    assert left == [0, 0, 0, 0]
    assert passage["taken_per_second"] < 20
    assert 0 < passage["p50_ms"] <= passage["p95_ms"] <= passage["p99_ms"]
    for part in (passage, passage["burst"]):
        cost = part["cpu_ms_per_event"]
        assert set(cost) == {"web", "workers", "postgresql", "ehr", "generator", "all"}
        assert cost["workers"] > 0
        assert part["events_per_second"] > 0
    assert passage["burst"]["events"] == 52


@pytest.fixture
def handed(bench: Bench) -> dict[str, Any]:
    """What sending a few messages over SMTP and HTTP prints as JSON."""
    arguments = ("--messages=6", "--workers=1")
    return bench("deliver", *arguments)


@pytest.mark.demo
def test_the_time_in_which_a_denial_comes_too_late_is_measured(
    handed: dict[str, Any],
) -> None:
    assert (handed["messages"], handed["sent"]) == (6, 6)
    assert {name: part["count"] for name, part in handed["channels"].items()} == {
        "sms": 3,
        "email": 3,
    }
    for part in (handed, *handed["channels"].values()):
        ranks = [part[name] for name in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        assert ranks == sorted(ranks)
        assert ranks[0] > 0


@pytest.fixture
def decided(bench: Bench) -> dict[str, Any]:
    """What a short run of decisions prints as JSON."""
    arguments = ("--events=20", "--sample=10", "--patients=2000", "--waiting=2000")
    return bench("decide", *arguments)


@pytest.mark.demo
def test_decisions_are_measured_beside_a_floor_and_with_messages_waiting(
    decided: dict[str, Any],
) -> None:
    assert (decided["events"], decided["resources"]) == (20, 200)
    assert decided["verdicts_per_event"] > 1
    assert decided["gates_per_event"] > 0
    assert decided["decisions_per_second"] > 0
    assert 0 < decided["p50_ms"] <= decided["p95_ms"]
    assert 0 < decided["gate_p50_ms"] <= decided["gate_p95_ms"]
    assert decided["cpu_to_floor"] > 1
    assert decided["memory_mb"] < 300
    assert set(decided["cpu_ms_by_patients"]) == {"1000", "2000"}
    assert [row["times"] for row in decided["cpu_by_plans"]] == [2, 4]
    # Plans that other events start cost nothing; timing alone moves this figure.
    assert all(row["other_triggers"] < 2 for row in decided["cpu_by_plans"])
    waiting = decided["waiting"]
    assert waiting["messages"] == 2000
    for part in ("sweep", "decision"):
        assert waiting[part]["empty_ms"] > 0
        assert waiting[part]["full_ms"] > 0


def test_made_charts_are_the_same_each_time_and_have_two_hundred_resources() -> None:
    library = load_shipped()
    now = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
    kinds = set()
    for number in range(10):
        turn = Maker(library, "bench", now).make(number)
        kinds.add(turn.event.kind)
        chart = turn.chart
        reviewed = turn.event.focus == turn.event.patient
        assert 1 + len(chart.resources) == (RESOURCES - 1 if reviewed else RESOURCES)
        assert chart.find(turn.event.focus) is not None
        assert turn == Maker(library, "bench", now).make(number)
    assert kinds == set(MIX)


@pytest.mark.demo
def test_a_launch_is_measured_beside_a_plain_client(bench: Bench) -> None:
    told = bench("launch", "--launches=2", "--plain=1", "--latency=100")
    for name, plainly in (("batches", 10), ("no_batches", 6)):
        part = told[name]
        # The first piece left while the chart was still on its way.
        assert part["shell"]["p50_ms"] + 50 < part["whole"]["p50_ms"]
        assert part["requests"] <= 6 <= part["plain"]["requests"]
        assert part["plain"]["requests"] >= plainly
        assert part["verdict_in_shell"] == 2
        assert part["plain_to_whole"] > 1
