"""The versions of one resource: what each says, in which order, which are new. Pure.

Numbers decide where there are numbers, for the EHR's clock may be set back. Without
them the times do, and at one instant the course that such a thing takes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mappings.codes import (
    DELETED,
    OTHER,
    disposition_codings,
    encounter_class,
    encounter_period,
    focus_status,
)
from mappings.event import FocusState
from mappings.instants import find_instant
from mappings.reference import focus_patient, read_reference, reference_of, version_of
from mappings.resource import Resource, first_at, list_of, values_at

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
COURSE = (
    OTHER,
    "planned",
    "waitlisted",
    "booked",
    "active",
    "admitted",
    "inpatient",
    "arrived",
    "fulfilled",
    "noshow",
    "discharged",
    "ended",
    "cancelled",
    "undone",
    DELETED,
)


def read_state(version: Resource, base: str | None = None) -> FocusState:
    """Read what is remembered of one version; patients count under ``base`` alone.

    Of a deleted version, ``{"resourceType", "id", "meta"?, "_deleted": True}``, nothing
    but that is known.
    """
    deleted = bool(version.get("_deleted"))
    parts = [] if deleted else list(_fingerprint(version))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    return FocusState(
        reference=reference_of(version),
        version=str(version_of(version) or ("deleted" if deleted else digest)),
        status=DELETED if deleted else focus_status(version),
        fingerprint=digest,
        last_updated=find_instant(first_at(version, "meta.lastUpdated")) or EPOCH,
        patient=None if deleted else focus_patient(version, base),
    )


def unseen(before: FocusState | None, versions: Sequence[Resource]) -> list[Resource]:
    """Return the versions that are newer than ``before``, oldest first, each once.

    Where the one that was seen last is among them, what stands behind it is new.
    Otherwise numbers decide, but for a resource that was purged and made again.
    """
    ordered = _ordered(versions)
    if before is None:
        return ordered
    for index, version in enumerate(ordered):
        state = read_state(version)
        if (state.version, state.last_updated) == (before.version, before.last_updated):
            return ordered[index + 1 :]
    numbered = not _renumbered(before, versions)
    return [item for item in ordered if _newer(item, before, numbered=numbered)]


def _fingerprint(version: Resource) -> Iterator[str]:
    """Yield the parts whose change is a transition of its own."""
    match version.get("resourceType"):
        case "Encounter":
            yield encounter_class(version)
            yield from sorted("|".join(pair) for pair in disposition_codings(version))
            yield str(encounter_period(version).get("end") or "")
        case "Appointment":
            yield str(version.get("start") or "")
            places = (
                read_reference(actor) or ""
                for actor in values_at(version, "participant.actor")
            )
            yield from sorted(item for item in places if item.startswith("Location/"))
        case "CarePlan":
            for activity in list_of(version.get("activity")):
                yield json.dumps(activity, sort_keys=True)
            yield json.dumps(version.get("period"), sort_keys=True)


def _number(version: Resource) -> int | None:
    text = version_of(version) or ""
    return int(text) if text.isascii() and text.isdigit() else None


def _ordered(versions: Sequence[Resource]) -> list[Resource]:
    """Put versions in order, whatever order they came in, and leave repeats out."""
    once: dict[tuple[str, datetime, str], Resource] = {}
    for item in versions:
        state = read_state(item)
        once.setdefault((state.version, state.last_updated, state.fingerprint), item)
    found = list(once.values())
    if all(_number(item) is not None for item in found):
        return sorted(found, key=lambda item: _number(item) or 0)
    return sorted(found, key=_order)


def _order(version: Resource) -> tuple[datetime, int, int, str]:
    state = read_state(version)
    moment, number = state.last_updated, _number(version)
    if state.status == DELETED and moment == EPOCH:
        moment = LATEST
    course = COURSE.index(state.status)
    return moment, -1 if number is None else number, course, state.version


def _renumbered(before: FocusState, versions: Sequence[Resource]) -> bool:
    """Tell whether numbering began anew: a resource that was purged and made again."""
    numbers = [number for item in versions if (number := _number(item)) is not None]
    if not numbers or not before.version.isdigit():
        return False
    return max(numbers) < int(before.version)


def _newer(version: Resource, state: FocusState, *, numbered: bool) -> bool:
    after = read_state(version)
    if after.version == state.version and after.status == state.status:
        return False
    if after.status == DELETED and after.last_updated == EPOCH:
        return state.status != DELETED
    digits = after.version.isdigit() and state.version.isdigit()
    same_time = after.last_updated == state.last_updated
    if digits and (numbered or same_time) and after.version != state.version:
        return int(after.version) > int(state.version)
    if not same_time:
        return after.last_updated > state.last_updated
    return after.version != state.version
