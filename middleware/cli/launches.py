"""Launches of the SMART app: the last ones, and how far one came.

What is shown are ids, codes, scopes and the EHR's own error; no token and nothing
clinical is kept there.
"""

from __future__ import annotations

import re
from typing import Any

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.storage import launches as stored
from middleware.wiring.runtime import open_runtime
from smart_app.failures import name_step
from smart_app.remedies import REMEDIES

ID = re.compile(r"[0-9a-f-]{6,36}\Z")
HIDDEN = {"at", "step"}
TOLD = (
    "intent",
    "fhir_context",
    "tenant",
    "style",
    "level",
    "framed",
    "sub",
    "iss",
    "last_fault",
)


@click.group()
def launches() -> None:
    """Tell of launches of the SMART app: list them, show how far one came."""


@launches.command("list")
@click.option("--limit", default=20, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(limit: int, as_json: bool) -> None:
    """List the last launches, those included that failed before there was one.

    \b
    Example:
      carecue launches list --limit 50
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            rows = [
                *map(_describe, stored.list_launches(tx, limit)),
                *map(_describe, stored.list_failures(tx, limit)),
            ]
    except CareCueError as error:
        fail(error)
    rows = sorted(rows, key=lambda row: str(row["at"]), reverse=True)[:limit]
    if as_json:
        click.echo(orjson.dumps({"launches": rows}))
        return
    for row in rows:
        named = " ".join(
            str(row[name]) for name in ("endpoint", "user", "code") if row.get(name)
        )
        click.echo(f"{row['at'][:19]}  {row['id'][:8]}  {row['stage']:8} {named}")


@launches.command()
@click.argument("launch_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(launch_id: str, as_json: bool) -> None:
    """Show one launch step by step, by the id that its page shows.

    \b
    Example:
      carecue launches show 3f2b6c1e
    """
    try:
        if not ID.match(launch_id):
            raise BadInputError("An id is what the page shows, 8 characters or more.")
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            found = stored.find_by_prefix(tx, launch_id)
        if len(found) != 1:
            many = "more than one launch; give more of it" if found else "no launch"
            raise BadInputError(f"{launch_id} belongs to {many}.")
    except CareCueError as error:
        fail(error)
    told = _describe(found[0])
    if as_json:
        click.echo(orjson.dumps(told))
        return
    for name, value in told.items():
        if name != "steps" and value not in (None, "", {}):
            click.echo(f"{name + ':':12} {value}")
    for step in told["steps"]:
        detail = ", ".join(f"{k} {v}" for k, v in step.items() if k not in HIDDEN)
        click.echo(f"{step['at'][:19]}  {step['step']:20} {detail}")


def _describe(row: stored.LaunchRow | stored.FailureRow) -> dict[str, Any]:
    if isinstance(row, stored.FailureRow):
        return {
            "id": row.id,
            "at": row.at.isoformat(),
            "stage": "failed",
            "code": row.code,
            "step": name_step(row.code),
            "found": row.found or None,
            "do": REMEDIES.get(row.code),
            "endpoint": row.endpoint_id,
            "steps": [],
        }
    failed: dict[str, Any] = next(
        (step for step in reversed(row.steps) if step.get("code")), {}
    )
    return {
        "id": row.id,
        "at": row.created_at.isoformat(),
        "stage": row.stage,
        "code": row.error,
        "step": name_step(row.error) if row.error and len(row.error) == 2 else None,
        **{name: failed.get(name) for name in ("said", "found")},
        "do": REMEDIES.get(row.error or ""),
        "endpoint": row.endpoint_id,
        "user": row.user_reference,
        "patient": row.patient,
        "encounter": row.encounter,
        "scope": row.scope,
        "context": {name: row.context[name] for name in TOLD if row.context.get(name)},
        "seen_at": row.seen_at.isoformat() if row.seen_at else None,
        "steps": row.steps,
    }
