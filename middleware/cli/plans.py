"""Clinical content: listed, checked, imported and exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
import orjson

from mappings.content_merge import Placed, merge_content, read_placed, require_newer
from mappings.content_validity import find_invalid
from mappings.endpoint import Site
from mappings.errors import BadInputError, CareCueError, ContentError
from middleware.cli.decide_files import read_now
from middleware.cli.output import fail, progress
from middleware.cli.plan_rows import list_rows, write_lines
from middleware.cli.rollout import dry_run, off, on, standing
from middleware.clock import SystemClock
from middleware.decisions.checking import check_library
from middleware.decisions.content_checks import check_content
from middleware.settings import read_settings
from middleware.storage import audit, content, endpoints
from middleware.storage.connecting import Tx
from middleware.wiring.content_files import read_files, shipped, write_files
from middleware.wiring.contents import folder_content, list_in_force
from middleware.wiring.runtime import Runtime, open_runtime

NOBODY = Site(name="", phone="", booking_url="", zone="UTC")
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object."
)
_endpoint = click.option(
    "--endpoint",
    "endpoint_id",
    default="",
    help="One site alone; without it, every site.",
)


@click.group()
def plan() -> None:
    """Clinical content: plans, wordings and value sets."""


@plan.command("list")
@_endpoint
@_as_json
def list_(endpoint_id: str, as_json: bool) -> None:
    """List the plans in force: status, version, period, who approved the words.

    \b
    Example:
      carecue plan list --endpoint northside
    """
    with _failing(), _in_force(endpoint_id) as (placed, site, now):
        rows = list_rows(placed, site, now)
    if as_json:
        click.echo(orjson.dumps({"plans": rows}))
        return
    for line in write_lines(rows):
        click.echo(line)


@plan.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--now", default="", help="Judge periods at this instant, ISO 8601.")
@_as_json
def check(folder: Path | None, now: str, as_json: bool) -> None:
    """Check every plan, value set and wording, those of a folder beside the shipped.

    Is it valid FHIR, does each expression compile and run, do codes and references
    exist, is the content in its period, can each wording be sent.

    \b
    Example:
      carecue plan check content/
    """
    with _failing():
        instant = read_now(now) if now else SystemClock().now()
        place = folder or read_settings().content_dir
        fresh = read_files(place) if place else ()
        faults = _check(fresh, shipped(), instant)
    if as_json:
        click.echo(orjson.dumps({"faults": faults}))
    else:
        click.echo("\n".join(faults) or "Every plan, value set and wording is usable.")
    if faults:
        raise SystemExit(1)


@plan.command("import")
@click.argument("place", type=click.Path(path_type=Path))
@_endpoint
@click.option("--by", default="command line", help="Who does it.")
@_as_json
def import_(place: Path, endpoint_id: str, by: str, as_json: bool) -> None:
    """Add or replace content from a JSON file or a folder, after every check.

    What has the URL of a plan in force replaces it, with a higher version. A fault
    anywhere changes nothing. It counts within 10 seconds.

    \b
    Example:
      carecue plan import content/ --endpoint northside --by "Dr. L. Ferrer"
    """
    with _failing(), open_runtime(read_settings()) as runtime:
        fresh = read_files(place)
        now = runtime.clock.now()
        with runtime.database.tx() as tx:
            _site_of(tx, endpoint_id)
            present = list_in_force(tx, runtime.settings.content_dir, endpoint_id)
        faults = _check(fresh, present, now)
        if faults:
            more = f" (and {len(faults) - 1} more)" if faults[1:] else ""
            raise ContentError(f"{faults[0]}{more}. Nothing was imported.")
        count = _store(runtime, endpoint_id, fresh, now, by)
    if as_json:
        click.echo(orjson.dumps({"imported": count, "endpoint": endpoint_id or None}))
    else:
        click.echo(f"Imported {count} of {len(fresh)} resources; the rest are known.")


@plan.command()
@click.option("--to", type=click.Path(path_type=Path), help="Folder to write to.")
@_endpoint
@_as_json
def export(to: Path | None, endpoint_id: str, as_json: bool) -> None:
    """Write the content in force to a folder, or as one Bundle.

    \b
    Example:
      carecue plan export --to content/
    """
    with _failing(), _in_force(endpoint_id) as (placed, _, _):
        if to is not None:
            count = write_files(to, placed)
            click.echo(
                orjson.dumps({"written": count})
                if as_json
                else f"Wrote {count} resources to {to}."
            )
            return
        entries = [{"fullUrl": item.url, "resource": item.resource} for item in placed]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    click.echo(orjson.dumps(bundle))


def _check(
    fresh: tuple[Placed, ...], present: tuple[Placed, ...], now: datetime
) -> list[str]:
    """Return every fault of fresh content and of the library that it makes."""
    require_newer(fresh, present)
    placed = merge_content(present, fresh)
    progress(f"checking {len(placed)} resources")
    judged = fresh or placed
    invalid = [fault for item in judged for fault in find_invalid(item)]
    if invalid:
        return invalid
    library = read_placed(placed)
    resources = [item.resource for item in placed]
    return [*check_content(resources, now), *check_library(library)]


def _store(
    runtime: Runtime,
    endpoint_id: str,
    fresh: tuple[Placed, ...],
    now: datetime,
    by: str,
) -> int:
    with runtime.database.tx() as tx:
        resources = [item.resource for item in fresh]
        count = content.insert_content(tx, endpoint_id, resources, now, by)
        names = [f"{item.url}|{item.resource['version']}" for item in fresh]
        audit.insert_audit(
            tx,
            by,
            "plan-import",
            now,
            endpoint_id=endpoint_id or None,
            detail={"content": names},
        )
    return count


@contextmanager
def _in_force(
    endpoint_id: str,
) -> Iterator[tuple[tuple[Placed, ...], Site, datetime]]:
    """Give what is in force with its site and the time; without a database too."""
    settings = read_settings()
    if settings.database_url is None:
        if endpoint_id:
            raise BadInputError("Set CARECUE_DATABASE_URL to ask for one site.")
        placed = merge_content(shipped(), folder_content(settings.content_dir))
        yield placed, NOBODY, SystemClock().now()
        return
    with open_runtime(settings) as runtime:
        with runtime.database.tx() as tx:
            site = _site_of(tx, endpoint_id)
            placed = list_in_force(tx, settings.content_dir, endpoint_id)
        yield placed, site, runtime.clock.now()


def _site_of(tx: Tx, endpoint_id: str) -> Site:
    """Return the site of an endpoint; that of nobody for every site."""
    if not endpoint_id:
        return NOBODY
    endpoint = endpoints.get_endpoint(tx, endpoint_id)
    if endpoint is None:
        raise BadInputError(f"There is no endpoint {endpoint_id}. Nothing was changed.")
    return endpoint.site


@contextmanager
def _failing() -> Iterator[None]:
    """End with one clear line: 2 where what was given is at fault."""
    try:
        yield
    except ContentError as error:
        fail(BadInputError(error.message))
    except CareCueError as error:
        fail(error)


for command in (dry_run, off, on, standing):
    plan.add_command(command)
