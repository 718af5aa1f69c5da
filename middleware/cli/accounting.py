"""The accounting of one patient: who saw and changed what, also as FHIR AuditEvents."""

from __future__ import annotations

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.instants import read_since
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.wiring.accounting import account_patient
from middleware.wiring.runtime import open_runtime


@click.command("audit")
@click.option("--patient", "reference", required=True, help="As in Patient/123.")
@click.option("--endpoint", required=True, help="The endpoint's id.")
@click.option("--since", help="Only from then on: an instant with its UTC offset.")
@click.option(
    "--fhir",
    "release",
    type=click.Choice(["R4", "R5"]),
    help="Print a Bundle of AuditEvents of this release.",
)
@click.option("--by", default="command line", help="Who asks; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def account(
    reference: str,
    endpoint: str,
    since: str | None,
    release: str | None,
    by: str,
    as_json: bool,
) -> None:
    """List who saw and changed what of one patient, the oldest first.

    Each view is told with how many resources of each type were read for it, and why as
    far as the launch said. Nothing that a chart says is in it.

    \b
    Example:
      carecue patient audit --patient Patient/123 --endpoint northside
      carecue patient audit --patient Patient/123 --endpoint northside --fhir R4
    """
    try:
        start = read_since(since) if since else None
        with open_runtime(read_settings()) as runtime:
            found = account_patient(runtime, endpoint, reference, by, since=start)
    except CareCueError as error:
        fail(error)
    if release:
        click.echo(orjson.dumps(found.as_bundle(release)))
    elif as_json:
        click.echo(orjson.dumps(found.as_json()))
    else:
        click.echo("\n".join(found.sentences()) or "Nobody saw or changed anything.")
