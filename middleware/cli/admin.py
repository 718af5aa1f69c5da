"""Administration: holds, explanations, the console's login link, the audit."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.audited import name_subject, say_action, say_subject, say_who
from mappings.errors import BadInputError, CareCueError
from middleware.channels.registry import CHANNELS
from middleware.cli.output import fail
from middleware.settings import read_settings
from middleware.storage import audit, endpoints, login_links, settling, switches
from middleware.storage.connecting import Tx
from middleware.storage.login_links import hash_token
from middleware.wiring.contents import list_known_plans
from middleware.wiring.explaining import explain_id
from middleware.wiring.runtime import open_runtime

LINK_LIFE = timedelta(minutes=10)
SCOPES = ("plan", "topic", "endpoint", "channel")


def _target(
    plan: str | None,
    topic: str | None,
    endpoint: str | None,
    channel: str | None,
    everything: bool,
) -> tuple[str, str]:
    given = dict(zip(SCOPES, (plan, topic, endpoint, channel), strict=True))
    named = [(scope, value) for scope, value in given.items() if value]
    if everything:
        named.append(("all", "*"))
    if len(named) != 1:
        raise BadInputError(
            "Name exactly one of --plan, --topic, --endpoint, --channel or --all. "
            "Nothing was changed."
        )
    return named[0]


def _target_options(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option("--all", "everything", is_flag=True, help="Everything."),
        click.option("--channel", help="One channel: sms, email or screen."),
        click.option("--endpoint", help="One endpoint, by id."),
        click.option("--topic", help="One topic, such as post-discharge."),
        click.option("--plan", help="One plan, by id."),
    ):
        command = option(command)
    return command


@click.command()
@_target_options
@click.option("--reason", required=True, help="Why; it is audited.")
@click.option("--by", default="command line", help="Who does it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hold(reason: str, by: str, as_json: bool, **chosen: Any) -> None:
    """Stop a plan, topic, endpoint, channel or everything, at once.

    \b
    Example:
      carecue hold --plan colorectal --reason "wording under review"
    """
    try:
        scope, target = _target(**chosen)
        with open_runtime(read_settings()) as runtime:
            now = runtime.clock.now()
            with runtime.database.tx() as tx:
                _require_known(tx, runtime.settings.content_dir, scope, target)
                switches.set_switch(
                    tx,
                    id=runtime.ids.new(),
                    scope=scope,
                    target=target,
                    reason=reason,
                    set_by=by,
                    now=now,
                )
                _audit(tx, by, "hold", f"{scope}:{target}", reason, now)
    except CareCueError as error:
        fail(error)
    _say(as_json, {"held": scope, "target": target, "reason": reason})


@click.command()
@_target_options
@click.option("--reason", required=True, help="Why; it is audited.")
@click.option("--by", default="command line", help="Who does it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def release(reason: str, by: str, as_json: bool, **chosen: Any) -> None:
    """Let go on what `carecue hold` stopped; what is past its time stays unsent.

    \b
    Example:
      carecue release --plan colorectal --reason "wording approved"
    """
    try:
        scope, target = _target(**chosen)
        with open_runtime(read_settings()) as runtime:
            now = runtime.clock.now()
            with runtime.database.tx() as tx:
                if not switches.release_switch(
                    tx, scope=scope, target=target, released_by=by, now=now
                ):
                    raise BadInputError(
                        f"There is no hold on {scope} {target}. Nothing was changed."
                    )
                shards = settling.look_again(tx, "switched-off", now)
                _audit(tx, by, "release", f"{scope}:{target}", reason, now)
            for shard in shards:
                runtime.wakes.wake("deliver", shard)
    except CareCueError as error:
        fail(error)
    _say(as_json, {"released": scope, "target": target, "reason": reason})


def _require_known(tx: Tx, folder: Path | None, scope: str, target: str) -> None:
    """Refuse what names nothing: a hold that stops nothing must not look like one."""
    plans = list_known_plans(tx, folder)
    known = {
        "plan": {name for plan in plans for name in (plan.id, plan.url)},
        "topic": {plan.topic for plan in plans},
        "endpoint": {
            name
            for item in endpoints.list_endpoints(tx)
            for name in (item.id, item.name)
        },
        "channel": set(CHANNELS),
        "all": {"*"},
    }[scope]
    if target not in known:
        raise BadInputError(
            f"There is no {scope} {target}. Nothing was held. Known: "
            f"{', '.join(sorted(known)) or 'none'}."
        )


def _audit(
    tx: Tx, who: str, action: str, subject: str, reason: str, now: datetime
) -> None:
    audit.insert_audit(tx, who, action, now, subject=subject, detail={"reason": reason})


@click.command()
@click.argument("identifier")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(identifier: str, as_json: bool) -> None:
    """Say why a message was sent or not: by event, nudge, delivery or decision id.

    \b
    Example:
      carecue explain 3f2b6c1e-5a0d-4c8e-9f1e-2b7a4d6c8e01
    """
    try:
        with open_runtime(read_settings()) as runtime:
            explanation = explain_id(runtime, identifier)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps(explanation.as_json()))
    else:
        click.echo("\n".join(explanation.sentences))


@click.command("console-link")
@click.option("--person", default="administrator", help="Who logs in; it is audited.")
def console_link(person: str) -> None:
    """Print a one-time link that opens the console for ten minutes.

    \b
    Example:
      carecue console-link --person "A. Mehta"
    """
    try:
        settings = read_settings()
        with open_runtime(settings) as runtime:
            token = runtime.ids.secret()
            now = runtime.clock.now()
            with runtime.database.tx() as tx:
                login_links.insert_login_link(
                    tx,
                    token_hash=hash_token(token),
                    person=person,
                    expires_at=now + LINK_LIFE,
                )
                audit.insert_audit(tx, person, "console-link", now)
    except CareCueError as error:
        fail(error)
    host, port = settings.console_host, settings.console_port
    click.echo(f"http://{host}:{port}/console/login?token={token}")


@click.command("audit")
@click.option("--limit", default=50, help="How many entries, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit_list(limit: int, as_json: bool) -> None:
    """List who did what, newest first.

    \b
    Example:
      carecue audit --limit 20
    """
    try:
        with open_runtime(read_settings()) as runtime, runtime.database.tx() as tx:
            entries = audit.list_audit(tx, limit=limit)
    except CareCueError as error:
        fail(error)
    if as_json:
        rows = [
            {
                "at": item.at.isoformat(),
                "who": item.who,
                "action": item.action,
                "subject": name_subject(item) or None,
            }
            for item in entries
        ]
        click.echo(orjson.dumps({"audit": rows}))
        return
    for item in entries:
        words = (say_who(item), say_action(item), say_subject(item), item.patient)
        told = "  ".join(word for word in words if word)
        click.echo(f"{item.at:%Y-%m-%d %H:%M}  {told}")


def _say(as_json: bool, value: dict[str, str]) -> None:
    if as_json:
        click.echo(orjson.dumps(value))
    else:
        click.echo(", ".join(f"{name} {text}" for name, text in value.items()))
