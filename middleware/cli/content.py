"""Content: the plans of the library, listed and checked."""

from __future__ import annotations

import click
import orjson

from mappings.content import load_shipped
from middleware.cli.rollout import dry_run, off, on, standing
from middleware.decisions.checking import check_library


@click.group()
def plan() -> None:
    """Clinical content: list and check the shipped plans."""


@plan.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(as_json: bool) -> None:
    """List the plans with their triggers and actions.

    \b
    Example:
      carecue plan list
    """
    library = load_shipped()
    if as_json:
        rows = [
            {
                "id": item.id,
                "version": item.version,
                "title": item.title,
                "topic": item.topic,
                "triggers": list(item.triggers),
                "actions": [action.id for action in item.actions],
            }
            for item in library.plans
        ]
        click.echo(orjson.dumps({"plans": rows}))
        return
    for item in library.plans:
        click.echo(f"{item.id} {item.version}  {item.title}  ({item.topic})")
        for action in item.actions:
            click.echo(f"  {action.id}: {action.title}")


@plan.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(as_json: bool) -> None:
    """Check every plan, value set and wording: structure, FHIRPath, codes, lint.

    \b
    Example:
      carecue plan check
    """
    faults = check_library(load_shipped())
    if as_json:
        click.echo(orjson.dumps({"faults": list(faults)}))
    else:
        click.echo("\n".join(faults) or "Every plan, value set and wording is usable.")
    if faults:
        raise SystemExit(1)


for command in (dry_run, off, on, standing):
    plan.add_command(command)
