"""Endpoints: connect an EHR, subscribe there, see how it stands."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click
import orjson

from mappings.endpoint import Endpoint, EndpointKind
from mappings.endpoint_file import read_endpoint_file
from mappings.errors import BadInputError, CareCueError
from middleware.cli.endpoint_callers import read_callers, with_callers, write_callers
from middleware.cli.endpoint_check import check
from middleware.cli.endpoint_known import get_known
from middleware.cli.endpoint_subscriptions import remove, status, subscribe
from middleware.cli.output import fail
from middleware.decisions.timing import holiday_dates
from middleware.settings import read_settings
from middleware.storage import audit, endpoints, subscriptions
from middleware.storage import clock as stored_clock
from middleware.storage.connecting import Tx
from middleware.storage.sealed import APP_SECRET
from middleware.wiring.runtime import open_runtime


@click.group()
def endpoint() -> None:
    """EHRs: add one from a file, check it, subscribe, list, remove."""


for _command in (check, subscribe, status, remove):
    endpoint.add_command(_command)


@endpoint.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--by", default="command line", help="Who does it; it is audited.")
@with_callers
def add(file: Path, by: str, **cds: Any) -> None:
    """Store the endpoint that a TOML file describes (docs/operations.md).

    The options name who may call our CDS Hooks services. They go before the file's
    [cds]; adding the file again without them takes the file's again.

    \b
    Examples:
      carecue endpoint add northside.toml
      carecue endpoint add northside.toml --cds-issuer https://ehr.example.org/cds \\
        --cds-keys https://ehr.example.org/cds/jwks.json
    """
    try:
        described = read_endpoint_file(_read_text(file), read_callers(cds))
        settings = read_settings()
        with open_runtime(settings) as runtime:
            now = runtime.clock.now()
            holiday_dates(described.site.holidays, now.year)
            with runtime.database.tx() as tx:
                _require_true_time(tx, described, movable=settings.movable_clock)
                word = _store(tx, described, now)
                audit.insert_audit(
                    tx, by, "endpoint-add", now, endpoint_id=described.id
                )
    except CareCueError as error:
        fail(error)
    told = write_callers(described.cds)
    if told:
        click.echo(told)
    click.echo(f"{word} {described.id}. Next: carecue endpoint check {described.id}")


def _store(tx: Tx, described: Endpoint, now: datetime) -> str:
    """Insert or replace an endpoint, keeping its sealed secret; say which it was."""
    known = endpoints.get_endpoint(tx, described.id)
    for other in endpoints.list_endpoints(tx):
        if other.fhir_base == described.fhir_base and other.id != described.id:
            raise BadInputError(
                f"The endpoint {other.id} has this fhir_base already, and one server is "
                f"one endpoint. Nothing was changed. Write id = {other.id!r} to change "
                f"it, or take it away with `carecue endpoint remove {other.id}`."
            )
    if known is None:
        endpoints.insert_endpoint(tx, described, now)
        return "Stored"
    secret = known.profile.get(APP_SECRET)
    kept = {APP_SECRET: secret} if secret else {}
    profile = {**described.profile, **kept}
    endpoints.update_endpoint(tx, replace(described, profile=profile))
    return "Replaced"


def _require_true_time(tx: Tx, described: Endpoint, *, movable: bool) -> None:
    """Refuse any real endpoint where the clock may be moved, or has been."""
    if described.kind is EndpointKind.SANDBOX:
        return
    if movable or stored_clock.read_offset(tx):
        raise BadInputError(
            "This installation's clock can be moved or was moved, so only a sandbox may "
            "be connected to it. Nothing was stored; use a database of its own."
        )


@endpoint.command()
@click.argument("name")
@click.argument("file", type=click.File("r"))
@click.option("--by", default="command line", help="Who does it; it is audited.")
def secret(name: str, file: TextIO, by: str) -> None:
    """Seal the SMART app's client secret, read from FILE (- for standard input).

    Needed only where [app] authentication is client_secret_basic.

    \b
    Example:
      carecue endpoint secret northside secret.txt
    """
    try:
        text = file.read().strip()
        if not text:
            raise BadInputError("The file holds no secret. Nothing was stored.")
        with open_runtime(read_settings()) as runtime:
            known = get_known(runtime, name)
            sealed = runtime.sealer.seal(text.encode()).hex()
            profile = {**known.profile, APP_SECRET: sealed}
            with runtime.database.tx() as tx:
                endpoints.update_endpoint(tx, replace(known, profile=profile))
                now = runtime.clock.now()
                audit.insert_audit(tx, by, "endpoint-secret", now, endpoint_id=name)
    except CareCueError as error:
        fail(error)
    click.echo(f"Sealed the client secret of {name}.")


@endpoint.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(as_json: bool) -> None:
    """List the endpoints with their subscriptions.

    \b
    Example:
      carecue endpoint list
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            known = endpoints.list_endpoints(tx)
            rows = subscriptions.list_subscriptions(tx)
    except CareCueError as error:
        fail(error)
    if as_json:
        values = [
            {
                "id": item.id,
                "name": item.name,
                "kind": item.kind.value,
                "fhir_base": item.fhir_base,
                "site": asdict(item.site),
            }
            for item in known
        ]
        click.echo(orjson.dumps({"endpoints": values}))
        return
    for item in known:
        click.echo(f"{item.id}  {item.kind.value}  {item.fhir_base}")
        for row in rows:
            if row.endpoint_id == item.id:
                click.echo(f"  {row.resource_type}: {row.form}, {row.status}")


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInputError(
            f"{file} is not a text file in UTF-8. Nothing was changed."
        ) from None
