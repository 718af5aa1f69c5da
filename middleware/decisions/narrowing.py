"""Conditions rewritten so that the engine sees few resources. Pure.

Where a list is picked from by what can be told at once (``coded('set')``, a status, a
class, a time), it is picked from before the engine begins, once for all conditions
about the same thing: the engine needs a third of a millisecond for each resource that
it looks at, and more to join two whole lists. The meaning stays: what is kept is kept in
any order, and a time that cannot be read still makes the condition unknown.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mappings.codes import encounter_class, status_word
from mappings.instants import read_instant
from mappings.resource import Resource, list_of
from middleware.decisions.functions import Environment, coded, exact

_WORDS = r"(?:'[^'\\]*'|\('[^'\\]*'(?:\|'[^'\\]*')*\))"
_WORD = rf"(?:status|intent|statusWord\(\)|encounterClass\(\)) (?:=|in) {_WORDS}"
_TIME = (
    r"(?:start|sentAt)\.asHours\(\) (?:<=?|>=?) "
    r"%(?:now|eventInstant)\.asHours\(\)(?: [+-] \d+)?"
)
_CRITERION = rf"(?:{_WORD}|{_TIME})"
_STEP = rf"\.coded\('[^'\\]*'\)|\.where\({_CRITERION}(?: and {_CRITERION})*\)"
_ALONE = re.compile(rf"%([A-Za-z]+)((?:{_STEP})+)")
_JOINED = re.compile(r"\((%[A-Za-z]+(?: \| %[A-Za-z]+)*)\)(\.coded\('[^'\\]*'\))")
_LIST = re.compile(r"%([A-Za-z]+)")
_QUOTED = re.compile(r"'([^'\\]*)'")
_COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# Their values are numbers that are compared.
EXACT = frozenset({"observations"})
Keep = Callable[[Environment, list[Any]], list[Any]]


@dataclass(frozen=True)
class Narrowed:
    """An expression with the lists that it was narrowed to: name to (list, steps)."""

    expression: str
    lists: dict[str, tuple[str, str]]


@functools.cache
def narrow(expression: str) -> Narrowed:
    """Return an expression of the same meaning over lists that were narrowed before."""
    lists: dict[str, tuple[str, str]] = {}

    def name(of: str, steps: str) -> str:
        found = f"narrowed{len(lists)}"
        lists[found] = (of, steps)
        return f"%{found}"

    def joined(match: re.Match[str]) -> str:
        return f"({_LIST.sub(lambda one: name(one[1], match[2]), match[1])})"

    changed = _JOINED.sub(joined, expression)
    changed = _ALONE.sub(lambda match: name(match[1], match[2]), changed)
    return Narrowed(changed, lists)


def narrowed_list(environment: Environment, of: str, steps: str) -> list[Any]:
    """Return what the steps keep of a list; must run where functions see the environment.

    Raises what the steps raise on what cannot be read.
    """
    key = f"%{of}{steps}"
    if key not in environment.lists:
        found = list_of(environment.variables[of])
        for keep in _steps(steps):
            found = keep(environment, found)
        environment.lists[key] = list(map(exact, found)) if of in EXACT else found
    return environment.lists[key]


def whole(environment: Environment, name: str) -> Any:
    """Return a variable as the engine is to see it."""
    value = environment.variables[name]
    return list(map(exact, value)) if name in EXACT else value


@functools.cache
def _steps(text: str) -> tuple[Keep, ...]:
    found: list[Keep] = []
    for step in re.findall(_STEP, text):
        if step.startswith(".coded("):
            found.append(_coded(_QUOTED.findall(step)[0]))
        else:
            found.extend(_time(item) for item in re.findall(_TIME, step))
            found.extend(_word(item) for item in re.findall(_WORD, step))
    return tuple(found)


def _coded(members: str) -> Keep:
    return lambda _, items: coded(items, members)


def _word(criterion: str) -> Keep:
    read = _READERS[criterion.split(" ", 1)[0]]
    words = frozenset(_QUOTED.findall(criterion))

    def keep(_: Environment, items: list[Any]) -> list[Any]:
        return [
            item for item in items if isinstance(item, dict) and read(item) in words
        ]

    return keep


def _time(criterion: str) -> Keep:
    name, compared, anchor, *offset = criterion.split(" ")
    element, variable = name.split(".")[0], anchor[1:].split(".")[0]
    hours = float("".join(offset) or 0)

    def keep(environment: Environment, items: list[Any]) -> list[Any]:
        limit = _hours(environment.variables[variable]) + hours
        # Every time is read: one that cannot be makes it unknown, whoever's it is.
        times = [list(_times(item, element)) for item in items]
        holds = _COMPARED[compared]
        return [
            item
            for item, found in zip(items, times, strict=True)
            if found and holds(found[0], limit)
        ]

    return keep


def _times(item: Any, element: str) -> Iterable[float]:
    value = item.get(element) if isinstance(item, dict) else None
    found = [_hours(one) for one in list_of(value)]
    if len(found) > 1:
        raise ValueError("several times")
    return found


def _hours(text: str) -> float:
    return read_instant(text).timestamp() / 3600


def _plain(name: str) -> Callable[[Resource], Any]:
    def read(item: Resource) -> Any:
        found = list_of(item.get(name))
        return found[0] if len(found) == 1 and isinstance(found[0], str) else None

    return read


_READERS: dict[str, Callable[[Resource], Any]] = {
    "status": _plain("status"),
    "intent": _plain("intent"),
    "statusWord()": status_word,
    "encounterClass()": encounter_class,
}
