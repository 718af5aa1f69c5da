"""``carecue bench decide``: what a decision costs, beside a floor of the same run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter, thread_time
from typing import Any

import click
import orjson

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import CareCueError
from mappings.nudge import Outcome
from mappings.plan import Condition, Library, Plan
from mappings.preference import OwnRecord
from middleware.cli.bench_charts import Maker, Turn
from middleware.cli.bench_costs import Costs
from middleware.cli.bench_meter import Meter
from middleware.cli.bench_options import as_json, whole
from middleware.cli.bench_waiting import measure_waiting
from middleware.cli.output import fail, progress
from middleware.decisions.conditions import evaluate
from middleware.decisions.deciding import decide_event
from middleware.decisions.foresight import look_ahead
from middleware.decisions.functions import Environment

NOW = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
FEW, TIMES = 1_000, (2, 4)
_SET = re.compile(r"((?:coded|memberOf)\('[^']*)'")
WARM_UP = 20
_SITE = Site(
    name="Benchmark",
    phone="(312) 555-0100",
    booking_url="https://bench.example.org/b",
    zone="America/Chicago",
    reviewers={"es": "the benchmark"},
)


@click.command()
@as_json
@whole("--events", 20, 20_000, 400, "Events of the main measurement.")
@whole("--sample", 10, 5_000, 100, "Events of each measurement beside it.")
@whole(
    "--patients", 1_000, 10_000_000, 100_000, "Patients that a sample is spread over."
)
@whole(
    "--waiting", 0, 5_000_000, 1_000_000, "Planned messages in the database; 0: none."
)
def decide(
    as_json: bool, events: int, sample: int, patients: int, waiting: int
) -> None:
    """Decide over charts of 200 resources with every plan on, and print what it costs.

    \b
    Examples:
      carecue bench decide
      carecue bench decide --json --events 2000 --waiting 0
    """
    try:
        result = _measure(events, sample, patients)
        result["waiting"] = None
        if waiting:
            library, endpoint = _everything()
            maker = Maker(library, endpoint.id, NOW)
            result["waiting"] = measure_waiting(endpoint, maker, NOW, waiting)
    except CareCueError as error:
        fail(error)
    result["load_average"] = round(os.getloadavg()[0], 2)
    _print(result, as_json)


def _everything() -> tuple[Library, Endpoint]:
    """Return the shipped library and a site that has every plan of it on."""
    library = load_shipped(_SITE.reviewers)
    names = tuple(plan.id for plan in library.plans)
    endpoint = Endpoint(
        id="bench",
        name="Benchmark",
        kind=EndpointKind.SANDBOX,
        fhir_base="http://127.0.0.1/fhir",
        backend=BackendClient(),
        app=AppClient(),
        site=replace(_SITE, plans_on=names),
        allow_list=("*",),
    )
    return library, endpoint


def _measure(events: int, sample: int, patients: int) -> dict[str, Any]:
    library, endpoint = _everything()
    maker = Maker(library, endpoint.id, NOW)
    _decide_all(map(maker.make, range(WARM_UP)), library, endpoint)
    progress(f"{events} events")
    main = _decide_all(map(maker.make, range(events)), library, endpoint)
    few, many = (
        _spread(maker, sample, people, library, endpoint) for people in (FEW, patients)
    )
    progress("the floor")
    floor = _floor([maker.make(number).chart for number in range(sample)])
    memory = Meter(os.getpid()).largest_megabytes()
    plans = [
        {
            "times": times,
            "other_triggers": _grown(
                library, times, _elsewhere, maker, sample, endpoint
            ),
            "same_triggers": _grown(library, times, _akin, maker, sample, endpoint),
            "nothing_shared": _grown(library, times, _beside, maker, sample, endpoint),
        }
        for times in TIMES
    ]
    return {
        **main.plain(),
        "floor_ms_per_chart": floor,
        "cpu_to_floor": round(main.plain()["cpu_ms_per_event"] / (floor or 1), 1),
        "memory_mb": memory,
        "resources": 200,
        "plans": len(library.plans),
        "cpu_ms_by_patients": {str(FEW): few, str(patients): many},
        "cpu_by_plans": plans,
        "cpus": os.cpu_count(),
    }


def _decide_all(turns: Iterable[Turn], library: Library, endpoint: Endpoint) -> Costs:
    """Decide each event in full: every plan, then the gate for all that is planned."""
    costs = Costs()
    for turn in turns:
        own = OwnRecord()
        began, cpu = perf_counter(), thread_time()
        found = decide_event(turn.event, turn.chart, own, library, endpoint, NOW)
        costs.events.append(thread_time() - cpu)
        costs.elapsed.append(perf_counter() - began)
        costs.verdicts += len(found)
        goes = [item for item in found if item.verdict.outcome is Outcome.SEND]
        for item in goes:
            if item.kind == "message":
                cpu = thread_time()
                look_ahead(item, turn.chart, own, library, endpoint)
                costs.gates.append(thread_time() - cpu)
    return costs


def _spread(
    maker: Maker, sample: int, people: int, library: Library, endpoint: Endpoint
) -> float:
    """Return the CPU per event of a sample spread over so many patients."""
    progress(f"{sample} of {people} patients")
    # Neighbours differ in what happens to them; the step keeps the mix.
    step = max(people // sample // 10 * 10, 10)
    turns = (maker.make(index // 10 * step + index % 10) for index in range(sample))
    return float(_decide_all(turns, library, endpoint).plain()["cpu_ms_per_event"])


def _floor(charts: Sequence[Chart]) -> float:
    """Return CPU ms for parsing a chart and evaluating one condition on it."""
    bodies = [orjson.dumps(chart.as_json()) for chart in charts]
    birth = Condition("%patient.birthDate.exists()", "data-missing", "")
    began = thread_time()
    for body in bodies:
        patient = orjson.loads(body)["patient"]
        evaluate(birth, Environment(patient, {"patient": patient}, {}, NOW))
    return round((thread_time() - began) * 1000 / len(bodies), 3)


def _grown(
    library: Library,
    times: int,
    change: Callable[[Plan, int], Plan],
    maker: Maker,
    sample: int,
    endpoint: Endpoint,
) -> float:
    """Return the cost with so many times the plans, by that of the library alone."""
    progress(f"{times} times the plans")
    copies = [
        change(plan, number) for number in range(1, times) for plan in library.plans
    ]
    ordered = sorted((*library.plans, *copies), key=lambda plan: plan.priority)
    sets = {
        f"{name}-{number}": members
        for number in range(1, times)
        for name, members in library.value_sets.items()
    }
    grown = replace(
        library, plans=tuple(ordered), value_sets={**library.value_sets, **sets}
    )
    names = tuple(plan.id for plan in ordered)
    site = replace(endpoint.site, plans_on=names)
    both = ((library, endpoint), (grown, replace(endpoint, site=site)))
    for parts in both:
        _decide_all(map(maker.make, range(WARM_UP)), *parts)
    # In turns, so that what else runs on the machine hits both alike.
    costs = [
        [_decide_all([maker.make(number)], *parts).used for parts in both]
        for number in range(sample)
    ]
    before, after = map(sum, zip(*costs, strict=True))
    return round(after / before, 2)


def _elsewhere(plan: Plan, number: int) -> Plan:
    """Return a copy that other events start."""
    triggers = tuple(f"{kind}-{number}" for kind in plan.triggers)
    return replace(_beside(plan, number), triggers=triggers)


def _akin(plan: Plan, number: int) -> Plan:
    """Return a copy that the same events start, about value sets of its own.

    What every such plan asks (a status, a disposition) it asks too.
    """
    return _copy(plan, number, lambda text: _SET.sub(rf"\1-{number}'", text))


def _beside(plan: Plan, number: int) -> Plan:
    """Return a copy that the same events start, none of whose conditions are shared."""
    return _copy(plan, number, lambda text: f"({text}) and {number} = {number}")


def _copy(plan: Plan, number: int, change: Callable[[str], str]) -> Plan:
    def own(condition: Condition) -> Condition:
        return replace(condition, expression=change(condition.expression))

    actions = tuple(
        replace(
            action,
            conditions=tuple(map(own, action.conditions)),
            stops=tuple(map(own, action.stops)),
        )
        for action in plan.actions
    )
    return replace(
        plan, id=f"{plan.id}-{number}", url=f"{plan.url}-{number}", actions=actions
    )


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(result))
        return
    click.echo(
        f"{result['plans']} plans, charts of {result['resources']} resources, "
        f"{result['cpus']} CPUs, load average {result['load_average']}"
    )
    click.echo(
        f"{result['decisions_per_second']} messages planned and gated a second of one "
        f"core ({result['verdicts_per_second']} verdicts); an event has "
        f"{result['verdicts_per_event']} verdicts and {result['gates_per_event']} gates\n"
        f"  an event: p50 {result['p50_ms']} ms, p95 {result['p95_ms']} ms of CPU "
        f"({result['p95_elapsed_ms']} ms elapsed), {result['events_per_second']} a "
        f"second\n  a gate at the time of sending: p50 {result['gate_p50_ms']} ms, p95 "
        f"{result['gate_p95_ms']} ms; memory {result['memory_mb']} MB"
    )
    click.echo(
        f"floor, parsing the chart and one condition: {result['floor_ms_per_chart']} ms, "
        f"an event costs {result['cpu_to_floor']} times that"
    )
    for people, cost in result["cpu_ms_by_patients"].items():
        click.echo(f"{people} patients: {cost} ms per event")
    for row in result["cpu_by_plans"]:
        click.echo(
            f"{row['times']} times the plans: {row['other_triggers']} times the cost "
            f"with other triggers, {row['same_triggers']} times with the same, "
            f"{row['nothing_shared']} times where no condition is shared"
        )
    if result["waiting"]:
        _print_waiting(result["waiting"])


def _print_waiting(part: dict[str, Any]) -> None:
    for name in ("sweep", "decision"):
        row = part[name]
        click.echo(
            f"{name} with {part['messages']} messages waiting: {row['full_ms']} ms, with "
            f"none {row['empty_ms']} ms: {row['ratio']} times"
        )
