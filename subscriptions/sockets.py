"""The WebSocket channel: tokens, what is said to bind, and what a frame means.

Pure. Topic-based servers bind a token that stands for one or more Subscriptions; R4
servers bind an id and then only say that something matched. Sources: Subscriptions R5
Backport IG 1.1, channels and $get-ws-binding-token; FHIR R4 Subscription, websocket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson

from mappings.capabilities import list_rests
from mappings.errors import NotificationError
from mappings.instants import find_instant
from subscriptions.statuses import is_status, read_status

SOCKET_URL = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
# A token without an end is asked for anew this often.
LIFE = timedelta(minutes=30)
_WORD = re.compile(r"(ping|bound)[ :]+([A-Za-z0-9\-./]{1,200})\s*")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Binding:
    """A token that binds some Subscriptions (server ids; none means as asked)."""

    token: str
    url: str
    expires_at: datetime
    subscriptions: tuple[str, ...]

    def renew_at(self, now: datetime) -> datetime:
        """Return when to ask for the next token: at half of what is left."""
        return now + max(self.expires_at - now, timedelta(0)) / 2


class FrameKind(StrEnum):
    """What a frame is."""

    BOUND = "bound"
    PING = "ping"
    BUNDLE = "bundle"
    OTHER = "other"


@dataclass(frozen=True)
class Frame:
    """One message from the socket: for one Subscription (its server id), if it says.

    ``body`` is the notification Bundle of a BUNDLE; a PING has none.
    """

    kind: FrameKind
    subscription: str | None
    body: bytes = b""


def write_token_request(server_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the parameters of ``$get-ws-binding-token`` for several Subscriptions."""
    return [{"name": "id", "valueId": identifier} for identifier in server_ids]


def read_binding(answer: Mapping[str, Any], now: datetime) -> Binding:
    """Read what ``$get-ws-binding-token`` answered; NotificationError if unusable."""
    parts = answer.get("parameter")
    values: dict[str, list[Any]] = {}
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            found = [item for name, item in part.items() if name.startswith("value")]
            values.setdefault(str(part.get("name")), []).extend(found)
    token, url = _first(values, "token"), _first(values, "websocket-url")
    if token is None or url is None:
        raise NotificationError(
            "The server's answer has no token or no websocket-url, so nothing is bound; "
            "the poll finds what changed meanwhile"
        )
    ends = find_instant(_first(values, "expiration")) or now + LIFE
    named = (_tail(item) for item in values.get("subscription", []))
    return Binding(token, url, ends, tuple(item for item in named if item))


def write_bind(token: str, *, as_json: bool = False) -> str:
    """Return what binds a token; ``as_json`` is Medplum's spelling."""
    if as_json:
        message = {"type": "bind-with-token", "payload": {"token": token}}
        return orjson.dumps(message).decode()
    return f"bind-with-token {token}"


def write_bind_id(server_id: str) -> str:
    """Return what binds one Subscription of an R4 server."""
    return f"bind {server_id}"


def find_socket_url(capabilities: Mapping[str, Any]) -> str | None:
    """Return the WebSocket URL that an R4 server's CapabilityStatement names."""
    for rest in list_rests(capabilities):
        for extension in _dicts(rest.get("extension")):
            if extension.get("url") == SOCKET_URL:
                url = extension.get("valueUri") or extension.get("valueUrl")
                return url if isinstance(url, str) else None
    return None


def read_frames(text: str | bytes) -> tuple[Frame, ...]:
    """Read one message from the socket; a heartbeat may speak for several at once."""
    raw = text.encode() if isinstance(text, str) else text
    word = _WORD.fullmatch(raw.decode(errors="replace"))
    if word is not None:
        return (Frame(FrameKind(word.group(1)), _tail(word.group(2))),)
    if _ID.fullmatch(raw.decode(errors="replace").strip()):
        # Some servers say only the Subscription's id.
        return (Frame(FrameKind.PING, raw.decode().strip()),)
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return (Frame(FrameKind.OTHER, None),)
    if not isinstance(parsed, dict) or parsed.get("resourceType") != "Bundle":
        return (Frame(FrameKind.OTHER, None),)
    return _split(parsed, raw)


def _split(bundle: dict[str, Any], raw: bytes) -> tuple[Frame, ...]:
    """Give each Subscription that a Bundle speaks for a Bundle of its own."""
    entries = _dicts(bundle.get("entry"))
    statuses = [entry for entry in entries if is_status(entry.get("resource"))]
    named = [_named(entry["resource"]) for entry in statuses]
    if len(set(named)) < 2:
        return (Frame(FrameKind.BUNDLE, named[0] if named else None, raw),)
    others = [entry for entry in entries if not is_status(entry.get("resource"))]
    return tuple(
        Frame(
            FrameKind.BUNDLE,
            name,
            orjson.dumps({**bundle, "entry": [*_of(name, statuses, named), *others]}),
        )
        for name in dict.fromkeys(named)
    )


def _of(
    name: str | None, statuses: Sequence[dict[str, Any]], named: Sequence[str | None]
) -> list[dict[str, Any]]:
    pairs = zip(statuses, named, strict=True)
    return [status for status, other in pairs if other == name]


def _named(status: Mapping[str, Any]) -> str | None:
    try:
        return _tail(read_status(status).subscription)
    except NotificationError:
        return None


def _first(values: Mapping[str, Sequence[Any]], name: str) -> str | None:
    found = values.get(name) or [None]
    return found[0] if isinstance(found[0], str) and found[0] else None


def _tail(value: object) -> str | None:
    text = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(text, str):
        return None
    tail = text.rstrip("/").rpartition("/")[2]
    return tail if _ID.fullmatch(tail) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]
