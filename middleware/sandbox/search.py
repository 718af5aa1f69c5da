"""FHIR search over a view of the store: a query into sorted resources.

It may not build Bundles, check scopes or know HTTP.
Source: https://hl7.org/fhir/R4/search.html.
"""

from collections.abc import Iterable
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from middleware.sandbox.dates import range_of
from middleware.sandbox.models import Parameter
from middleware.sandbox.query import Include, Query
from middleware.sandbox.state import Change, Resource
from middleware.sandbox.values import extract, reference_of, texts, tokens


class View(Protocol):
    """What can be read: the store, or an open transaction over it."""

    def get(self, type_: str, id_: str) -> Resource | None:
        """Answer the current resource, or None."""

    def latest(self, type_: str, id_: str) -> Change | None:
        """Answer the newest version, deletions included."""

    def versions(self, type_: str, id_: str) -> list[Change]:
        """Answer all versions, oldest first."""

    def candidates(self, type_: str, target: str | None = None) -> list[Resource]:
        """Answer the current resources of a type, or those that name a target."""

    def types(self) -> list[str]:
        """Answer the types that have current resources."""

    def log(self) -> list[Change]:
        """Answer every change, oldest first."""


def select(view: View, query: Query) -> list[Resource]:
    """Answer the matching resources, sorted; oldest change first when unsorted."""
    found = [r for r in _candidates(view, query) if query.matches(r)]
    for parameter, descending in reversed(query.sort):
        found = _sorted(found, parameter, descending, query.zone)
    return found


def _candidates(view: View, query: Query) -> list[Resource]:
    narrow: list[Resource] | None = None
    for clause in query.clauses:
        if clause.parameter.name == "_id" and clause.targets:
            got = (view.get(query.type, id_) for id_ in dict.fromkeys(clause.targets))
            return [resource for resource in got if resource is not None]
        if len(clause.targets) == 1:
            found = view.candidates(query.type, clause.targets[0])
            if narrow is None or len(found) < len(narrow):
                narrow = found
    return view.candidates(query.type) if narrow is None else narrow


def _sorted(
    found: list[Resource], parameter: Parameter, descending: bool, zone: ZoneInfo
) -> list[Resource]:
    keyed, bare = [], []
    for resource in found:
        keys = [
            key
            for path in parameter.paths
            for value in extract(resource, path)
            for key in _keys(parameter.kind, value, zone)
        ]
        if keys:
            keyed.append((max(keys) if descending else min(keys), resource))
        else:
            bare.append(resource)
    keyed.sort(key=lambda pair: pair[0], reverse=descending)
    return [resource for _, resource in keyed] + bare


def _keys(kind: str, value: Any, zone: ZoneInfo) -> Iterable[Any]:
    if kind == "date":
        found = range_of(value, zone)
        return found or ()
    if kind == "token":
        return [code for _, code in tokens(value)]
    if kind == "reference":
        return [value["reference"]] if "reference" in value else []
    if kind in {"string", "uri"}:
        return [text.casefold() for text in texts(value)]
    number = value.get("value") if isinstance(value, dict) else value
    return [] if number is None else [number]


def follow(view: View, query: Query, page: list[Resource]) -> list[Resource]:
    """Answer what `_include` and `_revinclude` add to a page, each once."""
    shown = {_name(resource) for resource in page}
    added = []
    for include in (*query.includes, *query.reverse):
        step = _included if include in query.includes else _including
        for resource in page:
            for other in step(view, include, resource, query.base):
                if _name(other) not in shown:
                    shown.add(_name(other))
                    added.append(other)
    return added


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _included(
    view: View, include: Include, resource: Resource, base: str
) -> Iterable[Resource]:
    for path in include.parameter.paths:
        for value in extract(resource, path):
            type_, _, id_ = reference_of(value, base).partition("/")
            if include.target in {None, type_}:
                found = view.get(type_, id_)
                if found is not None:
                    yield found


def _including(
    view: View, include: Include, resource: Resource, base: str
) -> Iterable[Resource]:
    target = _name(resource)
    for source in view.candidates(include.source, target):
        if any(
            reference_of(value, base) == target
            for path in include.parameter.paths
            for value in extract(source, path)
        ):
            yield source
