"""Stewardship: what must be done by hand after a database was restored."""

from __future__ import annotations

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.storage import audit, marks
from middleware.wiring.restoring import check_restore
from middleware.wiring.runtime import open_runtime


@click.group()
def restore() -> None:
    """After a restore: everything is held until the world was reconciled."""


@restore.command()
@click.option("--by", default="command line", help="Who restored; it is audited.")
def mark(by: str) -> None:
    """Say that this database was restored: all messages are held from now on.

    \b
    Example:
      carecue restore mark
    """
    try:
        with open_runtime(read_settings()) as runtime:
            now = runtime.clock.now()
            with runtime.database.tx() as tx:
                marks.put_mark(tx, marks.RESTORE_UNCHECKED, now.isoformat())
                audit.insert_audit(tx, by, "restore-mark", now)
    except CareCueError as error:
        fail(error)
    click.echo("All messages are held. Run `carecue restore check` next.")


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
