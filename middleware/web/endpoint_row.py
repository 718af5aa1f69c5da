"""One endpoint as the console's table shows it: six named checks and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mappings.endpoint import Endpoint
from mappings.event import FOCUS_TYPES
from middleware.storage import (
    completeness,
    conditions,
    controls,
    inbox,
    subscriptions,
)
from middleware.storage.connecting import Tx
from middleware.storage.console_reading import EndpointWork
from middleware.storage.controls import ControlRow
from middleware.storage.subscriptions import SubscriptionRow
from middleware.web.subscription_row import list_pushed_types, say_share
from subscriptions.case import Action
from subscriptions.memory import load_memory

POLL_LATE = timedelta(minutes=15)
BROKEN = ("error", "off")


@dataclass(frozen=True)
class Check:
    """One check: its tone (ok, info, warn, stop, off) and what it saw."""

    tone: str
    said: str


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint with its checks.

    ``last_poll`` is of the type that was read longest ago, ``poll_error`` its fault;
    ``alerts`` are Subscriptions that need a person, with the controller's sentence;
    ``share`` is what push delivered of all that was found in seven days; ``unread``
    counts the subscriptions whose misses could not be read again yet.
    """

    id: str
    name: str
    kind: str
    base: str
    tone: str
    word: str
    read: Check
    push: Check
    share: Check
    events: Check
    messages: Check
    record: Check
    last_notification: datetime | None
    last_poll: datetime | None
    poll_error: str | None
    event_count: int
    alerts: tuple[str, ...] = ()
    unread: int = 0


def read_row(
    tx: Tx, endpoint: Endpoint, work: EndpointWork, now: datetime
) -> EndpointRow:
    """Read and judge one endpoint."""
    mine = subscriptions.list_subscriptions(tx, endpoint.id)
    polls = inbox.list_polls(tx, endpoint.id, FOCUS_TYPES)
    error = next((item.error for item in polls if item.error), None)
    last_poll = min((item.polled_at for item in polls), default=None)
    unread = not any(item.read_at for item in polls)
    read = _read(last_poll, error, now)
    if endpoint.is_app_alone and unread:
        read = APP_ALONE
    wanted = controls.list_controls(tx, endpoint.id)
    polled = {row.id for row in wanted if load_memory(row.memory).action == Action.POLL}
    push = _push([row for row in mine if row.id not in polled])
    share = _share(tx, endpoint.id, mine, now)
    tone, word = _status(read, push, share)
    return EndpointRow(
        id=endpoint.id,
        name=endpoint.name,
        kind=endpoint.kind.value,
        base=endpoint.fhir_base,
        tone=tone,
        word=word,
        read=read,
        push=push,
        share=share,
        events=_bad(work.dead, "stop", "given up", f"{work.events:,} handled"),
        messages=_bad(work.failed, "warn", "failed", "None failed"),
        record=_bad(work.kept, "warn", "refused", f"{work.recorded:,} written"),
        last_notification=max(
            (row.last_seen_at for row in mine if row.last_seen_at), default=None
        ),
        last_poll=last_poll,
        poll_error=error,
        event_count=work.events,
        alerts=_alerts(wanted),
        unread=_unread(tx, endpoint.id),
    )


APP_ALONE = Check("off", "Not read: no [backend]")


def _read(oldest: datetime | None, error: str | None, now: datetime) -> Check:
    if error:
        return Check("stop", "Cannot be read")
    if oldest is None:
        return Check("warn", "Not read yet")
    if now - oldest > POLL_LATE:
        return Check("warn", "Not read lately")
    return Check("ok", "Read")


def _push(rows: list[SubscriptionRow]) -> Check:
    if not rows:
        return Check("off", "No subscription")
    broken = [row for row in rows if row.status in BROKEN]
    if broken:
        return Check("warn", f"{len(broken)} of {len(rows)} off")
    silent = [row for row in rows if row.last_seen_at is None]
    if silent:
        return Check("info", f"{len(rows) - len(silent)} of {len(rows)} heard")
    return Check("ok", f"{len(rows)} of {len(rows)} heard")


def _alerts(wanted: list[ControlRow]) -> tuple[str, ...]:
    return tuple(
        f"{row.resource_type}: {load_memory(row.memory).reason}"
        for row in wanted
        if load_memory(row.memory).alert
    )


def _unread(tx: Tx, endpoint_id: str) -> int:
    watched = conditions.list_watched(tx, endpoint_id)
    return sum(item.condition.error is not None for item in watched)


def _share(
    tx: Tx, endpoint_id: str, rows: list[SubscriptionRow], now: datetime
) -> Check:
    """Judge the types that have a subscription: only there push could deliver."""
    types = list_pushed_types(rows)
    shares = completeness.read_shares(tx, now).items()
    mine = [
        share
        for (owner, name), share in shares
        if owner == endpoint_id and name in types
    ]
    whole = completeness.Share(
        sum(share.found for share in mine), sum(share.pushed for share in mine)
    )
    return Check(*say_share(whole, subscribed=bool(rows)))


def _bad(number: int, tone: str, word: str, fine: str) -> Check:
    return Check(tone, f"{number:,} {word}") if number else Check("ok", fine)


def _status(read: Check, push: Check, share: Check) -> tuple[str, str]:
    if read.tone == "stop":
        return "stop", "Cannot read"
    if read.tone == "warn":
        return "warn", read.said
    if read == APP_ALONE:
        return "info", "App only"
    if push.tone in ("warn", "off") or share.tone == "warn":
        return "ok", "Healthy, polling only"
    return "ok", "Healthy"


def subscription_word(row: SubscriptionRow) -> tuple[str, str]:
    """Return the tone and word of one subscription."""
    if row.status in BROKEN:
        return "warn", row.status.capitalize()
    if row.status == "requested":
        return "info", "Asked for, not active yet"
    if row.last_seen_at is None:
        return "info", "Nothing heard yet"
    return "ok", "Active"


def controlled(row: ControlRow) -> str:
    """Return the controller's sentence on one subscription."""
    return load_memory(row.memory).reason or "It is looked at next."
