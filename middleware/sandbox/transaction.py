"""An open transaction: staged changes over the finished state.

It may not touch the journal or the locks; the store opens, commits or drops it.
It sees its own changes, so that later entries of a Bundle find earlier ones.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

from middleware.sandbox.state import (
    STEP,
    Change,
    Interaction,
    Resource,
    State,
    targets_of,
)


class Transaction:
    """Creates, updates and deletes that are not committed yet."""

    def __init__(self, state: State, now: datetime) -> None:
        self._state = state
        self._now = now
        self._last = state.last
        self._staged: dict[tuple[str, str], Change] = {}
        self._allotted = 0
        self.changes: list[Change] = []

    def get(self, type_: str, id_: str) -> Resource | None:
        """Answer the resource as it would be after a commit; None when absent."""
        latest = self.latest(type_, id_)
        return latest.resource if latest else None

    def latest(self, type_: str, id_: str) -> Change | None:
        """Answer the newest version, staged ones and deletions included."""
        staged = self._staged.get((type_, id_))
        return staged or self._state.latest(type_, id_)

    def versions(self, type_: str, id_: str) -> list[Change]:
        """Answer all versions of one resource, oldest first, staged ones last."""
        mine = [c for c in self.changes if (c.type, c.id) == (type_, id_)]
        return self._state.versions(type_, id_) + mine

    def log(self) -> list[Change]:
        """Answer every change, oldest first, staged ones last."""
        return self._state.log + self.changes

    def candidates(self, type_: str, target: str | None = None) -> list[Resource]:
        """Answer a type's resources, or those that refer to `Type/id`, staged too."""
        found = self._state.candidates(type_, target)
        staged = {c.id: c for c in self._staged.values() if c.type == type_}
        if not staged:
            return found
        kept = [resource for resource in found if resource["id"] not in staged]
        for change in staged.values():
            resource = change.resource
            if resource is None:
                continue
            if target is None or target in targets_of(resource):
                kept.append(resource)
        return kept

    def types(self) -> list[str]:
        """Answer the types that have resources, staged ones too."""
        staged = {change.type for change in self.changes}
        return sorted(staged.union(self._state.types()))

    def allot(self, type_: str) -> str:
        """Answer an id that no resource of the type has had, nor a reservation."""
        while True:
            number = 1000 + len(self._state.log) + self._allotted
            self._allotted += 1
            if self.latest(type_, str(number)) is None:
                return str(number)

    def create(self, type_: str, resource: Resource, id_: str | None = None) -> Change:
        """Stage a new resource under a new id, or under the given one."""
        return self._stage("create", type_, id_ or self.allot(type_), resource)

    def update(self, type_: str, id_: str, resource: Resource) -> Change:
        """Stage the next version of a resource, or its first under this id."""
        known = self.get(type_, id_) is not None
        return self._stage("update" if known else "create", type_, id_, resource)

    def delete(self, type_: str, id_: str) -> Change | None:
        """Stage a deletion; None when there is nothing to delete."""
        if self.get(type_, id_) is None:
            return None
        return self._stage("delete", type_, id_, None)

    def _stage(
        self, interaction: Interaction, type_: str, id_: str, resource: Resource | None
    ) -> Change:
        before = self.latest(type_, id_)
        version = before.version + 1 if before else 1
        instant = self._tick()
        stamped = None
        if resource is not None:
            stamped = stamp(resource, type_, id_, version, instant)
        change = Change(
            interaction=interaction,
            type=type_,
            id=id_,
            version=version,
            resource=stamped,
            previous=before.resource if before else None,
            instant=instant,
        )
        self._staged[(type_, id_)] = change
        self.changes.append(change)
        return change

    def _tick(self) -> datetime:
        now = self._now.astimezone(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if self._last is not None and now <= self._last:
            now = self._last + STEP
        self._last = now
        return now


def stamp(
    resource: Resource, type_: str, id_: str, version: int, instant: datetime
) -> Resource:
    """Answer a copy that carries its id, meta.versionId and meta.lastUpdated."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(resource))
    meta = copy.pop("meta", None) or {}
    meta["versionId"] = str(version)
    meta["lastUpdated"] = instant.isoformat(timespec="milliseconds")
    copy.pop("resourceType", None)
    copy.pop("id", None)
    return {"resourceType": type_, "id": id_, "meta": meta, **copy}
