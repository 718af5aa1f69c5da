"""What a server accepted, set beside what was asked, with the differences named.

Pure. A server may accept with modifications, and clients SHALL check (FHIR R5
Subscription; Subscriptions R5 Backport IG 1.1). No sentence carries a secret or a
filter's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

from subscriptions.definition import BACKPORT

Weight = Literal["harmless", "narrower", "wrong"]
_TYPED = re.compile(r"(?:[A-Z][A-Za-z]+)[?.](.+)", re.DOTALL)
_LONG_WORD = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
HIDDEN = "(not shown)"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as asked.

    ``narrower``: fewer events would be told. ``wrong``: it is not our Subscription any
    more. Everything else is ``harmless``.
    """

    weight: Weight
    sentence: str


@dataclass(frozen=True)
class Terms:
    """What a Subscription asks for, whichever form it is written in.

    ``about`` is a topic's canonical or a criteria's type; ``filters`` has the values of
    each parameter; seconds are whole numbers.
    """

    about: str
    filters: Mapping[str, frozenset[str]]
    endpoint: str
    channel: str
    headers: Mapping[str, str]
    numbers: Mapping[str, int] = field(default_factory=dict)
    content: str | None = None
    mime: str | None = None


def read_terms(resource: Mapping[str, Any]) -> Terms:
    """Read a Subscription of R4, R4 backport or R5."""
    if "topic" in resource or "channelType" in resource:
        return _read_r5(resource)
    channel = _map(resource.get("channel"))
    criteria = str(resource.get("criteria") or "").strip()
    filters: list[tuple[str, str]] = []
    about = criteria.partition("|")[0]
    if not criteria.startswith(("http://", "https://")):
        about, _, query = criteria.lstrip("/").partition("?")
        filters = parse_qsl(query, keep_blank_values=True)
    for text in _values(_map(resource.get("_criteria")), "filter-criteria"):
        filters += _read_filter(str(text))
    headers = [str(line).partition(":") for line in _list(channel.get("header"))]
    return Terms(
        about=about,
        filters=_group(filters),
        endpoint=str(channel.get("endpoint") or "").rstrip("/"),
        channel=str(channel.get("type") or ""),
        headers={name.strip().lower(): value.strip() for name, _, value in headers},
        numbers=_numbers(channel),
        content=next(
            map(str, _values(_map(channel.get("_payload")), "payload-content")), None
        ),
        mime=channel.get("payload"),
    )


def compare(
    asked: Mapping[str, Any], held: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Name every difference, the weighty ones first; empty when it is as asked."""
    ours, theirs = read_terms(asked), read_terms(held)
    found = [
        *_compare_places(ours, theirs),
        *_compare_filters(ours.filters, theirs.filters),
        *_compare_headers(ours.headers, theirs.headers),
        *_compare_content(ours, theirs),
    ]
    order = ("wrong", "narrower", "harmless")
    return tuple(sorted(found, key=lambda item: order.index(item.weight)))


def is_acceptable(differences: tuple[Difference, ...]) -> bool:
    """Tell whether it is still what we need."""
    return all(item.weight == "harmless" for item in differences)


def redact(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Subscription without the values of headers and secrets."""
    copy = dict(resource)
    channel = _map(copy.get("channel"))
    if "header" in channel:
        lines = [str(line).partition(":")[0] for line in _list(channel["header"])]
        shown = [f"{name}: {HIDDEN}" for name in lines]
        copy["channel"] = {**channel, "header": shown}
    if "parameter" in copy:
        copy["parameter"] = [
            {**_map(item), "value": HIDDEN} for item in _list(copy["parameter"])
        ]
    if "extension" in copy:
        copy["extension"] = [
            {**_map(item), "valueString": HIDDEN} if "valueString" in item else item
            for item in _list(copy["extension"])
        ]
    return copy


def _read_r5(resource: Mapping[str, Any]) -> Terms:
    filters = [
        (str(item.get("filterParameter") or ""), str(item.get("value") or ""))
        for item in map(_map, _list(resource.get("filterBy")))
    ]
    names = {"heartbeatPeriod": "heartbeat", "timeout": "timeout", "maxCount": "batch"}
    parameters = map(_map, _list(resource.get("parameter")))
    return Terms(
        about=str(resource.get("topic") or "").partition("|")[0],
        filters=_group(filters),
        endpoint=str(resource.get("endpoint") or "").rstrip("/"),
        channel=str(_map(resource.get("channelType")).get("code") or ""),
        headers={
            str(item.get("name") or "").lower(): str(item.get("value") or "")
            for item in parameters
        },
        numbers={
            names[key]: int(resource[key]) for key in names if _is_whole(resource, key)
        },
        content=resource.get("content"),
        mime=resource.get("contentType"),
    )


def _compare_places(ours: Terms, theirs: Terms) -> list[Difference]:
    found = []
    if ours.about != theirs.about:
        found.append(Difference("wrong", "It is about another topic or type."))
    if ours.endpoint != theirs.endpoint:
        found.append(Difference("wrong", "It sends to another address than ours."))
    if ours.channel != theirs.channel:
        found.append(Difference("wrong", "It uses another kind of channel."))
    return found


def _compare_filters(
    ours: Mapping[str, frozenset[str]], theirs: Mapping[str, frozenset[str]]
) -> list[Difference]:
    found = []
    for name in sorted({*ours, *theirs}):
        mine, other = ours.get(name), theirs.get(name)
        if other is None:
            text = f"The filter {name} was dropped, so that more is told."
            found.append(Difference("harmless", text))
        elif mine is None:
            text = f"A filter {name} was added, so that less is told."
            found.append(Difference("narrower", text))
        elif mine < other:
            text = f"The filter {name} was widened, so that more is told."
            found.append(Difference("harmless", text))
        elif mine != other:
            text = f"The filter {name} was changed, so that less or other is told."
            found.append(Difference("narrower", text))
    return found


def _compare_headers(
    ours: Mapping[str, str], theirs: Mapping[str, str]
) -> list[Difference]:
    found = []
    for name, value in sorted(ours.items()):
        other = theirs.get(name)
        if other is None:
            text = f"The header {name} is not shown; whether it is sent is unknown."
            found.append(Difference("harmless", text))
        elif other != value and "*" not in other and _LONG_WORD.search(other):
            text = f"The header {name} has another value than ours."
            found.append(Difference("wrong", text))
        elif other != value:
            text = f"The header {name} is masked."
            found.append(Difference("harmless", text))
    return found


def _compare_content(ours: Terms, theirs: Terms) -> list[Difference]:
    found = []
    if ours.content != theirs.content:
        said = theirs.content or "what the server chooses"
        text = f"The content is {said} instead of {ours.content or 'as it comes'}."
        found.append(Difference("harmless", text))
    if (ours.mime or "").partition(";")[0] != (theirs.mime or "").partition(";")[0]:
        text = f"The payload is {theirs.mime or 'empty'} instead of {ours.mime}."
        found.append(Difference("harmless", text))
    words = {"heartbeat": "heartbeat", "timeout": "timeout", "batch": "most events"}
    for key, word in words.items():
        mine, other = ours.numbers.get(key), theirs.numbers.get(key)
        if mine is not None and mine != other:
            said = "not kept" if other is None else f"{other} instead of {mine}"
            found.append(Difference("harmless", f"The {word} is {said}."))
    return found


def _read_filter(text: str) -> list[tuple[str, str]]:
    """Read ``Type?a=b&c=d``, ``Type.a=b`` or ``a=b``; all three are in use."""
    typed = _TYPED.fullmatch(text)
    pairs = parse_qsl(typed.group(1) if typed else text, keep_blank_values=True)
    return [(name.rpartition(".")[2], value) for name, value in pairs]


def _group(pairs: list[tuple[str, str]]) -> dict[str, frozenset[str]]:
    grouped: dict[str, frozenset[str]] = {}
    for name, value in pairs:
        grouped[name] = grouped.get(name, frozenset()) | set(value.split(","))
    return grouped


def _numbers(channel: Mapping[str, Any]) -> dict[str, int]:
    names = {
        "heartbeat-period": "heartbeat",
        "timeout": "timeout",
        "max-count": "batch",
    }
    return {
        word: value
        for name, word in names.items()
        for value in _values(channel, name)
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _values(element: Mapping[str, Any], name: str) -> list[Any]:
    return [
        value
        for extension in map(_map, _list(element.get("extension")))
        if extension.get("url") == f"{BACKPORT}backport-{name}"
        for key, value in extension.items()
        if key.startswith("value")
    ]


def _is_whole(resource: Mapping[str, Any], key: str) -> bool:
    value = resource.get(key)
    return isinstance(value, int) and not isinstance(value, bool)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
