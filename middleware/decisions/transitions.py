"""Which transitions a resource's versions show: pure, in whatever order they come.

A notification is a hint; the versions say what happened. The same versions give the
same transitions and the same final state, whether seen at once or one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from mappings.codes import (
    ACTIVE,
    ADMITTED,
    ARRIVED,
    BOOKED,
    CANCELLED,
    DELETED,
    DISCHARGED,
    ENDED,
    FULFILLED,
    INPATIENT,
    NOSHOW,
    OTHER,
    PLANNED,
    UNDONE,
    WAITLISTED,
    encounter_period,
)
from mappings.event import EventKind, FocusState, Transition
from mappings.instants import find_instant, is_date_only
from mappings.reference import concerns
from mappings.resource import Resource, first_at
from middleware.decisions.reach import told_instant
from middleware.decisions.versions import EPOCH, read_state, unseen

# What coming into a status is called.
ENTERED: dict[str, dict[str, EventKind]] = {
    "Encounter": {
        ADMITTED: EventKind.ENCOUNTER_ADMITTED,
        INPATIENT: EventKind.ENCOUNTER_ADMITTED,
        DISCHARGED: EventKind.ENCOUNTER_DISCHARGED,
        CANCELLED: EventKind.ENCOUNTER_CANCELLED,
        UNDONE: EventKind.ENCOUNTER_UNDONE,
    },
    "Appointment": {
        PLANNED: EventKind.APPOINTMENT_UNBOOKED,
        WAITLISTED: EventKind.APPOINTMENT_WAITLISTED,
        BOOKED: EventKind.APPOINTMENT_BOOKED,
        ARRIVED: EventKind.APPOINTMENT_ARRIVED,
        FULFILLED: EventKind.APPOINTMENT_FULFILLED,
        CANCELLED: EventKind.APPOINTMENT_CANCELLED,
        NOSHOW: EventKind.APPOINTMENT_NOSHOW,
        UNDONE: EventKind.APPOINTMENT_UNDONE,
    },
    "CarePlan": {
        ACTIVE: EventKind.CAREPLAN_ACTIVATED,
        ENDED: EventKind.CAREPLAN_ENDED,
        UNDONE: EventKind.CAREPLAN_UNDONE,
    },
}
# What a change is called while the status stays.
CHANGED: dict[str, EventKind] = {
    DISCHARGED: EventKind.ENCOUNTER_CORRECTED,
    BOOKED: EventKind.APPOINTMENT_RESCHEDULED,
    WAITLISTED: EventKind.APPOINTMENT_WAITLISTED,
    ACTIVE: EventKind.CAREPLAN_CHANGED,
}
# Back on the list, a visit is first of all not booked any more.
BACK = EventKind.APPOINTMENT_UNBOOKED
# What ends only what had begun.
NEEDS_BEFORE: dict[EventKind, frozenset[str]] = {
    EventKind.APPOINTMENT_UNBOOKED: frozenset({BOOKED, ARRIVED}),
    EventKind.CAREPLAN_ENDED: frozenset({ACTIVE}),
}


def match_transitions(
    before: FocusState | None, versions: Sequence[Resource], base: str | None = None
) -> tuple[list[Transition], FocusState | None]:
    """Return the transitions that ``versions`` show after ``before``, and the new state.

    Versions are put in order themselves; those not newer than ``before`` are skipped.
    A patient counts under ``base`` alone. The state is None only when there was none
    and no version was given.
    """
    state = before
    found: list[Transition] = []
    for version in unseen(before, versions):
        after = _carried(state, version, read_state(version, base), base)
        found.extend(_between(state, after, version))
        state = after
    return found, state


def _carried(
    before: FocusState | None, version: Resource, after: FocusState, base: str | None
) -> FocusState:
    """Keep what a version does not say: an unknown status, nobody named, two named."""
    if before is None:
        return after
    named = before.patient is not None and concerns(version, before.patient, base)
    patient = before.patient if named or after.patient is None else after.patient
    if after.status == OTHER and before.status != DELETED:
        after = replace(after, status=before.status, fingerprint=before.fingerprint)
    return replace(after, patient=patient)


def _between(
    before: FocusState | None, after: FocusState, version: Resource
) -> Iterator[Transition]:
    """Yield what happened from one version to the next, for whom it happened."""
    if before is not None and before.patient not in (None, after.patient):
        if before.status != DELETED:
            moved = EventKind.RESOURCE_MOVED
            yield _transition(moved, before, after, version, patient=before.patient)
        before = None
    kind = _kind(before, after)
    if kind is not None:
        yield _transition(kind, before, after, version, patient=after.patient)


def _transition(
    kind: EventKind,
    before: FocusState | None,
    after: FocusState,
    version: Resource,
    *,
    patient: str | None,
) -> Transition:
    going_on = (PLANNED, ADMITTED, INPATIENT)
    seen = before is not None and before.status in going_on
    return Transition(
        kind=kind,
        reference=after.reference,
        version=after.version,
        occurred_at=_occurred(kind, version, after),
        patient=patient,
        tells_of=told_instant(version, after.last_updated, seen=seen),
    )


def _kind(before: FocusState | None, after: FocusState) -> EventKind | None:
    old = before.status if before is not None else OTHER
    if after.status == DELETED:
        return None if before is None or old == DELETED else EventKind.RESOURCE_DELETED
    if old != after.status:
        return _entered(old, after)
    changed = before is not None and before.fingerprint != after.fingerprint
    return CHANGED.get(after.status) if changed else None


def _entered(old: str, after: FocusState) -> EventKind | None:
    if (old, after.status) == (INPATIENT, ADMITTED):
        return EventKind.ENCOUNTER_CORRECTED
    words = ENTERED.get(after.reference.partition("/")[0], {})
    kind = words.get(after.status)
    if after.status == WAITLISTED and old in NEEDS_BEFORE[BACK]:
        return BACK
    if kind in NEEDS_BEFORE and old not in NEEDS_BEFORE[kind]:
        return None
    return kind


def _occurred(kind: EventKind, version: Resource, after: FocusState) -> datetime:
    """Return when it happened: the stay's own end or start, else when it was stored."""
    stored = after.last_updated
    name = {
        EventKind.ENCOUNTER_DISCHARGED: "end",
        EventKind.ENCOUNTER_CORRECTED: "end",
        EventKind.ENCOUNTER_ADMITTED: "start",
    }.get(kind, "")
    text = encounter_period(version).get(name)
    moment = find_instant(text)
    if moment is not None and is_date_only(text):
        same_day = stored.date() == moment.date()
        return stored if same_day else moment.replace(hour=12)
    if moment is not None:
        return moment
    if stored == EPOCH:
        fallback = first_at(version, "start") or encounter_period(version).get("start")
        return find_instant(fallback) or stored
    return stored
