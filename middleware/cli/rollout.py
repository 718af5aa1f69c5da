"""``carecue plan dry-run|on|off|standing``: try a plan, then switch it on step by step."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.content_merge import Placed, read_placed
from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, CareCueError
from mappings.plan import Library, Plan
from middleware.cli.decide_files import read_json
from middleware.cli.ledger import read_days
from middleware.cli.output import fail, progress
from middleware.settings import read_settings
from middleware.storage import endpoints, rollouts
from middleware.wiring.contents import list_in_force
from middleware.wiring.rolling_out import switch_off, switch_on
from middleware.wiring.runtime import Runtime, open_runtime
from middleware.wiring.trying import try_plan

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ENDPOINT = click.option("--endpoint", help="One endpoint; without it, every one.")
_BY = click.option("--by", default="command line", help="Who does it; it is audited.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command("dry-run")
@click.argument("plan_id", metavar="PLAN")
@click.option("--since", default="30d", help="How far back: days, such as 30d.")
@click.option("--draft", type=_FILE, help="A PlanDefinition in place of the live one.")
@_ENDPOINT
@_BY
@_JSON
def dry_run(
    plan_id: str,
    since: str,
    draft: Path | None,
    endpoint: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Decide stored events by a plan again: whom it would reach, with which words.

    Nothing is sent or planned. Numbers only are kept; a plan may be switched on when
    it was tried in the last 30 days.

    \b
    Example:
      carecue plan dry-run colorectal --since 30d
    """
    try:
        back = timedelta(days=read_days(since))
        with open_runtime(read_settings()) as runtime:
            found = {}
            for one in _endpoints(runtime, endpoint):
                live = _library(runtime, one)
                library = _library(runtime, one, draft) if draft else live
                plan = _plan(library, plan_id)
                progress(f"Reading what came in from {one.name} since {since} ago.")
                begin = runtime.clock.now() - back
                found[one.id] = try_plan(runtime, one, live, library, plan, begin, by)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"plan": plan_id, "endpoints": found}))
        return
    for name, result in found.items():
        click.echo("\n".join(_result_lines(name, result)))


@click.command("on")
@click.argument("plan_id", metavar="PLAN")
@click.option("--percent", type=int, default=5, help="5, 25 or 100; 5 at first.")
@click.option("--reason", required=True, help="Why; it is audited.")
@_ENDPOINT
@_BY
@_JSON
def on(
    plan_id: str,
    percent: int,
    reason: str,
    endpoint: str | None,
    by: str,
    as_json: bool,
) -> None:
    """Switch a plan on for 5, then 25, then 100 percent of the patients.

    A sandbox may go to 100 at once; anywhere else the plan was tried before
    (carecue plan dry-run).

    \b
    Example:
      carecue plan on colorectal --percent 5 --reason "agreed on 3 Nov"
    """

    def switch(runtime: Runtime, plan: Plan, one: Endpoint) -> rollouts.Rollout:
        return switch_on(runtime, plan, one, percent, by, reason)

    _switch(plan_id, endpoint, switch, as_json)


@click.command("off")
@click.argument("plan_id", metavar="PLAN")
@click.option("--reason", required=True, help="Why; it is audited.")
@_ENDPOINT
@_BY
@_JSON
def off(
    plan_id: str, reason: str, endpoint: str | None, by: str, as_json: bool
) -> None:
    """Switch a plan off; what it planned is cancelled instead of sent.

    \b
    Example:
      carecue plan off colorectal --reason "new wording under review"
    """

    def switch(runtime: Runtime, plan: Plan, one: Endpoint) -> rollouts.Rollout:
        return switch_off(runtime, plan, one, by, reason)

    _switch(plan_id, endpoint, switch, as_json)


@click.command("standing")
@_ENDPOINT
@_JSON
def standing(endpoint: str | None, as_json: bool) -> None:
    """List which plans are on, off or paused, where, for how many, and since when.

    \b
    Example:
      carecue plan standing
    """
    try:
        with open_runtime(read_settings()) as runtime:
            wanted = {one.id for one in _endpoints(runtime, endpoint)}
            with runtime.database.tx() as tx:
                found = [
                    item
                    for item in rollouts.list_rollouts(tx)
                    if item.endpoint_id in wanted
                ]
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"plans": [asdict(item) for item in found]}))
        return
    for item in found:
        click.echo(_line(item))
    if not found:
        click.echo("No plan was switched on or off yet.")


def _switch(plan_id: str, endpoint: str | None, switch: Any, as_json: bool) -> None:
    try:
        with open_runtime(read_settings()) as runtime:
            done = []
            for one in _endpoints(runtime, endpoint):
                plan = _plan(_library(runtime, one), plan_id)
                done.append(switch(runtime, plan, one))
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"plans": [asdict(item) for item in done]}))
        return
    for item in done:
        click.echo(_line(item))


def _endpoints(runtime: Runtime, name: str | None) -> list[Endpoint]:
    with runtime.database.tx() as tx:
        known = endpoints.list_endpoints(tx)
    found = [one for one in known if name in (None, one.id, one.name)]
    if not found:
        raise BadInputError("There is no such endpoint; see carecue endpoint list.")
    return found


def _plan(library: Library, plan_id: str) -> Plan:
    for plan in library.plans:
        if plan_id in (plan.id, plan.url):
            return plan
    raise BadInputError(f"There is no plan {plan_id!r}; see carecue plan list.")


def _library(
    runtime: Runtime, endpoint: Endpoint, draft: Path | None = None
) -> Library:
    """Return the content in force at an endpoint, one plan replaced by a file's."""
    folder = runtime.settings.content_dir
    with runtime.database.tx() as tx:
        placed = list_in_force(tx, folder, endpoint.id)
    if draft is not None:
        resource = read_json(draft, "draft")
        if (
            not isinstance(resource, dict)
            or resource.get("resourceType") != "PlanDefinition"
        ):
            raise BadInputError("The draft is no PlanDefinition.")
        kept = (item for item in placed if item.resource["url"] != resource.get("url"))
        placed = (*kept, Placed(draft.name, resource))
    return read_placed(placed, endpoint.site.reviewers)


def _line(item: rollouts.Rollout) -> str:
    share = f" for {item.percent} percent" if item.state == "on" else ""
    return (
        f"{item.endpoint_id}  {item.plan} {item.version}: {item.state}{share} since "
        f"{item.changed_at:%Y-%m-%d %H:%M} UTC, by {item.changed_by}: {item.reason}"
    )


def _result_lines(name: str, result: dict[str, Any]) -> list[str]:
    counts = f"{result['messages']} messages to {result['patients']} patients"
    limited = f"{result['limited']} held by a limit"
    lines = [f"{name}: {result['events']} events; {counts}; {limited}"]
    for title, key in (
        ("verdicts", "outcomes"),
        ("ages", "ages"),
        ("languages", "languages"),
        ("channels", "channels"),
        ("had another message within a week, by topic", "overlap"),
        ("against the live plan", "difference"),
    ):
        if result[key]:
            parts = ", ".join(
                f"{number} {word}" for word, number in result[key].items()
            )
            lines.append(f"  {title}: {parts}")
    lines += [f"  e.g. {' '.join(text.split())}" for text in result["samples"]]
    return lines
