"""``carecue ledger``: every candidate of every day is accounted for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.storage.ledger import PENDING, SENT, LedgerDay, list_ledger
from middleware.wiring.runtime import open_runtime


@click.command()
@click.option("--since", default="7d", help="How far back: days, such as 30d.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ledger(since: str, as_json: bool) -> None:
    """Account for every candidate: sent, pending, or ended for one reason.

    A candidate is one step of one plan for one person and occasion. Days are UTC. Exit
    code 1 where a day does not add up.

    \b
    Example:
      carecue ledger --since 30d
    """
    try:
        days = read_days(since)
        with open_runtime(read_settings()) as runtime:
            today = runtime.clock.now().astimezone(UTC).date()
            last = datetime.combine(today, time.min, UTC) + timedelta(days=1)
            with runtime.database.tx() as tx:
                found = list_ledger(tx, last - timedelta(days=days), last)
    except CareCueError as error:
        fail(error)
    wrong = [item for item in found if item.missing]
    if as_json:
        click.echo(orjson.dumps({"days": [_row(item) for item in found]}))
    else:
        click.echo("\n".join(_line(item) for item in found) or "No candidates yet.")
    if wrong:
        raise SystemExit(1)


def read_days(text: str) -> int:
    """Read a number of days such as ``30d``; raises BadInputError."""
    found = re.fullmatch(r"(\d{1,4})d", text)
    if found is None or found[1] == "0":
        raise BadInputError(f"{text!r} is no number of days; write it like 30d.")
    return int(found[1])


def _row(item: LedgerDay) -> dict[str, Any]:
    reasons = {k: n for k, n in item.became.items() if k not in (SENT, PENDING)}
    return {
        "day": item.day.isoformat(),
        "candidates": item.candidates,
        "sent": item.became.get(SENT, 0),
        "pending": item.became.get(PENDING, 0),
        "reasons": reasons,
        "missing": item.missing,
    }


def _line(item: LedgerDay) -> str:
    row = _row(item)
    parts = [f"{row['sent']} sent", f"{row['pending']} pending"]
    parts += [f"{number} {name}" for name, number in sorted(row["reasons"].items())]
    text = f"{row['day']}: {row['candidates']} candidates = {' + '.join(parts)}"
    if item.missing:
        text += f"  DOES NOT ADD UP: {item.missing} missing; see carecue audit"
    return text
