"""An endpoint's Subscriptions: ask for them, see how they stand, take them away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click
import orjson

from mappings.dialects.dialect import Content, Form
from mappings.endpoint import Endpoint
from mappings.errors import BadInputError, CareCueError
from mappings.event import FOCUS_TYPES
from middleware.cli.endpoint_known import get_known
from middleware.cli.output import fail, progress
from middleware.settings import read_settings
from middleware.storage import audit, circuits, controls, endpoints, inbox
from middleware.storage.circuits import CircuitRow
from middleware.storage.controls import ControlRow
from middleware.wiring.choosing import begin_polling, choose_subscriptions
from middleware.wiring.runtime import Runtime, open_runtime
from middleware.wiring.subscribing import (
    is_steady,
    retire_all,
    rotate_secrets,
    settle,
    want,
)
from subscriptions.case import SAFE
from subscriptions.memory import load_memory
from subscriptions.wanting import Wish

FORMS = click.Choice(["criteria", "backport", "r5"])
CONTENTS = click.Choice(["empty", "id-only", "full-resource"])
WAIT_SECONDS = 60.0


@click.command()
@click.argument("name")
@click.option("--form", type=FORMS, help="Instead of the form that suits the EHR.")
@click.option("--topic", help="Topic canonical, instead of one that the EHR publishes.")
@click.option("--content", type=CONTENTS, help="How much a notification carries.")
@click.option(
    "--type",
    "only",
    multiple=True,
    type=click.Choice((*FOCUS_TYPES, "Patient")),
    help="Resource type; all but Patient where none is given.",
)
@click.option("--rotate", is_flag=True, help="Make new secrets; change nothing else.")
@click.option("--wait", default=WAIT_SECONDS, help="Seconds to wait for activation.")
@click.option("--by", default="command line", help="Who does it; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def subscribe(
    name: str,
    form: Form | None,
    topic: str | None,
    content: Content | None,
    only: tuple[str, ...],
    rotate: bool,
    wait: float,
    by: str,
    as_json: bool,
) -> None:
    """Ask the EHR to notify us, in the best form it has; polling goes on beside it.

    \b
    Example:
      carecue endpoint subscribe northside
    """
    try:
        if form in ("backport", "r5") and topic and len(only) != 1:
            raise BadInputError("A --topic needs one --type. Nothing was asked for.")
        with open_runtime(read_settings()) as runtime:
            known = get_known(runtime, name)
            if rotate:
                _rotate(runtime, known, by)
            else:
                _want(runtime, known, Wish(form, topic, content), only or FOCUS_TYPES)
                _audit(runtime, by, "endpoint-subscribe", name)
            rows = settle(runtime, known, wait, _tell)
    except CareCueError as error:
        fail(error)
    _print(name, rows, as_json=as_json)
    if any(load_memory(row.memory).alert or not is_steady(row) for row in rows):
        raise SystemExit(1)


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(name: str, as_json: bool) -> None:
    """Say how it is read, how each Subscription stands, what is next, and what is safe.

    \b
    Example:
      carecue endpoint status northside
    """
    try:
        with open_runtime(read_settings()) as runtime:
            known = get_known(runtime, name)
            with runtime.database.tx() as tx:
                rows = controls.list_controls(tx, name)
                polls = inbox.list_polls(tx, name, FOCUS_TYPES)
                shut = circuits.list_shut(tx, runtime.clock.now())
    except CareCueError as error:
        fail(error)
    alone = next((row for row in shut if row.endpoint_id == name), None)
    _print(name, rows, alone, polls, app_alone=known.is_app_alone, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also where the EHR cannot be asked.")
@click.option("--by", default="command line", help="Who does it; it is audited.")
def remove(name: str, force: bool, by: str) -> None:
    """Delete its Subscriptions, then remove an endpoint that has no events yet.

    One that has events keeps them; use `carecue hold` to stop its messages.

    \b
    Example:
      carecue endpoint remove northside
    """
    try:
        with open_runtime(read_settings()) as runtime:
            known = get_known(runtime, name)
            removed = _remove(runtime, known, by, force=force)
    except CareCueError as error:
        fail(error)
    if not removed:
        click.echo(
            f"Deleted the Subscriptions of {name}. It has events, so it stays and is "
            "still polled; stop its messages with `carecue hold --endpoint`."
        )
        raise SystemExit(1)
    click.echo(f"Deleted the Subscriptions of {name} and removed it.")


def _remove(runtime: Runtime, known: Endpoint, by: str, *, force: bool) -> bool:
    """Delete at the EHR, then here; False where events keep it."""
    retire_all(runtime, known)
    rows = settle(runtime, known, WAIT_SECONDS, _tell)
    if rows and not force:
        raise CareCueError(
            f"{len(rows)} Subscriptions could not be deleted at the EHR. {known.id} "
            "stays and the worker goes on trying; --force removes it all the same."
        )
    with runtime.database.tx() as tx:
        removed = endpoints.delete_endpoint(tx, known.id)
        now = runtime.clock.now()
        audit.insert_audit(tx, by, "endpoint-remove", now, subject=known.id)
    return removed


def _want(runtime: Runtime, known: Endpoint, wish: Wish, types: Sequence[str]) -> None:
    progress("reading what the EHR can do")
    choice = choose_subscriptions(runtime, known, wish, types)
    progress(
        f"{choice.dialect.title}, FHIR {choice.version}, "
        f"{len(choice.topics)} topics that are known"
    )
    begin_polling(runtime, known)
    want(runtime, known, choice.wanted, types)


def _rotate(runtime: Runtime, known: Endpoint, by: str) -> None:
    count = rotate_secrets(runtime, known)
    _audit(runtime, by, "endpoint-rotate", known.id)
    progress(f"{count} new secrets; the old ones are accepted for two more hours")


def _audit(runtime: Runtime, by: str, action: str, name: str) -> None:
    with runtime.database.tx() as tx:
        now = runtime.clock.now()
        audit.insert_audit(tx, by, action, now, endpoint_id=name)


def _tell(row: ControlRow) -> None:
    progress(f"{_name(row)}: {load_memory(row.memory).reason}")


def _name(row: ControlRow) -> str:
    return f"{row.resource_type} {row.slot}".strip()


def _print(
    name: str,
    rows: Sequence[ControlRow],
    alone: CircuitRow | None = None,
    polls: Sequence[inbox.Poll] = (),
    *,
    app_alone: bool = False,
    as_json: bool,
) -> None:
    if as_json:
        values: dict[str, Any] = {
            "endpoint": name,
            "subscriptions": [_describe(row) for row in rows],
            "polls": [asdict(poll) for poll in polls],
            "safe": SAFE,
        }
        if alone:
            values["left_alone_until"] = alone.shut_until
        click.echo(orjson.dumps(values))
        return
    if alone:
        click.echo(
            f"! {name} did not answer several times in a row: left alone until "
            f"{alone.shut_until.isoformat()} by {alone.workers} of the workers."
        )
    for line in _write_polls(polls, app_alone=app_alone):
        click.echo(line)
    if not rows and not app_alone:
        click.echo(f"No Subscription is wanted of {name}; it is polled.")
    for row in rows:
        memory = load_memory(row.memory)
        mark = "!" if memory.alert else " "
        click.echo(f"{mark} {_name(row)}: {row.status}. {memory.reason}")
        for sentence in row.differences:
            click.echo(f"    differs: {sentence}")
        if row.trouble:
            click.echo(f"    trouble: {row.trouble} since {row.trouble_at}")
        if memory.next_at:
            click.echo(f"    next look: {memory.next_at.isoformat()}")
    click.echo(SAFE)


def _write_polls(polls: Sequence[inbox.Poll], *, app_alone: bool) -> Iterator[str]:
    """Yield the faults of reading it by polls."""
    if app_alone and not any(poll.read_at for poll in polls):
        yield (
            "No events are read here: no [backend] is written in its file. Launches of "
            "the SMART app need none."
        )
        return
    for poll in polls:
        if poll.error:
            last = (
                f"last read {poll.read_at.isoformat()}"
                if poll.read_at
                else "never read"
            )
            tried = f"last try {poll.polled_at.isoformat()}"
            yield f"! {poll.resource_type}: {last}, {tried}. {poll.error}"


def _describe(row: ControlRow) -> dict[str, Any]:
    memory = load_memory(row.memory)
    return {
        "type": row.resource_type,
        "slot": row.slot,
        "id": row.server_id,
        "status": row.seen_status or row.status,
        "asked": row.asked,
        "accepted": row.accepted,
        "differences": row.differences,
        "trouble": row.trouble,
        "trouble_at": row.trouble_at,
        "recovered_at": row.recovered_at,
        "action": memory.action,
        "reason": memory.reason,
        "alert": memory.alert,
        "tries": memory.tries,
        "next_at": memory.next_at,
        "safe": SAFE,
    }
