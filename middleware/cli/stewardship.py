"""Stewardship: after a restore, a patient's data, the sealing key."""

from __future__ import annotations

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.accounting import account
from middleware.cli.instants import read_since
from middleware.cli.output import fail
from middleware.cli.recording import record
from middleware.settings import read_settings
from middleware.wiring.restoring import RestoreCheck, check_restore, mark_restore
from middleware.wiring.runtime import open_runtime
from middleware.wiring.signing import SigningStep, rotate_signing
from middleware.wiring.stewarding import (
    Erased,
    Rotated,
    begin_rotation,
    erase_patient,
    export_patient,
    finish_rotation,
)


@click.group()
def restore() -> None:
    """After a restore: everything is held until the world was reconciled."""


@restore.command()
@click.option("--since", help="When the backup was taken, with its UTC offset.")
@click.option("--by", default="command line", help="Who restored; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mark(since: str | None, by: str, as_json: bool) -> None:
    """Say that this database was restored: all messages are held from now on.

    \b
    Example:
      carecue restore mark --since 2026-11-16T02:00:00Z
    """
    try:
        start = read_since(since) if since else None
        with open_runtime(read_settings()) as runtime:
            marked = mark_restore(runtime, by, since=start)
    except CareCueError as error:
        fail(error)
    if as_json:
        value = {"held": True, "since": marked.since.isoformat()}
        click.echo(orjson.dumps(value))
        return
    click.echo(
        f"All messages are held. What happened since {marked.since:%Y-%m-%d %H:%M} UTC "
        "will be read again: start a worker, then run `carecue restore check`."
    )


@restore.command()
@click.option("--by", default="command line", help="Who checks; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(by: str, as_json: bool) -> None:
    """Reconcile opt-outs and what was sent with the provider and the EHR.

    The hold ends only when every source was read to its end.

    \b
    Example:
      carecue restore check --json
    """
    try:
        with open_runtime(read_settings()) as runtime:
            found = check_restore(runtime, by)
    except CareCueError as error:
        fail(error)
    _say(as_json, found)
    if not found.complete:
        raise SystemExit(1)


@click.group()
def patient() -> None:
    """One patient's data: write down what was said, hand it out, erase it."""


patient.add_command(record)
patient.add_command(account)


@patient.command("export")
@click.option("--patient", "reference", required=True, help="As in Patient/123.")
@click.option("--endpoint", required=True, help="The endpoint's id.")
@click.option("--by", default="command line", help="Who asks; it is audited.")
def export(reference: str, endpoint: str, by: str) -> None:
    """Print everything stored of one patient as one JSON object.

    \b
    Example:
      carecue patient export --patient Patient/123 --endpoint northside > 123.json
    """
    try:
        with open_runtime(read_settings()) as runtime:
            found = export_patient(runtime, endpoint, reference, by)
    except CareCueError as error:
        fail(error)
    click.echo(orjson.dumps(found))


@patient.command("erase")
@click.option("--patient", "reference", required=True, help="As in Patient/123.")
@click.option("--endpoint", required=True, help="The endpoint's id.")
@click.option("--reason", required=True, help="Why; it is audited. Name nobody.")
@click.option("--by", default="command line", help="Who does it; it is audited.")
@click.option("--yes", is_flag=True, help="Do it; there is no way back.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def erase(
    reference: str, endpoint: str, reason: str, by: str, yes: bool, as_json: bool
) -> None:
    """Erase charts, texts and addresses of one patient; opt-outs are kept.

    \b
    Example:
      carecue patient erase --patient Patient/123 --endpoint northside \\
        --reason "asked for on 3 March" --yes
    """
    try:
        if not yes:
            raise BadInputError(
                "This cannot be undone, so it needs --yes. Nothing was erased; keep a "
                "copy with `carecue patient export` first if one is wanted."
            )
        with open_runtime(read_settings()) as runtime:
            erased = erase_patient(runtime, endpoint, reference, by, reason=reason)
    except CareCueError as error:
        fail(error)
    _say(as_json, erased)


@click.group()
def key() -> None:
    """Replace the key that seals secrets at rest, or the keys that sign for us."""


@key.command()
@click.option("--finish", is_flag=True, help="After every process was restarted.")
@click.option("--signing", is_flag=True, help="The next step for the signing keys.")
@click.option("--by", default="command line", help="Who does it; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rotate(finish: bool, signing: bool, by: str, as_json: bool) -> None:
    """Replace the sealing key in two steps, with a restart between them.

    With --signing, the keys by which EHRs know us, in three steps a day apart: the new
    ones are published, then used, then the old ones are dropped. No restart is needed.

    \b
    Example:
      carecue key rotate
      carecue key rotate --finish
      carecue key rotate --signing
    """
    rotated: Rotated | SigningStep
    try:
        if finish and signing:
            raise BadInputError(
                "--finish goes with the sealing key; --signing always takes its next "
                "step. Nothing was changed."
            )
        with open_runtime(read_settings()) as runtime:
            if signing:
                rotated = rotate_signing(runtime, by)
            else:
                step = finish_rotation if finish else begin_rotation
                rotated = step(runtime, by)
    except CareCueError as error:
        fail(error)
    _say(as_json, rotated)


def _say(as_json: bool, result: Erased | RestoreCheck | Rotated | SigningStep) -> None:
    if as_json:
        click.echo(orjson.dumps(result.as_json()))
    else:
        click.echo("\n".join(result.sentences()))
