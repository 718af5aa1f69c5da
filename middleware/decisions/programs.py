"""FHIRPath expressions as chains of functions: fhirpathpy's meaning, without its detours.

The engine walks the tree of an expression each time, looks up each operator in a table
that it copies for each call, and evaluates the criterion of each ``where`` twice for each
item, so that one inside another costs four times as much. Here the tree is walked once.
What an operator or a function does is the engine's own, and so is whatever has no
function here; what comes out is the same, and a test compares the two. Of ``$index``
alone, which the engine forgets between the two times, ours is the one that is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from fhirpathpy.engine import do_eval, param_check_table, type_specifier
from fhirpathpy.engine.evaluators import create_reduce_member_invocation, evaluators
from fhirpathpy.engine.invocations import invocation_registry
from fhirpathpy.engine.invocations.constants import constants
from fhirpathpy.engine.nodes import FP_Type
from fhirpathpy.engine.util import (
    arraify,
    get_data,
    is_capitalized,
    is_nullable,
    process_user_invocation_table,
)
from fhirpathpy.models import models
from fhirpathpy.parser import parse

from middleware.decisions.sifting import SIFTING

Context = dict[str, Any]
Node = Mapping[str, Any]
Run = Callable[[Context, Any], Any]
Program = Callable[[Any, Mapping[str, Any]], list[Any]]

_MODEL: Any = models["r4"]
_UCUM = "http://unitsofmeasure.org"
_LITERALS = frozenset({"StringLiteral", "NumberLiteral", "BooleanLiteral"})
_INSIDE = frozenset({"TermExpression", "InvocationTerm", "ParenthesizedTerm"})
# What an operator is called in the table of functions, where that is not its own name.
_NAMED = {
    "MembershipExpression": {"contains": "containsOp", "in": "inOp"},
    "TypeExpression": {"is": "isOp", "as": "asOp"},
}
_OPERATORS = frozenset(
    {
        "UnionExpression",
        "InequalityExpression",
        "AdditiveExpression",
        "MultiplicativeExpression",
        "EqualityExpression",
        "OrExpression",
        "ImpliesExpression",
        "AndExpression",
        "XorExpression",
        *_NAMED,
    }
)


def compile_program(expression: str, functions: Mapping[str, Any]) -> Program:
    """Compile an expression with functions of ours; raises whatever the parser raises."""
    own = process_user_invocation_table(functions)
    table = {**invocation_registry, **SIFTING, **own}
    run = _Compiler(table).compile(parse(expression)["children"][0])

    def program(resource: Any, variables: Mapping[str, Any]) -> list[Any]:
        constants.reset()
        root = arraify(resource)
        context: Context = {
            "dataRoot": root,
            "vars": {"context": resource, "ucum": _UCUM, **variables},
            "model": _MODEL,
            "userInvocationTable": own,
        }
        return list(_plain(run(context, root)))

    return program


class _Compiler:
    """Turns the nodes of a tree into functions of the context and what goes in."""

    def __init__(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        self._table = table

    def compile(self, node: Node) -> Run:
        kind = node["type"]
        if kind in _INSIDE or (kind == "LiteralTerm" and node.get("children")):
            return self.compile(node["children"][0])
        if kind in _LITERALS:
            return _literal(node)
        if kind == "ExternalConstantTerm":
            return _variable(node)
        if kind == "ThisInvocation":
            return lambda context, _: arraify(context["$this"])
        if kind == "MemberInvocation":
            return _member(node)
        if kind == "InvocationExpression":
            return self._chain(node)
        if kind == "FunctionInvocation":
            return self._function(node) or _as_the_engine(node)
        if kind in _OPERATORS:
            return self._operator(node)
        return _as_the_engine(node)

    def _chain(self, node: Node) -> Run:
        parts = [self.compile(child) for child in node["children"]]

        def run(context: Context, data: Any) -> Any:
            for part in parts:
                data = part(context, data)
            return list(data)

        return run

    def _operator(self, node: Node) -> Run:
        name = node["terminalNodeText"][0] if node["type"] != "UnionExpression" else "|"
        name = _NAMED.get(node["type"], {}).get(name, name)
        found = self._table[name]
        call, nullable = found["fn"], "nullable" in found
        kinds = found["arity"][2]
        one, other = map(self._argument, kinds, node["children"])

        def run(context: Context, data: Any) -> Any:
            left, right = one(context, data, data), other(context, data, data)
            if nullable and (is_nullable(left) or is_nullable(right)):
                return []
            return arraify(call(context, left, right))

        if name == "|" and all(map(_is_literal, node["children"])):
            return _folded(run({}, []))
        return run

    def _function(self, node: Node) -> Run | None:
        """Return a function's call; None where only the engine knows what it means."""
        name, *listed = node["children"][0]["children"]
        found = self._table.get(name["text"])
        given = listed[0].get("children", []) if listed else []
        if found is None or "variadic" in found or "nullable" in found:
            return None
        call, idle = found["fn"], "nullable_input" in found
        if "arity" not in found:
            if given:
                return None
            return lambda context, data: (
                []
                if idle and is_nullable(data)
                else arraify(call(context, arraify(data)))
            )
        if len(given) not in found["arity"]:
            return None
        kinds = found["arity"][len(given)]
        arguments = [self._argument(*pair) for pair in zip(kinds, given, strict=False)]

        def run(context: Context, data: Any) -> Any:
            if idle and is_nullable(data):
                return []
            this = context["$this"] if "$this" in context else context["dataRoot"]
            values = [argument(context, data, this) for argument in arguments]
            return arraify(call(context, data, *values))

        return run

    def _argument(self, kind: Any, node: Node) -> Callable[[Context, Any, Any], Any]:
        """Return what reads one argument of a call on something, where ``$this`` is."""
        if kind == "TypeSpecifier":
            return lambda context, _, this: type_specifier(context, this, node)
        run = self.compile(node)
        if kind == "Expr":
            return lambda context, _, __: _criterion(context, run)
        if kind == "AnyAtRoot":
            return lambda context, _, __: run(context, _this(context))
        check = None if kind == "Any" else _single(kind)

        def read(context: Context, _: Any, this: Any) -> Any:
            context["$this"] = this
            found = run(context, this)
            return found if check is None else check(found)

        return read


def _as_the_engine(node: Node) -> Run:
    return lambda context, data: do_eval(context, data, node)


def _literal(node: Node) -> Run:
    values = evaluators[node["type"]](None, None, node)
    return lambda _, __: list(values)


def _folded(values: list[Any]) -> Run:
    """Return the run of an operator that always gives the same."""

    def run(context: Context, data: Any) -> Any:
        context["$this"] = data
        return list(values)

    return run


def _variable(node: Node) -> Run:
    inner = node["children"][0]
    if "children" not in inner:  # a name that is a word of the language too
        return _as_the_engine(node)
    name = _word(inner["children"][0])

    def run(context: Context, _: Any) -> Any:
        value = context["vars"][name]
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    return run


def _member(node: Node) -> Run:
    inner = node["children"][0]
    name = _word(inner)
    if inner["type"] != "Identifier" or is_capitalized(name):
        return _as_the_engine(node)
    step = create_reduce_member_invocation(_MODEL, name)
    return lambda _, data: reduce(step, data, []) if isinstance(data, list) else []


def _word(node: Node) -> str:
    return str(evaluators["Identifier"](None, None, node)[0]).replace("`", "")


def _is_literal(node: Node) -> bool:
    """Tell whether a node is words and numbers alone, or a list of them."""
    if node["type"] in _LITERALS:
        return True
    inside = node["type"] in {*_INSIDE, "LiteralTerm", "UnionExpression"}
    below = node.get("children", ())
    return inside and bool(below) and all(map(_is_literal, below))


def _criterion(context: Context, run: Run) -> Callable[[Any], Any]:
    def holds(item: Any) -> Any:
        context["$this"] = this = arraify(item)
        return run(context, this)

    return holds


def _this(context: Context) -> Any:
    return context.setdefault("$this", context["dataRoot"])


def _single(kind: Any) -> Callable[[Any], Any]:
    """Return what takes the one value of a kind out of a list; nothing stays nothing."""
    check: Any = param_check_table[kind[0] if isinstance(kind, list) else kind]

    def take(found: Any) -> Any:
        if len(found) > 1:
            raise ValueError("several values where one is expected")
        return check(found[0]) if found else []

    return take


def _plain(found: Any) -> Any:
    """Return what came out without the engine's own wrapping."""
    if isinstance(found, list):
        return [item for item in map(_plain, found) if not _is_extension(item)]
    data = get_data(found)
    if isinstance(data, dict) and not isinstance(data, FP_Type):
        return {key: _plain(value) for key, value in data.items()}
    return data


def _is_extension(item: Any) -> bool:
    """Tell whether it is what stands beside a value and is none."""
    return isinstance(item, dict) and list(item) == ["extension"]
