"""The outline of a body that could not be read: its shape and its ids, and no more.

Pure. Names, texts, numbers and dates of people are left out, so that an administrator
may look at what a server sends without reading a chart.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from subscriptions.focusing import read_focus

HIDDEN = "…"
_MOST_ITEMS = 20
_DEEPEST = 12
_CODE = re.compile(r"[a-zA-Z$][a-zA-Z0-9$-]{0,40}")
_SHOWN_CODES = {"resourceType", "type", "status", "method", "name", "action"}
_SHOWN_CODES |= {"valueCode", "specversion", "eventType", "payloadType"}
_URLS = {"reference", "fullUrl", "url", "valueUri", "valueCanonical", "topic"}
_NUMBERS = {"eventNumber", "eventsSinceSubscriptionStart", "versionId"}


def write_outline(body: bytes) -> Any:
    """Return what may be shown of a body: JSON with its values hidden, or its size."""
    try:
        parsed = orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        kind = "XML" if body.lstrip().startswith(b"<") else "no JSON"
        return f"{kind}, {len(body)} bytes"
    return _hide("", parsed, 0)


def _hide(name: str, value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        items = list(value.items())[:_MOST_ITEMS]
        return {_key(key): _hide(key, item, depth + 1) for key, item in items}
    if isinstance(value, list):
        shown = [_hide(name, item, depth + 1) for item in value[:_MOST_ITEMS]]
        return [*shown, HIDDEN] if len(value) > _MOST_ITEMS else shown
    return value if _is_shown(name, value) else HIDDEN


def _key(key: str) -> str:
    return key if _CODE.fullmatch(key) else HIDDEN


def _is_shown(name: str, value: Any) -> bool:
    text = str(value)
    if name in _NUMBERS:
        return text.isascii() and text.isdigit() and len(text) < 20
    if name in _SHOWN_CODES:
        return isinstance(value, str) and _CODE.fullmatch(value) is not None
    if name == "id":
        return read_focus(f"Resource/{text}") is not None
    return name in _URLS and (read_focus(text) is not None or _is_canonical(text))


def _is_canonical(text: str) -> bool:
    return re.fullmatch(r"https?://[A-Za-z0-9./:_-]{1,200}", text) is not None
