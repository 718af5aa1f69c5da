"""FHIRPath conditions: compiled once, run on small lists, three answers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from mappings.plan import Condition
from mappings.resource import Resource
from middleware.decisions.functions import Answer, Environment, current, table
from middleware.decisions.narrowing import narrow, narrowed_list, whole

__all__ = ["Answer", "Environment", "answer", "evaluate", "evidence", "mentioned"]

_VARIABLE = re.compile(r"%([A-Za-z]+)")
# Variables, literals and operators: no path, and no function but not().
_WORDS_ONLY = re.compile(
    r"%[A-Za-z]+|'[^'\\]*'|\b(?:in|and|or|not|true|false|\d+)\b|[\s()|=!.<>]"
)
_LIST_TAIL = re.compile(r"\.(?:exists|empty)\(\)$")
_PATH = re.compile(r"[A-Za-z0-9_.%()]*")
_NAMED = re.compile(r"%([A-Za-z0-9]+)")
_HEAD = re.compile(r"%[A-Za-z0-9]+|\(%[A-Za-z0-9]+(?: \| %[A-Za-z0-9]+)*\)")
# Of nothing, each of these keeps nothing.
_CHAIN = re.compile(
    r"(?:%[A-Za-z0-9]+|\(\))"
    r"(?:\.(?:where|coded|doneWithin|doneSince|doneBefore|latest)\(\))*"
)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'")


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
        lacking = blind <= environment.unsupported
        reason = "data-missing" if lacking else "ehr-unreachable"
        return Answer(None, reason, ", ".join(sorted(blind)))
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
    if names and all(type(word) in (str, int) for word in words):
        return list(_run_on_words(expression, names, words))
    tail = _tail(expression)
    if tail is not None:
        return [bool(_run_list(tail[0], environment)) is tail[1]]
    return _run_whole(expression, environment)


def _run_list(expression: str, environment: Environment) -> list[Any]:
    """Return what a list comes to, once for a condition and its evidence."""
    known = environment.lists.get(expression)
    if known is None:
        known = _run_whole(expression, environment)
        environment.lists[expression] = known
    return known


def _run_whole(expression: str, environment: Environment) -> list[Any]:
    narrowed = narrow(expression)
    known = environment.variables
    token = current.set(environment)
    try:
        variables = {
            name: whole(environment, name)
            for name in mentioned(narrowed.expression)
            if name in known
        }
        for name, (of, steps) in narrowed.lists.items():
            variables[name] = narrowed_list(environment, of, steps)
        if _is_empty(narrowed.expression, variables):
            return []
        result = _compiled(narrowed.expression)(environment.focus, variables)
    finally:
        current.reset(token)
    return list(result)


@functools.cache
def _tail(expression: str) -> tuple[str, bool] | None:
    """Return what ends in ``.exists()``, and True, or in ``.empty()``, and False.

    None for anything else, also where the end is that of an operand alone.
    """
    found = _LIST_TAIL.search(expression)
    if found is None or not _PATH.fullmatch(_top_level(expression)):
        return None
    return expression[: found.start()], found[0] == ".exists()"


def _top_level(expression: str) -> str:
    """Return an expression without what stands in its parentheses."""
    kept, depth = [], 0
    for sign in _LITERAL.sub("", expression):
        depth -= sign == ")"
        if depth == 0:
            kept.append(sign)
        depth += sign == "("
    return "".join(kept)


def _is_empty(expression: str, variables: Mapping[str, Any]) -> bool:
    """Tell whether something is picked from nothing, whatever is asked of it."""
    heads = _heads(expression)
    return bool(heads) and all(variables.get(name) == [] for name in heads)


@functools.cache
def _heads(expression: str) -> tuple[str, ...]:
    """Return the lists that a chain of filters begins with; none for anything else."""
    found = _CHAIN.fullmatch(_top_level(expression))
    start = _HEAD.match(expression)
    if found is None or start is None:
        return ()
    return tuple(_NAMED.findall(start[0]))


@functools.cache
def _words_of(expression: str) -> tuple[str, ...]:
    """Return the variables of an expression that looks at nothing else, else none."""
    closed = not _WORDS_ONLY.sub("", expression)
    return tuple(sorted(mentioned(expression))) if closed else ()


@functools.lru_cache(maxsize=1024)
def _run_on_words(
    expression: str, names: tuple[str, ...], words: tuple[str | int, ...]
) -> tuple[Any, ...]:
    """Evaluate what depends on a few words alone, such as a status, once for all."""
    variables = dict(zip(names, words, strict=True))
    return tuple(_compiled(expression)({}, variables))


def evidence(condition: Condition, environment: Environment) -> tuple[Resource, ...]:
    """Return the resources that a condition ending in exists() or empty() came to."""
    tail = _tail(condition.expression)
    if tail is None:
        return ()
    try:
        found = _run_list(tail[0], environment)
    except Exception:  # noqa: BLE001 - evidence is shown, never decided on
        return ()
    return tuple(
        item for item in found if isinstance(item, dict) and item.get("resourceType")
    )


@functools.cache
def _compiled(expression: str) -> Callable[..., list[Any]]:
    # The web process never evaluates a condition: it starts without the engine.
    from middleware.decisions.programs import compile_program  # noqa: PLC0415

    return compile_program(expression, table())
