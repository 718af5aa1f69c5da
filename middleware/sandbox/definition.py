"""What a Subscription resource asks for, whichever of the three forms it has.

Pure: it reads and checks; it may not send, store or match. What this server
cannot do is refused with a sentence that becomes `Subscription.error`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from middleware.sandbox.topics import find_topic

Form = Literal["criteria", "backport", "r5"]
Parameters = tuple[tuple[str, str], ...]

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
BACKPORT_PROFILE = f"{BACKPORT}backport-subscription"
SHAPE = "http://sandbox.example.org/StructureDefinition/notification-shape"
CONTENTS = ("empty", "id-only", "full-resource")
MIME_TYPES = ("application/fhir+json", "application/json")
DEFAULT_TIMEOUT = 10
LONGEST_TIMEOUT = 60
_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "content-type"}


class RefusedError(ValueError):
    """What the Subscription asks for and this server cannot do."""


@dataclass(frozen=True)
class Definition:
    """One Subscription as this server will serve it.

    `queries` hold together (AND) on resources of `type`; `payload` None means an
    empty POST (criteria form only); `heartbeat` and `timeout` are seconds.
    """

    form: Form
    type: str
    queries: Parameters
    endpoint: str
    headers: Parameters
    payload: str | None
    content: str = "full-resource"
    topic: str | None = None
    heartbeat: int | None = None
    timeout: int = DEFAULT_TIMEOUT
    max_count: int = 1
    end: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """Tell whether `Subscription.end` has passed."""
        return self.end is not None and self.end <= now


def is_loopback(url: str) -> bool:
    """Tell whether an http(s) URL names this machine and nothing else."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not port_is_valid:
        return False
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_definition(subscription: dict[str, Any]) -> Definition:
    """Read a Subscription (R4, backport profile, or R5 shape by extension).

    RefusedError when this server cannot serve it. Sources: FHIR R4 Subscription;
    Subscriptions R5 Backport IG 1.1 (backport-subscription).
    """
    channel = subscription.get("channel") or {}
    if channel.get("type") != "rest-hook":
        raise RefusedError("only the rest-hook channel is supported")
    endpoint = str(channel.get("endpoint") or "")
    if not is_loopback(endpoint):
        raise RefusedError(
            "the endpoint is not an http(s) URL of this machine; "
            "this server notifies loopback addresses only"
        )
    form = _form(subscription)
    type_, queries, topic = _what(subscription, form)
    return Definition(
        form=form,
        type=type_,
        queries=queries,
        endpoint=endpoint,
        headers=_headers(channel),
        payload=_payload(channel, form),
        content=_content(channel, form),
        topic=topic,
        heartbeat=_number(channel, "heartbeat-period"),
        timeout=min(_number(channel, "timeout") or DEFAULT_TIMEOUT, LONGEST_TIMEOUT),
        max_count=_number(channel, "max-count") or 1,
        end=_end(subscription),
    )


def _form(subscription: dict[str, Any]) -> Form:
    shapes = [
        extension.get("valueCode")
        for extension in subscription.get("extension") or []
        if extension.get("url") == SHAPE
    ]
    if "r5" in shapes:
        return "r5"
    profiles = (subscription.get("meta") or {}).get("profile") or []
    backport = any(p.partition("|")[0] == BACKPORT_PROFILE for p in profiles)
    canonical = _criteria(subscription).startswith(("http://", "https://"))
    return "backport" if backport or canonical else "criteria"


def _criteria(subscription: dict[str, Any]) -> str:
    return str(subscription.get("criteria") or "").strip()


def _what(subscription: dict[str, Any], form: Form) -> tuple[str, Parameters, Any]:
    criteria = _criteria(subscription)
    if form == "criteria":
        type_, _, query = criteria.lstrip("/").partition("?")
        if not _TYPE.fullmatch(type_):
            raise RefusedError("the criteria do not begin with a resource type")
        return type_, tuple(parse_qsl(query, keep_blank_values=True)), None
    topic = find_topic(criteria)
    if topic is None:
        raise RefusedError("the topic in criteria is not published by this server")
    queries: list[tuple[str, str]] = []
    for extension in (subscription.get("_criteria") or {}).get("extension") or []:
        if extension.get("url") == f"{BACKPORT}backport-filter-criteria":
            text = str(extension.get("valueString") or "")
            queries.extend(_filter(text, topic.resource))
    return topic.resource, tuple(queries), topic.url


def _filter(text: str, type_: str) -> list[tuple[str, str]]:
    """Read `Type?a=b&c=d`, `Type.a=b` or `a=b`; all three are in use."""
    named = re.match(r"([A-Z][A-Za-z]+)[?.](.+)", text)
    if named and named.group(1) != type_:
        raise RefusedError(f"the topic announces {type_}, the filter another type")
    pairs = parse_qsl(named.group(2) if named else text, keep_blank_values=True)
    if not pairs or any(not value for _, value in pairs):
        raise RefusedError("a filter is not of the form parameter=value")
    return [(name.removeprefix(f"{type_}."), value) for name, value in pairs]


def _headers(channel: dict[str, Any]) -> Parameters:
    headers: list[tuple[str, str]] = []
    for line in channel.get("header") or []:
        name, colon, value = str(line).partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise RefusedError("a channel.header is not of the form 'Name: value'")
        if name.lower() in _OURS or not value.strip().isprintable():
            raise RefusedError(f"the channel.header {name} cannot be sent")
        headers.append((name, value.strip()))
    return tuple(headers)


def _payload(channel: dict[str, Any], form: Form) -> str | None:
    payload = channel.get("payload")
    if payload is None and form == "criteria":
        return None
    mime = str(payload or MIME_TYPES[0])
    if mime.partition(";")[0].strip().lower() not in MIME_TYPES:
        raise RefusedError("channel.payload must be application/fhir+json")
    return mime


def _content(channel: dict[str, Any], form: Form) -> str:
    extensions = (channel.get("_payload") or {}).get("extension") or []
    url = f"{BACKPORT}backport-payload-content"
    codes = [e.get("valueCode") for e in extensions if e.get("url") == url]
    if form == "criteria" or not codes:
        return "full-resource" if form == "criteria" else "id-only"
    if codes[0] not in CONTENTS:
        raise RefusedError("payload-content must be empty, id-only or full-resource")
    return str(codes[0])


def _number(channel: dict[str, Any], name: str) -> int | None:
    for extension in channel.get("extension") or []:
        if extension.get("url") == f"{BACKPORT}backport-{name}":
            values = [v for k, v in extension.items() if k.startswith("value")]
            value = values[0] if values else None
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise RefusedError(f"backport-{name} is not a positive number")
            return value
    return None


def _end(subscription: dict[str, Any]) -> datetime | None:
    text = subscription.get("end")
    if text is None:
        return None
    try:
        end = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise RefusedError("Subscription.end is not an instant") from error
    if end.tzinfo is None:
        raise RefusedError("Subscription.end has no time zone")
    return end.astimezone(UTC)
