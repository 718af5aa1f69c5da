"""`carecue endpoint check`: each step of a connection, its cause, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.endpoint_known import get_known
from middleware.cli.output import fail, progress
from middleware.fhir.checking.finding import Finding
from middleware.settings import read_settings
from middleware.wiring.checking import Checked, check_endpoint
from middleware.wiring.runtime import open_runtime

_TOLD = (("why", "cause"), ("safe", "safe"), ("do", "todo"))


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(name: str, as_json: bool) -> None:
    """Try each step of the connection and say what is wrong and what to do.

    Exits 1 when a step failed. Nothing clinical is written; a test endpoint is asked
    for a Subscription of ten minutes.

    \b
    Example:
      carecue endpoint check northside
    """
    try:
        with open_runtime(read_settings()) as runtime:
            known = get_known(runtime, name)
            checked = check_endpoint(
                runtime, known, lambda step: progress(f"{step} ...")
            )
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps(_as_json(checked)))
    else:
        for line in write_lines(checked):
            click.echo(line)
    if not checked.holds:
        raise SystemExit(1)


def write_lines(checked: Checked) -> Iterable[str]:
    """Yield the report: the conclusion, the steps in order, the texts to send."""
    yield checked.conclusion
    yield ""
    for item in checked.findings:
        yield f"{item.outcome.value:8}{item.step}: {item.saw}"
        for label, part in _TOLD:
            if getattr(item, part):
                yield f"          {label + ':':6}{getattr(item, part)}"
    for item in checked.findings:
        if item.letter:
            yield f"\n--- Text for the EHR's team ({item.step}) ---\n{item.letter}"


def _as_json(checked: Checked) -> dict[str, Any]:
    return {
        "endpoint": checked.endpoint_id,
        "holds": checked.holds,
        "conclusion": checked.conclusion,
        "checked_at": checked.at,
        "steps": [_step(item) for item in checked.findings],
    }


def _step(item: Finding) -> dict[str, str]:
    return {
        "step": item.step,
        "outcome": item.outcome.value,
        "code": item.code,
        "saw": item.saw,
        "cause": item.cause,
        "safe": item.safe,
        "todo": item.todo,
        "letter": item.letter,
    }
