"""Stewardship: what must be done by hand after a database was restored."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.wiring.restoring import check_restore, mark_restore
from middleware.wiring.runtime import open_runtime


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
        start = _instant(since) if since else None
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


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise BadInputError(
            f"--since {text} is not an instant like 2026-11-16T02:00:00Z. Nothing was "
            "changed."
        )
    return instant.astimezone(UTC)


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
    if as_json:
        click.echo(orjson.dumps(found.as_json()))
    else:
        click.echo("\n".join(found.sentences()))
    if not found.complete:
        raise SystemExit(1)
