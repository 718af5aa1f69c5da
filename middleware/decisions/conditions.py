"""FHIRPath conditions: compiled once, run on small lists, three answers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from mappings.plan import Condition
from mappings.resource import Resource
from middleware.decisions.functions import Answer, Environment, current, table

__all__ = ["Answer", "Environment", "answer", "evaluate", "evidence", "mentioned"]

_VARIABLE = re.compile(r"%([A-Za-z]+)")
# Variables, literals and operators: no path, and no function but not().
_WORDS_ONLY = re.compile(
    r"%[A-Za-z]+|'[^'\\]*'|\b(?:in|and|or|not|true|false)\b|[\s()|=!.]"
)
_LIST_TAIL = re.compile(r"\.(?:exists|empty)\(\)$")
_PICKED = re.compile(r"%([A-Za-z]+)\.where(\(.*\))\.(exists|empty)\(\)", re.DOTALL)
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
    name, wanted = _picked(expression)
    if name and environment.variables.get(name) == []:
        # Nothing is picked from nothing, whatever is asked of it.
        return [not wanted]
    if name:
        found = _run_list(_LIST_TAIL.sub("", expression), environment)
        return [bool(found) is wanted]
    return _run_whole(expression, environment)


def _run_list(expression: str, environment: Environment) -> list[Any]:
    """Return what a list comes to, once for a condition and its evidence."""
    known = environment.lists.get(expression)
    if known is None:
        known = _run_whole(expression, environment)
        environment.lists[expression] = known
    return known


def _run_whole(expression: str, environment: Environment) -> list[Any]:
    token = current.set(environment)
    try:
        result = _compiled(expression)(environment.focus, dict(environment.variables))
    finally:
        current.reset(token)
    return list(result)


@functools.cache
def _picked(expression: str) -> tuple[str, bool]:
    """Return the variable of ``%list.where(...).exists()``, and False for ``empty()``.

    The name is empty for anything else.
    """
    found = _PICKED.fullmatch(expression)
    if found is None or not _is_closed(_LITERAL.sub("", found[2])):
        return "", False
    return found[1], found[3] == "exists"


def _is_closed(criteria: str) -> bool:
    """Tell whether the first parenthesis is closed by the last sign, and not before."""
    depth = 0
    for place, sign in enumerate(criteria):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place == len(criteria) - 1
    return False


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
        found = _run_list(_LIST_TAIL.sub("", expression), environment)
    except Exception:  # noqa: BLE001 - evidence is shown, never decided on
        return ()
    return tuple(
        item for item in found if isinstance(item, dict) and item.get("resourceType")
    )


@functools.cache
def _compiled(expression: str) -> Callable[..., list[Any]]:
    # The web process never evaluates a condition: it starts without the engine.
    import fhirpathpy  # noqa: PLC0415
    from fhirpathpy.models import models  # noqa: PLC0415

    program: Callable[..., list[Any]] = fhirpathpy.compile(
        expression, models["r4"], {"userInvocationTable": table()}
    )
    return program
