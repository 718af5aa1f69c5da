"""Addresses for senders that are set up by hand, not through a FHIR Subscription."""

from __future__ import annotations

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from mappings.event import FOCUS_TYPES
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.storage import endpoints
from middleware.wiring.hooking import open_hook
from middleware.wiring.runtime import open_runtime
from subscriptions.proving import Proof

_SAYINGS = {
    Proof.HEADER: "The sender puts it into the header Authorization: Bearer SECRET.",
    Proof.HMAC: "The sender signs with it: X-Hub-Signature: sha256=HEX, or X-Signature.",
    Proof.QUERY: "It is in the address, so keep the address out of logs.",
}


@click.command()
@click.argument("name")
@click.option(
    "--proof",
    type=click.Choice([proof.value for proof in Proof]),
    default=Proof.HEADER.value,
    help="How deliveries are proved; no other way counts.",
)
@click.option(
    "--type",
    "resource_type",
    type=click.Choice(FOCUS_TYPES),
    help="Search this type when a delivery names nothing; else all.",
)
@click.option("--by", default="command line", help="Who does it; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hook(
    name: str, proof: str, resource_type: str | None, by: str, as_json: bool
) -> None:
    """Make an address at which a cloud, a broker or a message sender notifies us.

    For Event Grid, Pub/Sub, Da Vinci alerts and whoever else is set up by hand; an EHR
    that takes Subscriptions is asked by `carecue endpoint subscribe`. The secret is
    shown once.

    \b
    Example:
      carecue hook northside --proof query
    """
    try:
        with open_runtime(read_settings()) as runtime:
            with runtime.database.tx() as tx:
                known = endpoints.get_endpoint(tx, name)
            if known is None:
                raise BadInputError(f"There is no endpoint {name!r}. Nothing was made.")
            made = open_hook(runtime, known, resource_type, Proof(proof), by)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"url": made.url, "secret": made.secret}))
        return
    click.echo(f"Address: {made.url}")
    click.echo(f"Secret:  {made.secret}")
    click.echo(_SAYINGS[Proof(proof)])
