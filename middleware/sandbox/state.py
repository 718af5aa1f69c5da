"""The finished state of the store: current resources, versions, log and indexes.

It holds no lock and knows no time; the store decides when it may be touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

Interaction = Literal["create", "update", "delete"]
Resource = dict[str, Any]
Key = tuple[str, str]

STEP = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Change:
    """One committed version of one resource; `resource` is None when deleted.

    `resource` and `previous` are the store's own: read them, never modify them.
    """

    interaction: Interaction
    type: str
    id: str
    version: int
    resource: Resource | None
    previous: Resource | None
    instant: datetime


class State:
    """Applies changes in order and answers what is current, per type and target."""

    def __init__(self) -> None:
        self.log: list[Change] = []
        self.last: datetime | None = None
        self._current: dict[str, dict[str, Resource]] = {}
        self._versions: dict[Key, list[Change]] = {}
        self._by_target: dict[Key, dict[str, Resource]] = {}

    def apply(self, change: Change) -> None:
        """Take in the next version of a resource."""
        key = (change.type, change.id)
        self.log.append(change)
        self.last = change.instant
        self._versions.setdefault(key, []).append(change)
        if change.previous is not None:
            self._forget(change.type, change.id, change.previous)
        if change.resource is not None:
            self._current.setdefault(change.type, {})[change.id] = change.resource
            for target in targets_of(change.resource):
                index = self._by_target.setdefault((change.type, target), {})
                index[change.id] = change.resource

    def current(self, type_: str, id_: str) -> Resource | None:
        """Answer the current resource, or None when unknown or deleted."""
        return self._current.get(type_, {}).get(id_)

    def versions(self, type_: str, id_: str) -> list[Change]:
        """Answer the versions of one resource, oldest first; [] when unknown."""
        return list(self._versions.get((type_, id_), ()))

    def latest(self, type_: str, id_: str) -> Change | None:
        """Answer the newest version of one resource, deletions included."""
        versions = self._versions.get((type_, id_))
        return versions[-1] if versions else None

    def candidates(self, type_: str, target: str | None) -> list[Resource]:
        """Answer a type's current resources, or those that refer to Type/id."""
        if target is None:
            return list(self._current.get(type_, {}).values())
        return list(self._by_target.get((type_, target), {}).values())

    def types(self) -> list[str]:
        """Answer the types that have current resources."""
        return [type_ for type_, held in self._current.items() if held]

    def _forget(self, type_: str, id_: str, previous: Resource) -> None:
        self._current.get(type_, {}).pop(id_, None)
        for target in targets_of(previous):
            self._by_target.get((type_, target), {}).pop(id_, None)


def references_in(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (path, reference) of every literal reference inside a JSON value."""
    yield from _walk(value, "")


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str):
            yield path, reference
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _walk(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            if isinstance(inner, dict | list):
                yield from _walk(inner, f"{path}[{position}]")


def targets_of(resource: Resource) -> set[str]:
    """Answer every `Type/id` that a resource refers to, without versions."""
    return {
        reference.partition("/_history/")[0]
        for _, reference in references_in(resource)
        if not reference.startswith("#")
    }


def write_change(change: Change) -> dict[str, Any]:
    """Write a change as its journal record."""
    return {
        "interaction": change.interaction,
        "type": change.type,
        "id": change.id,
        "version": change.version,
        "instant": change.instant.isoformat(),
        "resource": change.resource,
    }


def read_change(record: dict[str, Any], state: State) -> Change:
    """Read a journal record; the previous version is the state's current one."""
    return Change(
        interaction=record["interaction"],
        type=record["type"],
        id=record["id"],
        version=record["version"],
        resource=record["resource"],
        previous=state.current(record["type"], record["id"]),
        instant=datetime.fromisoformat(record["instant"]),
    )
