"""SOCKETS: listen at an EHR's WebSocket, for servers that cannot reach us.

What arrives enters the same inbox as a rest-hook delivery. A socket keeps nothing for
whoever was away, so each time it is opened, what changed meanwhile is searched.
Sources: Subscriptions R5 Backport IG 1.1, channels; FHIR R4 Subscription, websocket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import structlog

from mappings.endpoint import Endpoint
from mappings.errors import FhirError, NotificationError
from middleware.ports import FhirApi
from middleware.stages.context import StageContext
from middleware.stages.receive import keep_notification, register
from middleware.storage import subscriptions
from middleware.storage.subscriptions import SubscriptionRow
from subscriptions.parsing import parse_notification
from subscriptions.receiver import Received
from subscriptions.sockets import (
    Binding,
    Frame,
    FrameKind,
    find_socket_url,
    read_binding,
    read_frames,
    write_bind,
    write_bind_id,
    write_token_request,
)

TOKEN = "$get-ws-binding-token"  # noqa: S105 -- FHIR's name of an operation
OPENED = Frame(FrameKind.PING, None)

_log = structlog.get_logger(__name__)


class EventSocket(Protocol):
    """An open WebSocket. Raises FhirError once it is gone."""

    def send(self, text: str) -> None:
        """Say one message."""
        ...

    def receive(self, seconds: float) -> str | bytes | None:
        """Return the next message; None when none came in ``seconds``."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


@dataclass(frozen=True)
class SocketPorts:
    """What listening needs; ``open_socket`` raises FhirError.

    ``as_json`` tells whether an endpoint's server binds with a JSON message.
    """

    context: StageContext
    open_socket: Callable[[Endpoint, str], EventSocket]
    fetch_capabilities: Callable[[Endpoint], Mapping[str, Any]]
    as_json: Callable[[Endpoint], bool]


@dataclass(frozen=True)
class Line:
    """One open socket with whom it speaks for, by the server's id.

    ``renew_at`` is when to ask for its next token; None where it has none.
    """

    socket: EventSocket
    url: str
    rows: Mapping[str, SubscriptionRow]
    renew_at: datetime | None


def list_wanting(
    context: StageContext, endpoint: Endpoint
) -> dict[str, SubscriptionRow]:
    """Return this endpoint's Subscriptions that want a socket, by the server's id."""
    with context.database.tx() as tx:
        rows = subscriptions.list_subscriptions(tx, endpoint.id)
    return {
        row.server_id: row
        for row in rows
        if row.channel == "websocket" and row.server_id and row.status != "off"
    }


def open_lines(
    ports: SocketPorts,
    endpoint: Endpoint,
    rows: Mapping[str, SubscriptionRow],
    now: datetime,
) -> list[Line]:
    """Open and bind what is needed, one socket per URL, then search what was missed.

    Raises FhirError; sockets that were opened before are closed again.
    """
    opened: list[Line] = []
    try:
        for url, bindings, plain in _plan(ports, endpoint, rows, now):
            names = [
                *(name for item in bindings for name in item.subscriptions),
                *plain,
            ]
            line = Line(
                ports.open_socket(endpoint, url),
                url,
                {name: rows[name] for name in names},
                min((item.renew_at(now) for item in bindings), default=None),
            )
            opened.append(line)
            for item in bindings:
                as_json = ports.as_json(endpoint)
                line.socket.send(write_bind(item.token, as_json=as_json))
            for name in plain:
                line.socket.send(write_bind_id(name))
    except FhirError:
        close_lines(opened)
        raise
    for line in opened:
        for row in line.rows.values():
            _keep(ports, endpoint, row, OPENED, now)
    return opened


def close_lines(lines: Sequence[Line]) -> None:
    """Close every socket."""
    for line in lines:
        line.socket.close()


def take_turn(
    ports: SocketPorts, endpoint: Endpoint, line: Line, seconds: float
) -> Line | None:
    """Wait for one message and keep it; renew the token when it is time.

    Returns the line as it goes on; None when it must be opened anew. Raises FhirError
    when the socket is gone, StorageError when what arrived could not be kept.
    """
    text = line.socket.receive(seconds)
    now = ports.context.clock.now()
    if text is not None:
        for frame in read_frames(text):
            row = _row_of(line, frame)
            if row is not None and frame.kind in (FrameKind.PING, FrameKind.BUNDLE):
                _keep(ports, endpoint, row, frame, now)
    if line.renew_at is None or now < line.renew_at:
        return line
    return _renew(ports, endpoint, line, now)


def _plan(
    ports: SocketPorts,
    endpoint: Endpoint,
    rows: Mapping[str, SubscriptionRow],
    now: datetime,
) -> list[tuple[str, list[Binding], list[str]]]:
    """Return (URL, tokens to bind, ids to bind) for each socket that is needed."""
    bindings, plain = _fetch_bindings(ports.context.fhir(endpoint), rows, now)
    by_url: dict[str, tuple[list[Binding], list[str]]] = {}
    for item in bindings:
        by_url.setdefault(item.url, ([], []))[0].append(item)
    if plain:
        url = find_socket_url(ports.fetch_capabilities(endpoint))
        if url is None:
            raise FhirError(
                "The server gives no tokens and its CapabilityStatement names no "
                "WebSocket, so nothing is bound; the poll goes on; subscribe with a "
                "rest-hook instead",
                permanent=True,
            )
        by_url.setdefault(url, ([], []))[1].extend(plain)
    return [(url, tokens, ids) for url, (tokens, ids) in by_url.items()]


def _fetch_bindings(
    api: FhirApi, rows: Mapping[str, SubscriptionRow], now: datetime
) -> tuple[list[Binding], list[str]]:
    """Ask for one token for all, else for one each; return whose there are none of.

    Only R4 criteria can be bound by their id instead. Raises FhirError.
    """
    names = tuple(rows)
    path, asked = f"Subscription/{TOKEN}", write_token_request(names)
    whole = _fetch_binding(api, path, asked, now)
    if whole and (not whole.subscriptions or set(names) <= set(whole.subscriptions)):
        return [replace(whole, subscriptions=names)], []
    found, plain = [], []
    for name in names:
        binding = _fetch_binding(api, f"Subscription/{name}/{TOKEN}", (), now)
        if binding is not None:
            found.append(replace(binding, subscriptions=(name,)))
        elif rows[name].form == "criteria":
            plain.append(name)
        else:
            raise FhirError(
                "The server gives no token for a topic-based Subscription's WebSocket, "
                "so it is not bound; the poll goes on",
                permanent=True,
            )
    return found, plain


def _fetch_binding(
    api: FhirApi, path: str, asked: Sequence[Mapping[str, Any]], now: datetime
) -> Binding | None:
    """Ask for a token; None where the server has no such operation."""
    try:
        return read_binding(api.fetch_operation(path, asked), now)
    except NotificationError as error:
        raise FhirError(error.message) from None
    except FhirError as error:
        if error.status is None or not 400 <= error.status < 500:
            raise
        return None


def _renew(
    ports: SocketPorts, endpoint: Endpoint, line: Line, now: datetime
) -> Line | None:
    """Bind a fresh token on the same socket; None where the URL is another now."""
    fresh, _ = _fetch_bindings(ports.context.fhir(endpoint), line.rows, now)
    if not fresh or any(item.url != line.url for item in fresh):
        return None
    for item in fresh:
        line.socket.send(write_bind(item.token, as_json=ports.as_json(endpoint)))
    return replace(line, renew_at=min(item.renew_at(now) for item in fresh))


def _row_of(line: Line, frame: Frame) -> SubscriptionRow | None:
    if frame.subscription is not None:
        row = line.rows.get(frame.subscription)
        if row is None and frame.kind is not FrameKind.BOUND:
            _log.warning("a frame for a subscription that is not ours")
        return row
    return next(iter(line.rows.values())) if len(line.rows) == 1 else None


def _keep(
    ports: SocketPorts,
    endpoint: Endpoint,
    row: SubscriptionRow,
    frame: Frame,
    now: datetime,
) -> None:
    """Commit what arrived as intake would, then wake the shards."""
    notification, fault = None, None
    try:
        notification = parse_notification("POST", "", {}, frame.body)
    except NotificationError as error:
        fault = error.message
    received = Received(now, "WEBSOCKET", "", {}, frame.body, notification, fault)
    context = ports.context
    with context.database.tx() as tx:
        registered = register(tx, row, endpoint, ())
        items = keep_notification(tx, registered, received, now)
    for shard in sorted({item.shard for item in items}):
        context.wake("resolve", shard)
