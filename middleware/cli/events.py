"""Operations: the event log, what was set aside, and trying again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
import orjson

from mappings.errors import BadInputError, CareCueError
from middleware.cli.output import fail, progress
from middleware.settings import read_settings
from middleware.stages.replaying import replay_quarantined
from middleware.storage import audit, outbox, overview, quarantine, timeline
from middleware.storage.connecting import Tx
from middleware.storage.rows import revive_rows
from middleware.wiring.runtime import open_runtime
from subscriptions.outline import write_outline


@click.group()
def events() -> None:
    """Clinical events: list them, show one, try again what was given up."""


RECEIVE = "receive"
RECORD = "record"
TABLES = {
    "resolve": "inbox",
    "decide": "event",
    RECORD: "outbox",
    "listen": "inbound",
}


@events.command("list")
@click.option("--limit", default=20, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(limit: int, as_json: bool) -> None:
    """List the last events.

    \b
    Example:
      carecue events list --limit 50
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            page = overview.list_events_page(tx, limit, None)
    except CareCueError as error:
        fail(error)
    if as_json:
        rows = [
            {
                "id": row.id,
                "kind": row.kind,
                "focus": row.focus,
                "occurred_at": row.occurred_at.isoformat(),
                "state": row.state,
            }
            for row in page
        ]
        click.echo(orjson.dumps({"events": rows}))
        return
    for row in page:
        click.echo(
            f"{row.occurred_at:%Y-%m-%d %H:%M}  {row.kind:28} {row.focus:28} {row.id}"
        )


@events.command()
@click.argument("event_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(event_id: str, as_json: bool) -> None:
    """Show one event: received, read, decided, due, sent, answered.

    \b
    Example:
      carecue events show 3f2b6c1e-5a0d-4c8e-9f1e-2b7a4d6c8e01
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            steps = timeline.timeline(tx, event_id)
        if not steps:
            raise BadInputError(f"There is no event {event_id}.")
    except CareCueError as error:
        fail(error)
    if as_json:
        rows = [
            {"at": at.isoformat(), "step": step, "text": text}
            for at, step, text in steps
        ]
        click.echo(orjson.dumps({"timeline": rows}))
        return
    for at, step, text in steps:
        click.echo(f"{at:%Y-%m-%d %H:%M:%S}  {step:10} {text}")


def _revive(tx: Tx, stage: str, now: datetime) -> list[int]:
    """Let what a stage gave up be tried again; return the shard of each row."""
    forbidden = outbox.revive_forbidden(tx, now) if stage == RECORD else []
    return [*revive_rows(tx, TABLES[stage], now), *forbidden]


@events.command()
@click.option(
    "--stage",
    type=click.Choice([RECEIVE, *TABLES]),
    help="Of one stage (receive: what was set aside); else of all.",
)
@click.option("--by", default="command line", help="Who does it; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(stage: str | None, by: str, as_json: bool) -> None:
    """Try again what was given up, once its cause is mended; nothing is done twice.

    \b
    Example:
      carecue events replay --stage resolve
    """
    counts: dict[str, int] = {}
    aside = 0
    try:
        with open_runtime(read_settings()) as runtime:
            now = runtime.clock.now()
            if stage in (None, RECEIVE):
                done = replay_quarantined(runtime.database, runtime.wakes.wake, by, now)
                counts[RECEIVE], aside = done.read, done.kept
            for name in [stage] if stage else list(TABLES):
                if name == RECEIVE:
                    continue
                with runtime.database.tx() as tx:
                    shards = _revive(tx, name, now)
                    detail = {"rows": len(shards)}
                    if shards:
                        audit.insert_audit(
                            tx, by, "replay", now, subject=name, detail=detail
                        )
                counts[name] = len(shards)
                for shard in sorted(set(shards)):
                    runtime.wakes.wake(name, shard)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps({"replayed": counts}))
    else:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        click.echo(f"Tried again: {said}")
    if aside:
        progress(
            f"{aside} stay set aside and keep their content; "
            "`carecue events quarantined` says why."
        )


@events.command()
@click.option("--id", "only", type=int, help="One of them, with its outline.")
@click.option("--limit", default=20, help="How many, oldest first.")
@click.option("--by", default="command line", help="Who looks at one; it is audited.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quarantined(only: int | None, limit: int, by: str, as_json: bool) -> None:
    """List the notifications that were set aside, and why; ids only, no chart.

    \b
    Example:
      carecue events quarantined --id 42
    """
    after, most = (0, limit) if only is None else (only - 1, 1)
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            rows = quarantine.list_quarantined(tx, after, most)
            if only is not None:
                now = runtime.clock.now()
                audit.insert_audit(tx, by, "quarantine-view", now, subject=str(only))
        if only is not None and [row.id for row in rows] != [only]:
            raise BadInputError(f"Notification {only} is not set aside.")
    except CareCueError as error:
        fail(error)
    values = [_tell(row, outlined=only is not None) for row in rows]
    if as_json:
        click.echo(orjson.dumps({"quarantined": values}))
        return
    for value in values:
        click.echo(
            f"{value['id']}  {value['received_at']}  {value['endpoint']}  "
            f"{value['method']} {value['path']}  {value['bytes']} bytes: {value['error']}"
        )
        if "outline" in value:
            click.echo(orjson.dumps(value["outline"], option=orjson.OPT_INDENT_2))


def _tell(row: quarantine.Quarantined, *, outlined: bool) -> dict[str, Any]:
    told = {
        "id": row.id,
        "received_at": row.received_at.isoformat(timespec="seconds"),
        "endpoint": row.endpoint_id,
        "subscription": row.subscription_id,
        "method": row.method,
        "path": row.path[:80],
        "content_type": row.headers.get("Content-Type"),
        "bytes": len(row.body),
        "error": row.error,
    }
    return {**told, "outline": write_outline(row.body)} if outlined else told
