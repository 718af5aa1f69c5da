"""``carecue bench deliver``: from the gate's commit to the provider's acceptance.

In that time a denial comes too late. The whole line is real: worker processes, the
chart read again over HTTP, the gate under lock, SMTP, and the SMS provider's HTTP.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.bench_bodies import FIRST
from middleware.cli.bench_figures import percentile
from middleware.cli.bench_options import as_json, whole
from middleware.cli.bench_rig import ENDPOINT, ehr_base, own_database
from middleware.cli.demo_connect import SMS_FROM, SMS_SID
from middleware.cli.demo_parts import (
    Children,
    Ports,
    choose_ports,
    clean_environment,
    wait_until,
)
from middleware.cli.output import fail, progress
from middleware.ports import RandomIds
from middleware.settings import Settings, environment_of, read_settings
from middleware.storage import benching, endpoints, hand_overs, inbox
from middleware.storage.ids import shard_of
from middleware.wiring.runtime import Runtime, open_runtime
from middleware.wiring.sandbox_control import SandboxControl

# Numbers that are nobody's: a hundred of each of these areas.
AREAS = (217, 224, 309, 312, 618, 630, 708, 773, 815, 847)
NOBODY = 5_550_100
LOOK_SECONDS = 0.2
# Given up when fewer than so many a second are handed over.
LEAST_PER_SECOND = 2.0
Person = tuple[int, str, str]


@click.command()
@as_json
@whole("--messages", 2, 2000, 400, "Half of them texts, half e-mails.")
@whole("--workers", 1, 16, 2, "Worker processes.")
def deliver(as_json: bool, messages: int, workers: int) -> None:
    """Send messages over real SMTP and HTTP, and say how long a denial comes too late.

    All are due at once, so the figures are those of a worker with its hands full. The
    provider's own time is in them.

    \b
    Examples:
      carecue bench deliver
      carecue bench deliver --json --messages 1000
    """
    try:
        with tempfile.TemporaryDirectory(prefix="carecue-bench-") as folder:
            result = _measure(Path(folder), messages, workers)
    except CareCueError as error:
        fail(error)
    if as_json:
        click.echo(orjson.dumps(result))
    else:
        _print(result)
    if result["sent"] != messages:
        progress(f"did not hold: every message sent; {result['states']}")
        raise SystemExit(1)


def _measure(home: Path, messages: int, workers: int) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(own_database(home))
        ports = choose_ports(home, None, usual=False)
        settings = _settings(home, url, ports)
        runtime = stack.enter_context(open_runtime(settings))
        began = runtime.clock.now()
        people = _people(messages)
        server = _prepare(runtime, ports, people, began)
        children = stack.enter_context(_started(home, settings, ports))
        progress(f"{messages} messages, {workers} workers")
        environment = {**clean_environment(), **environment_of(settings)}
        for index in range(workers):
            children.start(f"worker{index + 1}", ["worker"], environment)
        _wait(runtime, children, messages)
        with runtime.database.tx() as tx:
            taken = hand_overs.list_hand_overs(tx, began)
            states = benching.count_deliveries(tx)
    return {
        "messages": messages,
        "sent": len(taken),
        "states": states,
        "workers": workers,
        "channels": {
            name: _figures([took for channel, took in taken if channel == name])
            for name in sorted({channel for channel, _ in taken})
        },
        **_figures([took for _, took in taken]),
        "postgresql": server.version,
        "fsync": server.fsync,
        "synchronous_commit": server.synchronous_commit,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _figures(ordered: Sequence[float]) -> dict[str, float | int]:
    found = {f"p{rank}_ms": percentile(ordered, rank) for rank in (50, 95, 99)}
    return {"count": len(ordered), **found, "max_ms": percentile(ordered, 100)}


def _settings(home: Path, url: str, ports: Ports) -> Settings:
    return read_settings(
        home=home,
        database_url=url,
        secret_key_file=None,
        movable_clock=False,
        poll_seconds=3600,
        sms_base_url=f"http://127.0.0.1:{ports.console}",
        sms_account_sid=SMS_SID,
        sms_auth_token=RandomIds().secret(),
        sms_from_number=SMS_FROM,
        smtp_host="127.0.0.1",
        smtp_port=ports.smtp,
        smtp_from="reminders@bench.example.org",
        smtp_security="none",
    )


def _people(count: int) -> list[Person]:
    """Return number, channel and address of so many patients of the EHR."""
    found: list[Person] = []
    for turn in range(count // 2):
        number = AREAS[turn // 100] * 10_000_000 + NOBODY + turn % 100
        found.append((number, "sms", f"+1{number}"))
    mailed = range(FIRST, FIRST + count - count // 2)
    found += [(n, "email", f"p{n}@bench.example.org") for n in mailed]
    return found


def _prepare(
    runtime: Runtime, ports: Ports, people: Sequence[Person], now: datetime
) -> benching.Server:
    """Store the endpoint, what its patients permit, and that their stays ended."""
    # Its EHR finds no stay by a search: a look at the whole chart would end the message.
    site = replace(ENDPOINT.site, holiday_messages=True, review_days=0)
    endpoint = replace(ENDPOINT, fhir_base=ehr_base(ports.sandbox), site=site)
    named = [(f"Patient/p{number}", way, value) for number, way, value in people]
    with runtime.database.tx() as tx:
        endpoints.insert_endpoint(tx, endpoint, now)
        benching.permit(tx, endpoint.id, named, _afternoon(now), now)
        items = [_item(endpoint.id, number, now) for number, _, _ in people]
        inbox.insert_inbox(tx, items)
        return benching.read_server(tx)


def _item(endpoint_id: str, number: int, now: datetime) -> inbox.NewItem:
    focus = f"Encounter/{number}"
    return inbox.NewItem(
        key=f"bench|{focus}|2",
        endpoint_id=endpoint_id,
        subscription_id=None,
        notification_id=None,
        source="poll",
        focus=focus,
        version="2",
        event_number=None,
        resource_type="Encounter",
        interaction="update",
        shard=shard_of(endpoint_id, focus),
        received_at=now,
    )


def _afternoon(now: datetime) -> str:
    """Return a zone in which messages are permitted now: it is two there, or three."""
    offset = (14 - now.hour + 12) % 24 - 12
    # POSIX signs: Etc/GMT+5 lies west of Greenwich.
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


@contextlib.contextmanager
def _started(home: Path, settings: Settings, ports: Ports) -> Iterator[Children]:
    """Start the EHR, and the sandbox whose phones and mailboxes take the messages."""
    children = Children(home)
    try:
        clean = clean_environment()
        children.start("ehr", ["bench", "ehr", "--later", str(ports.sandbox)], clean)
        options = [f"--port={ports.console}", f"--smtp-port={ports.smtp}"]
        children.start("sandbox", ["sandbox", *options], clean)
        control = SandboxControl(f"http://127.0.0.1:{ports.console}")
        wait_until("The provider", control.healthy, children)
        account = {
            "account_sid": SMS_SID,
            "auth_token": settings.sms_auth_token.reveal(),
            "from_number": SMS_FROM,
        }
        control.call("PUT", "/sandbox/sms", account)
        yield children
    finally:
        children.stop()


def _wait(runtime: Runtime, children: Children, messages: int) -> None:
    """Wait until each message went out; raises CareCueError after a while."""
    began = time.monotonic()
    pause = threading.Event()
    while True:
        children.check()
        with runtime.database.tx() as tx:
            states = benching.count_deliveries(tx)
        if states.get("sent", 0) + states.get("delivered", 0) == messages:
            return
        if time.monotonic() - began > messages / LEAST_PER_SECOND + 60:
            raise CareCueError(
                f"Not every message went in time: {states}. Nothing was sent to "
                "anybody; this machine is too slow for so many; try fewer."
            )
        pause.wait(LOOK_SECONDS)


def _print(result: dict[str, Any]) -> None:
    click.echo(
        f"PostgreSQL {result['postgresql']}, fsync {result['fsync']}, "
        f"synchronous_commit {result['synchronous_commit']}, {result['cpus']} CPUs, "
        f"{result['workers']} workers, load average {result['load_average']}"
    )
    click.echo(f"{'':10}{'sent':>8}{'p50 ms':>10}{'p95':>8}{'p99':>8}{'max':>9}")
    for name, part in (*result["channels"].items(), ("all", result)):
        click.echo(
            f"{name:10}{part['count']:>8}{part['p50_ms']:>10.1f}{part['p95_ms']:>8.1f}"
            f"{part['p99_ms']:>8.1f}{part['max_ms']:>9.1f}"
        )
