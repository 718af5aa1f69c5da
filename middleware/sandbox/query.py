"""Search parameters into a query that can tell whether a resource matches.

Pure. Strict: what it does not understand is refused with 400.
Source: https://hl7.org/fhir/R4/search.html.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from middleware.sandbox.models import Parameter, parameters_of, resource_types
from middleware.sandbox.outcome import FhirFault, printable
from middleware.sandbox.state import Resource
from middleware.sandbox.values import (
    Test,
    compile_test,
    extract,
    local_reference,
    split,
)

MODIFIERS = {
    "token": {"not"},
    "string": {"exact", "contains"},
    "uri": {"below"},
    "reference": {"identifier"},
}
IGNORED = {"_pretty", "_format"}
TOTALS = {"none", "estimate", "accurate"}
DEFAULT_COUNT = 50
MAX_COUNT = 1000

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Clause:
    """One search parameter with its alternatives: any test may hold."""

    parameter: Parameter
    modifier: str
    tests: tuple[Test, ...]
    targets: tuple[str, ...] = ()

    def holds(self, resource: Resource) -> bool:
        """Tell whether the resource satisfies this parameter."""
        values = self._values(resource)
        tests = self.tests
        if self.modifier == "missing":
            return tests[0](bool(values))
        if len(values) == 1 and len(tests) == 1:
            found = tests[0](values[0])
        else:
            found = any(test(value) for value in values for test in tests)
        return not found if self.modifier == "not" else found

    def _values(self, resource: Resource) -> list[Any]:
        paths = self.parameter.paths
        found = extract(resource, paths[0])
        for path in paths[1:]:
            found = found + extract(resource, path)
        if self.parameter.name == "deceased" and self.modifier != "missing":
            return [bool(found) and found[0] is not False]
        return found


@dataclass(frozen=True)
class Include:
    """One `_include` or `_revinclude`: source type, parameter, target type."""

    source: str
    parameter: Parameter
    target: str | None


@dataclass
class Query:
    """A parsed search on one type; `count` None means the server's page size."""

    type: str
    base: str
    zone: ZoneInfo
    clauses: list[Clause] = field(default_factory=list)
    sort: list[tuple[Parameter, bool]] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    reverse: list[Include] = field(default_factory=list)
    elements: frozenset[str] = frozenset()
    count: int = DEFAULT_COUNT
    summary: bool = False
    total: bool = True

    def matches(self, resource: Resource) -> bool:
        """Tell whether a resource satisfies every parameter."""
        return all(clause.holds(resource) for clause in self.clauses)


def parse_query(
    type_: str, pairs: Pairs, base: str, zone: ZoneInfo, *, lenient: bool = False
) -> Query:
    """Parse search parameters; FhirFault 400 for any that is not understood.

    `zone` gives dates without an offset their meaning. `lenient` passes over
    unknown parameters (Prefer: handling=lenient).
    """
    query = Query(type_, base, zone)
    for name, value in pairs:
        if name in IGNORED or value == "":
            continue
        control = CONTROLS.get(name.partition(":")[0])
        if control is not None:
            control(query, value)
            continue
        clause = _clause(query, name, value, lenient)
        if clause is not None:
            query.clauses.append(clause)
    return query


def _clause(query: Query, name: str, value: str, lenient: bool) -> Clause | None:
    code, _, modifier = name.partition(":")
    known = parameters_of(query.type)
    parameter = known.get(code)
    if parameter is None:
        if lenient:
            return None
        raise FhirFault(
            400,
            f"{query.type} has no search parameter {printable(code)} here. Known: "
            + ", ".join(sorted(known)),
        )
    _check_modifier(query.type, parameter, modifier)
    texts_ = split(value, ",")
    if modifier == "missing":
        if value not in {"true", "false"}:
            raise FhirFault(400, f"{name} takes true or false.")
        absent = value == "true"
        return Clause(parameter, modifier, (lambda found: bool(found) is not absent,))
    tests = tuple(
        compile_test(parameter, modifier, text, query.base, query.zone)
        for text in texts_
    )
    targets = tuple(_targets(parameter, modifier, texts_, query.base))
    return Clause(parameter, modifier, tests, targets)


def _check_modifier(type_: str, parameter: Parameter, modifier: str) -> None:
    if not modifier or modifier == "missing":
        return
    if modifier in MODIFIERS.get(parameter.kind, set()):
        return
    if parameter.kind == "reference" and modifier in resource_types():
        return
    raise FhirFault(
        400, f"{parameter.name} of {type_} has no modifier {printable(modifier)} here."
    )


def _targets(
    parameter: Parameter, modifier: str, values: list[str], base: str
) -> Iterable[str]:
    """Answer the ids or references that an index can be asked for, or nothing."""
    if parameter.name == "_id" and not modifier:
        return values
    if parameter.kind != "reference" or modifier == "identifier":
        return ()
    type_ = modifier or parameter.only
    found = []
    for value in values:
        reference = local_reference(value, base)
        if "/" not in reference and type_:
            reference = f"{type_}/{reference}"
        if "://" in reference or reference.count("/") != 1:
            return ()
        found.append(reference)
    return found


def _take_count(query: Query, value: str) -> None:
    if not value.isdecimal():
        raise FhirFault(400, "_count takes a number of at least 0.")
    query.count = min(int(value), MAX_COUNT)
    query.summary = query.summary or query.count == 0


def _take_sort(query: Query, value: str) -> None:
    known = parameters_of(query.type)
    for text in value.split(","):
        name = text.removeprefix("-")
        if name not in known:
            raise FhirFault(400, f"{query.type} cannot be sorted by {printable(name)}.")
        query.sort.append((known[name], text.startswith("-")))


def _take_summary(query: Query, value: str) -> None:
    if value not in {"count", "false"}:
        raise FhirFault(400, "_summary takes count or false here.")
    query.summary = value == "count"


def _take_total(query: Query, value: str) -> None:
    if value not in TOTALS:
        raise FhirFault(400, "_total takes none, estimate or accurate.")
    query.total = value != "none"


def _take_elements(query: Query, value: str) -> None:
    query.elements = frozenset(value.split(","))


def _take_include(query: Query, value: str) -> None:
    query.includes.append(_include(value))
    if query.includes[-1].source != query.type:
        raise FhirFault(400, f"_include on {query.type} starts with {query.type}:")


def _take_reverse(query: Query, value: str) -> None:
    query.reverse.append(_include(value))


def _include(value: str) -> Include:
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    known = parameters_of(source) if source in resource_types() else {}
    parameter = known.get(name)
    if parameter is None or parameter.kind != "reference":
        raise FhirFault(
            400, f"{printable(value)} is not Type:reference-parameter[:Type]."
        )
    return Include(source, parameter, target or parameter.only)


CONTROLS = {
    "_count": _take_count,
    "_sort": _take_sort,
    "_summary": _take_summary,
    "_total": _take_total,
    "_elements": _take_elements,
    "_include": _take_include,
    "_revinclude": _take_reverse,
}
