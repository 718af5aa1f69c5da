"""``carecue decide``: decisions over a chart in a file, without database or network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import orjson

from mappings.chart import Chart
from mappings.chart_bundle import read_bundle_chart
from mappings.content import load_shipped
from mappings.errors import CareCueError
from mappings.event import FOCUS_TYPES, Event, EventKind, suppose_event
from mappings.nudge import REASONS, Outcome
from mappings.reference import reference_of, version_of
from middleware.cli.decide_files import (
    read_history_file,
    read_json,
    read_now,
    read_site_file,
)
from middleware.cli.output import fail
from middleware.decisions.circumstance import open_case
from middleware.decisions.deciding import Candidate, decide_event
from middleware.decisions.foresight import foresee
from middleware.decisions.transitions import match_transitions

UNKNOWN = frozenset({"data-missing", "plan-unknown", "ehr-unreachable"})
WORDS = {
    Outcome.SEND: "send",
    Outcome.HOLD: "hold",
    Outcome.CANCEL: "suppress",
    Outcome.FAIL: "suppress",
    Outcome.SKIP: "suppress",
    Outcome.NOT_DUE: "not-applicable",
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--bundle", type=_FILE, required=True, help="A Bundle with one chart.")
@click.option("--focus", required=True, help="What changed, Type/id.")
@click.option("--now", required=True, help="The instant to decide at, ISO 8601.")
@click.option("--site", type=_FILE, help="The site's settings, JSON or TOML.")
@click.option("--history", type=_FILE, help="What was sent before, JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def decide(
    bundle: Path,
    focus: str,
    now: str,
    site: Path | None,
    history: Path | None,
    as_json: bool,
) -> None:
    """Decide over a chart in a file: no database, no network.

    The Bundle may be of any type and holds the patient with all that is known of them,
    Consents included. A focus that is no Encounter, Appointment or CarePlan has the
    whole chart looked at. Messages that are to be sent are looked at once more at
    their own time, with the chart as it is and the limits.

    \b
    Without --site: name "The clinic", phone 555-0100, zone America/New_York, messages
    9 to 20 (Sundays 12 to 18), 1 a day, 3 a week, no translation approved. Without
    --history: nothing was sent. A history is a Bundle of Communications, or
    {"sent": [{"sentAt": "2026-11-01T15:00:00Z", "topic": "preventive",
    "channel": "sms"}]}.

    \b
    Example:
      carecue decide --bundle chart.json --focus Encounter/e1 --now 2026-11-20T18:00Z
    """
    try:
        rows = list(_decide(bundle, focus, now, site, history))
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"candidates": rows}))
        return
    for row in rows:
        click.echo(_lines(row))
    if not rows:
        click.echo(f"Nothing follows from {focus} as it stands.")


def _decide(
    file: Path, focus: str, at: str, site: Path | None, history: Path | None
) -> Iterator[dict[str, Any]]:
    now = read_now(at)
    endpoint = read_site_file(site)
    own = read_history_file(history)
    library = load_shipped(endpoint.site.reviewers)
    chart = read_bundle_chart(read_json(file, "Bundle"), focus, now)
    zone = ZoneInfo(open_case(chart, own, library, endpoint, now).zone)
    for event in _events(chart, focus, now):
        found = decide_event(event, chart, own, library, endpoint, now)
        for item in foresee(found, chart, own, library, endpoint):
            yield _row(item, zone)


def _events(chart: Chart, focus: str, now: datetime) -> Iterator[Event]:
    """Yield what the focus tells, as if it were seen for the first time."""
    resource = chart.find(focus) or {}
    patient = reference_of(chart.patient)
    if focus.partition("/")[0] not in FOCUS_TYPES:
        version = str(version_of(chart.patient) or "")
        yield suppose_event(
            EventKind.PATIENT_REVIEW, patient, "file", now, version=version
        )
        return
    transitions, _ = match_transitions(None, [resource])
    for found in transitions:
        told = (found.kind, patient, "file", found.occurred_at)
        event = suppose_event(*told, focus=focus, version=found.version)
        yield replace(event, received_at=now)


def _outcome(item: Candidate) -> str:
    outcome = item.verdict.outcome
    if item.kind == "task" and outcome is Outcome.SEND:
        return "task"
    if outcome is Outcome.HOLD and item.verdict.reason in UNKNOWN:
        return "unknown"
    if outcome is Outcome.HOLD and item.task is not None:
        return "task"
    return WORDS[outcome]


def _row(item: Candidate, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "plan": item.plan.id,
        "action": item.action.id,
        "outcome": _outcome(item),
        "reason": item.verdict.reason,
        "due": item.due_at.astimezone(zone).isoformat(),
        "expires": item.expires_at.astimezone(zone).isoformat(),
        "channel": item.channel,
        "address": item.address,
        "language": item.language,
        "text": item.text or (item.task.text if item.task is not None else None),
        "facts": [fact.as_json() for fact in item.verdict.facts],
    }


def _lines(row: dict[str, Any]) -> str:
    """Write a candidate for a person: the verdict, the reason and what it rests on."""
    head = f"{row['plan']}/{row['action']}: {row['outcome']}"
    lines = [f"{head}  {REASONS[row['reason']].sentence} ({row['reason']})"]
    if row["outcome"] in ("send", "task", "hold"):
        way = f", {row['channel']} to {row['address']}" if row["channel"] else ""
        lines.append(f"    due {row['due']}, until {row['expires']}{way}")
    if row["text"]:
        lines.append(f"    {' '.join(row['text'].split())}")
    lines += [
        f"    {one['reference']} {one['path']}: {one['value']}" for one in row["facts"]
    ]
    return "\n".join(lines)
