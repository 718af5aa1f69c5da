"""FHIRPath conditions: compiled once, run on small lists, three answers.

Our own functions do what the standard's date arithmetic does slowly or silently wrong:
``asHours()`` turns a date into hours since 1970, ``coded('set')`` picks resources by
value set in one pass, ``doneWithin(days)`` keeps what was done lately, ``statusWord()``
and ``encounterClass()`` read R4 and R5 alike.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mappings.codes import encounter_class, has_member, status_word
from mappings.instants import read_bounds, read_instant
from mappings.plan import Condition
from mappings.resource import Resource, codings_of, first_at

ValueSets = Mapping[str, frozenset[tuple[str, str]]]
NOT_DONE = frozenset(
    {"not-done", "cancelled", "stopped", "entered-in-error", "registered", "unknown"}
)
DONE_PATHS = (
    "performedDateTime",
    "performedPeriod.end",
    "performedPeriod.start",
    "occurrenceDateTime",
    "occurrencePeriod.end",
    "effectiveDateTime",
    "effectivePeriod.end",
    "effectivePeriod.start",
    "effectiveInstant",
    "issued",
    "recordedDate",
)
_VARIABLE = re.compile(r"%([A-Za-z]+)")
# Variables, literals and operators: no path, and no function but not().
_WORDS_ONLY = re.compile(
    r"%[A-Za-z]+|'[^'\\]*'|\b(?:in|and|or|not|true|false)\b|[\s()|=!.]"
)
_LIST_TAIL = re.compile(r"\.(?:exists|empty)\(\)$")


@dataclass(frozen=True)
class Environment:
    """What conditions see: the variables, the value sets and the instant.

    ``incomplete`` names variables whose reading failed: a condition that mentions one
    is unknown. ``focus`` is the resource that the expression starts from. ``answers``
    remembers what was evaluated: the steps of a plan share most of their conditions.
    """

    focus: Resource
    variables: Mapping[str, Any]
    value_sets: ValueSets
    now: datetime
    incomplete: frozenset[str] = frozenset()
    answers: dict[str, Answer] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Answer:
    """True, False, or None for unknown, and why it is unknown.

    ``reason`` is plan-unknown when the expression failed, data-missing when the chart
    has not what it asks for, and empty otherwise.
    """

    value: bool | None
    reason: str = ""
    detail: str = field(default="", compare=False)


_current: ContextVar[Environment] = ContextVar("environment")


def evaluate(condition: Condition, environment: Environment) -> bool | None:
    """Return whether a condition holds; None when that cannot be known."""
    return answer(condition, environment).value


def answer(condition: Condition, environment: Environment) -> Answer:
    """Evaluate a condition with three answers; a failure is unknown, never False."""
    known = environment.answers.get(condition.expression)
    if known is None:
        known = _answer(condition, environment)
        environment.answers[condition.expression] = known
    return known


def _answer(condition: Condition, environment: Environment) -> Answer:
    blind = mentioned(condition.expression) & environment.incomplete
    if blind:
        return Answer(None, "ehr-unreachable", ", ".join(sorted(blind)))
    try:
        result = _run(condition.expression, environment)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        return Answer(None, "plan-unknown", type(error).__name__)
    if result == []:
        return Answer(None, "data-missing")
    if len(result) != 1 or not isinstance(result[0], bool):
        return Answer(None, "plan-unknown", "the condition gave no yes or no")
    return Answer(result[0])


def compile_condition(condition: Condition) -> None:
    """Compile a condition; raise whatever the parser raises, for content checks."""
    _compiled(condition.expression)


@functools.cache
def mentioned(expression: str) -> frozenset[str]:
    """Return the names of the ``%variables`` in an expression."""
    return frozenset(_VARIABLE.findall(expression))


def _run(expression: str, environment: Environment) -> list[Any]:
    names = _words_of(expression)
    words = tuple(environment.variables.get(name) for name in names)
    if names and all(type(word) is str for word in words):
        return list(_run_on_words(expression, names, words))
    token = _current.set(environment)
    try:
        result = _compiled(expression)(environment.focus, dict(environment.variables))
    finally:
        _current.reset(token)
    return list(result)


@functools.cache
def _words_of(expression: str) -> tuple[str, ...]:
    """Return the variables of an expression that looks at nothing else, else none."""
    closed = not _WORDS_ONLY.sub("", expression)
    return tuple(sorted(mentioned(expression))) if closed else ()


@functools.lru_cache(maxsize=1024)
def _run_on_words(
    expression: str, names: tuple[str, ...], words: tuple[str, ...]
) -> tuple[Any, ...]:
    """Evaluate what depends on a few words alone, such as a status, once for all."""
    variables = dict(zip(names, words, strict=True))
    return tuple(_compiled(expression)({}, variables))


def evidence(condition: Condition, environment: Environment) -> tuple[Resource, ...]:
    """Return the resources that a condition ending in exists() or empty() came to."""
    expression = condition.expression
    if not _LIST_TAIL.search(expression):
        return ()
    try:
        found = _run(_LIST_TAIL.sub("", expression), environment)
    except Exception:  # noqa: BLE001 - evidence is shown, never decided on
        return ()
    return tuple(
        item for item in found if isinstance(item, dict) and item.get("resourceType")
    )


@functools.cache
def _compiled(expression: str) -> Callable[..., list[Any]]:
    table = {name: _entry(*entry) for name, entry in _FUNCTIONS.items()}
    # The web process never evaluates a condition: it starts without the engine.
    import fhirpathpy  # noqa: PLC0415
    from fhirpathpy.models import models  # noqa: PLC0415

    program: Callable[..., list[Any]] = fhirpathpy.compile(
        expression, models["r4"], {"userInvocationTable": table}
    )
    return program


def _entry(function: Callable[..., Any], arity: dict[int, list[str]]) -> dict[str, Any]:
    return {"fn": function, "arity": arity}


def _hours(inputs: Iterable[Any]) -> list[float]:
    return [read_instant(_text(item)).timestamp() / 3600 for item in inputs]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(getattr(value, "original_data", None) or getattr(value, "asStr", value))


def _coded(inputs: Iterable[Any], name: str) -> list[Any]:
    members = _current.get().value_sets[name]
    return [item for item in inputs if has_member(members, _codes(item))]


def _member_of(inputs: Iterable[Any], name: str) -> list[bool]:
    members = _current.get().value_sets[name]
    return [has_member(members, codings_of(item)) is not None for item in inputs]


def _codes(resource: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(resource, dict):
        return ()
    return codings_of(resource.get("code")) + codings_of(resource.get("type"))


def _done_within(inputs: Iterable[Any], days: float) -> list[Any]:
    return [item for item in inputs if _is_done(item, float(days))]


def _is_done(resource: Any, days: float) -> bool:
    if not isinstance(resource, dict) or resource.get("status") in NOT_DONE:
        return False
    now = _current.get().now
    for path in DONE_PATHS:
        text = first_at(resource, path)
        if isinstance(text, str):
            latest = read_bounds(text)[1]
            return (now - latest).total_seconds() <= days * 86400
    return True


def _status_words(inputs: Iterable[Any]) -> list[str]:
    return [status_word(item) for item in inputs]


def _classes(inputs: Iterable[Any]) -> list[str]:
    return [encounter_class(item) for item in inputs]


_FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[int, list[str]]]] = {
    "asHours": (_hours, {0: []}),
    "coded": (_coded, {1: ["String"]}),
    "memberOf": (_member_of, {1: ["String"]}),
    "doneWithin": (_done_within, {1: ["Number"]}),
    "statusWord": (_status_words, {0: []}),
    "encounterClass": (_classes, {0: []}),
}
