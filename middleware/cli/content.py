"""Content: plans on and off, checked, and decisions over a chart in a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import BadInputError, CareCueError
from mappings.event import Event
from mappings.preference import OwnRecord
from mappings.reference import focus_patient
from middleware.cli.output import fail
from middleware.decisions.checking import check_library
from middleware.decisions.deciding import Candidate, decide_event
from middleware.decisions.transitions import match_transitions


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


@click.command()
@click.option(
    "--bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="A Bundle with one patient's chart.",
)
@click.option("--focus", required=True, help="The resource that changed, Type/id.")
@click.option("--now", required=True, help="The instant to decide at, ISO 8601.")
@click.option("--zone", default="America/New_York", help="The site's time zone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def decide(bundle: Path, focus: str, now: str, zone: str, as_json: bool) -> None:
    """Decide over a chart in a file: no database, no network.

    \b
    Example:
      carecue decide --bundle chart.json --focus Encounter/e1 --now 2026-11-20T18:00Z
    """
    try:
        rows = _decide(bundle, focus, now, zone)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"decisions": rows}))
        return
    for row in rows:
        click.echo(
            f"{row['plan']}/{row['action']}: {row['outcome']} ({row['reason']}) "
            f"{row['due_at']}"
        )


def _decide(file: Path, focus: str, now: str, zone: str) -> list[dict[str, Any]]:
    instant = _instant(now)
    chart, changed = _read_chart(file, focus, instant)
    transitions, _ = match_transitions(None, [changed])
    endpoint = _stand_in(zone)
    rows: list[dict[str, Any]] = []
    for found in transitions:
        event = Event(
            id="file",
            key="file",
            endpoint_id="file",
            kind=found.kind,
            patient=f"Patient/{chart.patient['id']}",
            shard=0,
            focus=focus,
            focus_version=found.version,
            occurred_at=found.occurred_at,
            received_at=instant,
        )
        candidates = decide_event(
            event, chart, OwnRecord(), load_shipped(), endpoint, instant
        )
        rows.extend(_row(found.kind.value, item) for item in candidates)
    return rows


def _read_chart(file: Path, focus: str, now: datetime) -> tuple[Chart, dict[str, Any]]:
    try:
        entries = orjson.loads(file.read_bytes())["entry"]
        resources = [entry["resource"] for entry in entries if "resource" in entry]
        named = {f"{item['resourceType']}/{item.get('id')}": item for item in resources}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise BadInputError("The file is not a FHIR Bundle with entries.") from None
    if focus not in named:
        raise BadInputError(f"The Bundle has no {focus}.")
    patient = focus_patient(named[focus])
    if patient is None or patient not in named:
        raise BadInputError(f"The Bundle has no patient for {focus}.")
    others = tuple(item for name, item in named.items() if name != patient)
    chart = Chart(patient=named[patient], resources=others, read_at=now)
    return chart, named[focus]


def _stand_in(zone: str) -> Endpoint:
    return Endpoint(
        id="file",
        name="file",
        kind=EndpointKind.PRODUCTION,
        fhir_base="http://localhost/fhir",
        backend=BackendClient(),
        app=AppClient(),
        site=Site(name="Clinic", phone="555-0100", booking_url="", zone=zone),
    )


def _row(event: str, item: Candidate) -> dict[str, Any]:
    return {
        "event": event,
        "plan": item.plan.id,
        "action": item.action.id,
        "outcome": item.verdict.outcome.value,
        "reason": item.verdict.reason,
        "due_at": item.due_at.isoformat(),
        "facts": [fact.as_json() for fact in item.verdict.facts],
    }


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"{text!r} is not an ISO 8601 instant.") from None
    if moment.tzinfo is None:
        raise BadInputError(f"{text!r} needs a time zone, such as a final Z.")
    return moment
