"""Looking into plain FHIR dicts without falling over what is missing or misshapen."""

from __future__ import annotations

import unicodedata
from typing import Any

from mappings.instants import find_instant

Resource = dict[str, Any]
Coding = tuple[str, str]

LONGEST_NAME = 100
# Unicode's explicit directional formatting (UAX #9 section 2): each changes how the
# text around it is read.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def list_of(value: object) -> list[Any]:
    """Return a list: the value's items, the value itself, or nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def dict_of(value: object) -> dict[str, Any]:
    """Return a dict: the value itself, or an empty one."""
    return value if isinstance(value, dict) else {}


def values_at(resource: object, path: str) -> list[Any]:
    """Return everything at a dotted element path, lists flattened."""
    found: list[Any] = [resource]
    for name in path.split("."):
        below: list[Any] = []
        for holder in found:
            value = holder.get(name) if isinstance(holder, dict) else None
            if isinstance(value, list):
                below += value
            elif value is not None:
                below.append(value)
        # Most paths lead nowhere in most resources.
        if not below:
            return below
        found = below
    return found


def first_at(resource: object, path: str) -> Any:
    """Return the first value at a dotted element path, or None."""
    found = values_at(resource, path)
    return found[0] if found else None


def codings_of(value: object) -> tuple[Coding, ...]:
    """Return the (system, code) pairs of Codings, CodeableConcepts or lists of them.

    R5's CodeableReference is read through its ``concept``.
    """
    found: list[Coding] = []
    _add_codings(value, found)
    return tuple(found)


def _add_codings(value: object, found: list[Coding]) -> None:
    for item in value if isinstance(value, list) else (value,):
        if not isinstance(item, dict):
            continue
        code = item.get("code")
        if code and not isinstance(code, dict):
            found.append((str(item.get("system") or ""), str(code)))
        for name in ("coding", "concept"):
            if name in item:
                _add_codings(item[name], found)


def extensions_of(element: object, url: str) -> list[dict[str, Any]]:
    """Return the extensions of an element with this URL."""
    if not isinstance(element, dict):
        return []
    return [
        item
        for item in list_of(element.get("extension"))
        if isinstance(item, dict) and item.get("url") == url
    ]


def extension_value(element: object, url: str) -> Any:
    """Return the ``value[x]`` of the first extension with this URL, or None."""
    for extension in extensions_of(element, url):
        for name, value in extension.items():
            if name.startswith("value"):
                return value
    return None


def in_period(period: object, now_text: str) -> bool:
    """Tell whether an instant (as text) lies in a FHIR Period; open ends are in."""
    if not isinstance(period, dict):
        return True
    now = find_instant(now_text)
    start = find_instant(period.get("start"))
    end = find_instant(period.get("end"))
    if now is None:
        return True
    return not ((start and now < start) or (end and now > end))


def human_name(patient: Resource) -> tuple[str, str]:
    """Return (full name, given name) as the chart gives it, the official one first.

    Where there is no given name the whole name stands for it. Signs that turn the
    direction of what follows are left out, and what no line can show.
    """
    names = [item for item in list_of(patient.get("name")) if isinstance(item, dict)]
    usable = [item for item in names if item.get("use") not in ("old", "maiden")]
    ranked = sorted(usable, key=lambda item: item.get("use") not in ("official", None))
    if not ranked:
        return "", ""
    name = ranked[0]
    given = [str(part) for part in list_of(name.get("given")) if part]
    nick = next((item for item in names if item.get("use") == "nickname"), {})
    full = " ".join([*given, str(name.get("family") or "")]).strip()
    whole = str(name.get("text") or full)
    first = (list_of(nick.get("given")) or given or [whole])[0]
    return _shown(whole), _shown(str(first))


def _shown(text: str) -> str:
    """Return a name as a line can show it, so that it changes nothing around it."""
    kept = (
        sign
        for sign in text[: 4 * LONGEST_NAME]
        if sign not in TURNING and unicodedata.category(sign) != "Cc"
    )
    clean = "".join(kept).strip()
    long = len(clean) > LONGEST_NAME
    return f"{clean[: LONGEST_NAME - 1]}…" if long else clean
