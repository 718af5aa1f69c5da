"""Which transitions a resource's versions show: pure, in whatever order they come.

A notification is a hint; the versions say what happened. The same versions give the
same transitions and the same final state, whether seen at once or one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mappings.codes import (
    ADMITTED,
    CANCELLED,
    DELETED,
    DISCHARGED,
    UNDONE,
    disposition_codings,
    encounter_class,
    status_word,
)
from mappings.event import EventKind, FocusState, Transition
from mappings.instants import find_instant, is_date_only
from mappings.reference import focus_patient, read_reference, reference_of, version_of
from mappings.resource import Resource, first_at, list_of, values_at

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ARRIVED = frozenset({"arrived", "checked-in"})

Order = tuple[datetime, int, int, str]


def match_transitions(
    before: FocusState | None, versions: Sequence[Resource]
) -> tuple[list[Transition], FocusState | None]:
    """Return the transitions that ``versions`` show after ``before``, and the new state.

    Versions are put in order themselves; those not newer than ``before`` are skipped.
    Where they are numbered the numbers decide: the EHR's clock may be set back.
    A deleted version is ``{"resourceType", "id", "meta"?, "_deleted": True}``. The
    state is None only when there was none and no version was given.
    """
    state = before
    found: list[Transition] = []
    numbered = before is None or not _renumbered(before, versions)
    for version in _ordered(versions):
        if state is not None and not _newer(version, state, numbered=numbered):
            continue
        after = read_state(version)
        kind = _kind(state, after)
        if kind is not None:
            found.append(
                Transition(
                    kind=kind,
                    reference=after.reference,
                    version=after.version,
                    occurred_at=_occurred(kind, version, after),
                )
            )
        state = after
    return found, state


def read_state(version: Resource) -> FocusState:
    """Read what is remembered of one version."""
    deleted = bool(version.get("_deleted"))
    updated = find_instant(first_at(version, "meta.lastUpdated"))
    number = version_of(version)
    parts = [] if deleted else list(_fingerprint(version))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    return FocusState(
        reference=reference_of(version),
        version=str(number or ("deleted" if deleted else digest)),
        status=DELETED if deleted else _status(version),
        fingerprint=digest,
        last_updated=updated or EPOCH,
    )


def _status(version: Resource) -> str:
    if version.get("resourceType") == "Encounter":
        return status_word(version)
    status = str(version.get("status"))
    return "arrived" if status in ARRIVED else status


def _fingerprint(version: Resource) -> Iterator[str]:
    """Yield the parts whose change is a transition of its own: also whom it is about."""
    yield focus_patient(version) or ""
    match version.get("resourceType"):
        case "Encounter":
            yield encounter_class(version)
            yield from sorted("|".join(pair) for pair in disposition_codings(version))
            yield str(_encounter_end(version) or "")
        case "Appointment":
            yield str(version.get("start") or "")
            places = (
                read_reference(actor) or ""
                for actor in values_at(version, "participant.actor")
            )
            yield from sorted(item for item in places if item.startswith("Location/"))
        case "CarePlan":
            for activity in list_of(version.get("activity")):
                yield repr(activity)
            yield repr(version.get("period"))


def _encounter_end(version: Resource) -> object:
    return first_at(version, "period.end") or first_at(version, "actualPeriod.end")


def _order(version: Resource, index: int) -> Order:
    state = read_state(version)
    number = int(state.version) if state.version.isdigit() else -1
    moment = state.last_updated
    if version.get("_deleted") and moment == EPOCH:
        moment = datetime.max.replace(tzinfo=UTC)
    return moment, number, index if number < 0 else 0, state.version


def _number(version: Resource) -> int | None:
    text = version_of(version) or ""
    return int(text) if text.isascii() and text.isdigit() else None


def _renumbered(before: FocusState, versions: Sequence[Resource]) -> bool:
    """Tell whether numbering began anew: a resource that was purged and made again."""
    numbers = [number for item in versions if (number := _number(item)) is not None]
    if not numbers or not before.version.isdigit():
        return False
    return max(numbers) < int(before.version)


def _ordered(versions: Sequence[Resource]) -> list[Resource]:
    numbers = [_number(item) for item in versions]
    if None not in numbers:
        pairs = zip(numbers, versions, strict=True)
        return [item for _, item in sorted(pairs, key=lambda pair: pair[0] or 0)]
    keyed = [(_order(item, index), item) for index, item in enumerate(versions)]
    return [item for _, item in sorted(keyed, key=lambda pair: pair[0])]


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


def _kind(before: FocusState | None, after: FocusState) -> EventKind | None:
    if after.status == DELETED:
        gone = before is None or before.status == DELETED
        return None if gone else EventKind.RESOURCE_DELETED
    resource_type = after.reference.partition("/")[0]
    match resource_type:
        case "Encounter":
            return _encounter(before, after)
        case "Appointment":
            return _appointment(before, after)
        case "CarePlan":
            return _care_plan(before, after)
    return None


def _moved(before: FocusState | None, after: FocusState) -> bool:
    return before is None or before.status != after.status


def _encounter(before: FocusState | None, after: FocusState) -> EventKind | None:
    """Name a stay's change; a late disposition is a discharge to decide on again."""
    changed = before is not None and before.fingerprint != after.fingerprint
    if after.status == DISCHARGED and (_moved(before, after) or changed):
        return EventKind.ENCOUNTER_DISCHARGED
    if not _moved(before, after):
        return None
    return {
        ADMITTED: EventKind.ENCOUNTER_ADMITTED,
        CANCELLED: EventKind.ENCOUNTER_CANCELLED,
        UNDONE: EventKind.ENCOUNTER_UNDONE,
    }.get(after.status)


def _appointment(before: FocusState | None, after: FocusState) -> EventKind | None:
    if after.status == "booked":
        if before is None or before.status != "booked":
            return EventKind.APPOINTMENT_BOOKED
        moved = before.fingerprint != after.fingerprint
        return EventKind.APPOINTMENT_RESCHEDULED if moved else None
    if not _moved(before, after):
        return None
    return {
        "cancelled": EventKind.APPOINTMENT_CANCELLED,
        "noshow": EventKind.APPOINTMENT_NOSHOW,
        "arrived": EventKind.APPOINTMENT_ARRIVED,
        "fulfilled": EventKind.APPOINTMENT_FULFILLED,
        "entered-in-error": EventKind.APPOINTMENT_UNDONE,
    }.get(after.status)


def _care_plan(before: FocusState | None, after: FocusState) -> EventKind | None:
    if after.status == "active":
        if before is None or before.status != "active":
            return EventKind.CAREPLAN_ACTIVATED
        changed = before.fingerprint != after.fingerprint
        return EventKind.CAREPLAN_CHANGED if changed else None
    if not _moved(before, after):
        return None
    if after.status == "entered-in-error":
        return EventKind.CAREPLAN_UNDONE
    was_active = before is not None and before.status == "active"
    return EventKind.CAREPLAN_ENDED if was_active else None


def _occurred(kind: EventKind, version: Resource, after: FocusState) -> datetime:
    """Return when it happened: the stay's own end or start, else when it was stored."""
    stored = after.last_updated
    path = {
        EventKind.ENCOUNTER_DISCHARGED: ("period.end", "actualPeriod.end"),
        EventKind.ENCOUNTER_ADMITTED: ("period.start", "actualPeriod.start"),
    }.get(kind, ())
    for name in path:
        text = first_at(version, name)
        moment = find_instant(text)
        if moment is None:
            continue
        if is_date_only(text):
            same_day = stored.date() == moment.date()
            return stored if same_day else moment.replace(hour=12)
        return moment
    if stored == EPOCH:
        fallback = first_at(version, "start") or first_at(version, "period.start")
        return find_instant(fallback) or stored
    return stored
