"""``carecue forecast``: what one patient will be sent when nothing else happens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from mappings.nudge import REASONS, Outcome
from middleware.cli.ledger import read_days
from middleware.cli.output import fail
from middleware.decisions.forecast import Coming
from middleware.settings import read_settings
from middleware.wiring.forecasting import forecast_patient
from middleware.wiring.runtime import open_runtime

_PATIENT = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}")


@click.command("forecast")
@click.option("--patient", required=True, help="Whose messages, Patient/id.")
@click.option("--endpoint", help="The EHR, where several know this id.")
@click.option("--days", default="60d", help="How far ahead: days, such as 60d.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def forecast_command(
    patient: str, endpoint: str | None, days: str, as_json: bool
) -> None:
    """List what a patient will be sent, and what will end unsent, when nothing changes.

    The chart is read from the EHR now. Messages are listed at the time at which they
    would go; one that is held for good is listed at the end of its window.

    \b
    Example:
      carecue forecast --patient Patient/123
    """
    try:
        if not _PATIENT.fullmatch(patient):
            raise BadInputError(f"{patient!r} is no patient; write Patient/id.")
        ahead = timedelta(days=read_days(days))
        with open_runtime(read_settings()) as runtime:
            until = runtime.clock.now() + ahead
            found = forecast_patient(runtime, patient, endpoint, until)
    except CareCueError as error:
        fail(error)
    rows = [_row(item) for item in found]
    if as_json:
        click.echo(orjson.dumps({"patient": patient, "messages": rows}))
        return
    click.echo("\n".join(map(_line, rows)) or f"Nothing is planned for {patient}.")


def _row(item: Coming) -> dict[str, Any]:
    found = item.candidate
    due = found.verdict.outcome is Outcome.SEND
    task = due and found.kind == "task"
    sent = due and not task
    return {
        "at": item.at.isoformat(),
        "plan": found.plan.id,
        "action": found.action.id,
        "sent": sent,
        "task": task,
        "reason": found.verdict.reason,
        "channel": found.channel,
        "language": found.language,
        "text": found.text if sent else None,
        "why": found.why or item.nudge.why,
    }


def _line(row: dict[str, Any]) -> str:
    head = f"{row['at']}  {row['plan']}/{row['action']}"
    if not row["sent"] and not row["task"]:
        return f"{head}  not sent: {REASONS[row['reason']].sentence}"
    if row["task"]:
        return f"{head}  {REASONS['asked'].sentence}"
    return f"{head}  {row['channel']}, {row['language']}\n    {row['text']}"
