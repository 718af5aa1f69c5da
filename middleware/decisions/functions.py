"""The FHIRPath functions that are ours: shorter, quicker, or right where others are not.

``asHours()`` turns a date into hours since 1970, ``coded('set')`` picks resources by
value set in one pass, ``doneWithin(days)`` keeps what was done lately,
``doneBefore(days)`` what was done longer ago,
``doneSince('07-01')`` what was done since that day, ``latest()`` the last of it,
``proportionCovered(days)`` counts the days that dispensed medicine covers,
``statusWord()`` and ``encounterClass()`` read R4 and R5 alike. Of the standard's own: ``memberOf`` against
our value sets (by id or canonical URL), ``resolve`` inside the chart, ``now`` and
``today`` by our clock, and the aggregates, which the library has for literals alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from mappings.codes import encounter_class, has_member, status_word
from mappings.instants import read_instant
from mappings.reference import read_reference
from mappings.resource import Coding, Resource, codings_of, list_of
from middleware.decisions.done import done_before, done_since, done_within, latest
from middleware.decisions.supply import proportion_covered

ValueSets = Mapping[str, frozenset[tuple[str, str]]]
# What says what a resource is about.
CODED = ("code", "type", "vaccineCode", "medicationCodeableConcept")


def _finds_nothing(_reference: str) -> Resource | None:
    return None


@dataclass(frozen=True)
class Environment:
    """What conditions see: the variables, the value sets and the instant.

    ``incomplete`` names variables whose reading failed: a condition that mentions one
    is unknown; ``unsupported`` are those of them that this EHR does not have. ``focus`` is the resource that the expression starts from. ``find``
    returns a resource of the chart by ``Type/id``. ``answers`` remembers what was
    evaluated: the steps of a plan share most of their conditions; ``lists`` what their
    lists came to. ``codes`` are the codes of a resource by the resource itself, read once
    for a chart.
    """

    focus: Resource
    variables: Mapping[str, Any]
    value_sets: ValueSets
    now: datetime
    incomplete: frozenset[str] = frozenset()
    unsupported: frozenset[str] = frozenset()
    find: Callable[[str], Resource | None] = field(
        default=_finds_nothing, compare=False, repr=False
    )
    answers: dict[str, Answer] = field(default_factory=dict, compare=False, repr=False)
    lists: dict[str, list[Any]] = field(default_factory=dict, compare=False, repr=False)
    codes: dict[int, tuple[Any, tuple[Coding, ...]]] = field(
        default_factory=dict, compare=False, repr=False
    )


@dataclass(frozen=True)
class Answer:
    """True, False, or None for unknown, and why it is unknown.

    ``reason`` is plan-unknown when the expression failed, data-missing when the chart
    has not what it asks for, and empty otherwise.
    """

    value: bool | None
    reason: str = ""
    detail: str = field(default="", compare=False)


current: ContextVar[Environment] = ContextVar("environment")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(getattr(value, "original_data", None) or getattr(value, "asStr", value))


def _hours(inputs: Iterable[Any]) -> list[float]:
    return [read_instant(_text(item)).timestamp() / 3600 for item in inputs]


# --- value sets and references ----------------------------------------------------


def _members(name: str) -> frozenset[tuple[str, str]]:
    return current.get().value_sets[name.partition("|")[0]]


def coded(inputs: Iterable[Any], name: str) -> list[Any]:
    """Keep the resources whose code, or type, is in a value set."""
    members, known = _members(name), current.get().codes
    return [item for item in inputs if has_member(members, _codes(item, known))]


def _codes(
    resource: Any, known: dict[int, tuple[Any, tuple[Coding, ...]]]
) -> tuple[Coding, ...]:
    if not isinstance(resource, dict):
        return ()
    found = known.get(id(resource))
    if found is None:
        # What is remembered keeps the resource, so that nothing else gets its id.
        found = known[id(resource)] = (resource, _read_codes(resource))
    return found[1]


def _read_codes(resource: Resource) -> tuple[Coding, ...]:
    return tuple(pair for name in CODED for pair in codings_of(resource.get(name)))


def _member_of(inputs: Iterable[Any], name: str) -> list[bool]:
    members = _members(name)
    codes = {code for _, code in members}
    return [
        item in codes
        if isinstance(item, str)
        else has_member(members, codings_of(item)) is not None
        for item in inputs
    ]


def _resolve(inputs: Iterable[Any]) -> list[Resource]:
    found = (_find(item) for item in inputs)
    return [item for item in found if item is not None]


def _find(item: Any) -> Resource | None:
    """Return what a reference points to in the chart, or inside the focus."""
    reference = {"reference": item} if isinstance(item, str) else item
    if not isinstance(reference, dict):
        return None
    text = str(reference.get("reference") or "")
    environment = current.get()
    if text.startswith("#"):
        inner = list_of(environment.focus.get("contained"))
        return next((one for one in inner if one.get("id") == text[1:]), None)
    name = read_reference(reference)
    return environment.find(name) if name else None


# --- time -------------------------------------------------------------------------


def _moment(text: str) -> list[Any]:
    # The web process never evaluates a condition: it starts without the engine.
    from fhirpathpy.engine.nodes import FP_DateTime  # noqa: PLC0415

    moment: Any = FP_DateTime
    return [moment(text)]


def _now(_inputs: Iterable[Any]) -> list[Any]:
    return _moment(current.get().now.isoformat())


def _today(_inputs: Iterable[Any]) -> list[Any]:
    environment = current.get()
    local = environment.variables.get("today")
    return _moment(str(local or environment.now.date().isoformat()))


def _done_within(inputs: Iterable[Any], days: float) -> list[Any]:
    return done_within(inputs, float(days), current.get().now)


def _done_before(inputs: Iterable[Any], days: float) -> list[Any]:
    return done_before(inputs, float(days), current.get().now)


def _done_since(inputs: Iterable[Any], day: str) -> list[Any]:
    return done_since(inputs, day, current.get().now)


def _covered(inputs: Iterable[Any], days: float) -> list[Decimal]:
    found = proportion_covered(inputs, int(days), current.get().now)
    return [] if found is None else [Decimal(str(round(found, 4)))]


def exact(resource: Resource) -> Resource:
    """Return an Observation whose values are decimals: the library compares no floats.

    ``value = 9.4`` is false there for 9.4 as it comes out of JSON.
    """
    parts = [part for part in list_of(resource.get("component")) if part]
    if "valueQuantity" not in resource and not parts:
        return resource
    changed: Resource = {}
    if parts:
        changed["component"] = [exact(part) for part in parts]
    quantity = resource.get("valueQuantity")
    if isinstance(quantity, dict) and isinstance(quantity.get("value"), float):
        value = Decimal(str(quantity["value"]))
        changed["valueQuantity"] = {**quantity, "value": value}
    return {**resource, **changed} if changed else resource


# --- aggregates -------------------------------------------------------------------


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError("an aggregate of what is no number")
    return Decimal(str(value))


def _sum(inputs: Iterable[Any]) -> list[Decimal]:
    numbers = [_number(item) for item in inputs]
    return [sum(numbers, Decimal(0))] if numbers else []


def _avg(inputs: Iterable[Any]) -> list[Decimal]:
    numbers = [_number(item) for item in inputs]
    return [sum(numbers, Decimal(0)) / len(numbers)] if numbers else []


def _min(inputs: Iterable[Any]) -> list[Any]:
    items = list(inputs)
    return [min(items, key=_rank)] if items else []


def _max(inputs: Iterable[Any]) -> list[Any]:
    items = list(inputs)
    return [max(items, key=_rank)] if items else []


def _rank(value: Any) -> Any:
    """Return what two of a kind are compared by: numbers, dates, else words."""
    if isinstance(value, int | float | Decimal):
        return _number(value)
    text = _text(value)
    try:
        return read_instant(text)
    except ValueError:
        return text


# --- R4 and R5 alike --------------------------------------------------------------


def _status_words(inputs: Iterable[Any]) -> list[str]:
    return [status_word(item) for item in inputs]


def _classes(inputs: Iterable[Any]) -> list[str]:
    return [encounter_class(item) for item in inputs]


def table() -> dict[str, dict[str, Any]]:
    """Return the functions as the engine takes them."""
    return {
        name: {"fn": function, "arity": arity}
        for name, (function, arity) in FUNCTIONS.items()
    }


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[int, list[str]]]] = {
    "asHours": (_hours, {0: []}),
    "coded": (coded, {1: ["String"]}),
    "memberOf": (_member_of, {1: ["String"]}),
    "resolve": (_resolve, {0: []}),
    "doneWithin": (_done_within, {1: ["Number"]}),
    "doneBefore": (_done_before, {1: ["Number"]}),
    "doneSince": (_done_since, {1: ["String"]}),
    "latest": (latest, {0: []}),
    "proportionCovered": (_covered, {1: ["Number"]}),
    "statusWord": (_status_words, {0: []}),
    "encounterClass": (_classes, {0: []}),
    "now": (_now, {0: []}),
    "today": (_today, {0: []}),
    "sum": (_sum, {0: []}),
    "avg": (_avg, {0: []}),
    "min": (_min, {0: []}),
    "max": (_max, {0: []}),
}
