"""The clinical event: something that happened to a patient, in one vocabulary.

An event is a *transition* between two versions of an Encounter, Appointment or
CarePlan, a care plan step whose day has come, the beginning or end of a patient's
record, or the day on which a patient's whole chart is looked at again; R4 and R5 status
words are read into the same kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

FOCUS_TYPES = ("Encounter", "Appointment", "CarePlan")


class EventKind(StrEnum):
    """What happened."""

    ENCOUNTER_ADMITTED = "encounter-admitted"
    ENCOUNTER_DISCHARGED = "encounter-discharged"
    ENCOUNTER_CANCELLED = "encounter-cancelled"
    ENCOUNTER_CORRECTED = "encounter-corrected"
    ENCOUNTER_UNDONE = "encounter-entered-in-error"
    APPOINTMENT_BOOKED = "appointment-booked"
    APPOINTMENT_RESCHEDULED = "appointment-rescheduled"
    APPOINTMENT_UNBOOKED = "appointment-unbooked"
    APPOINTMENT_WAITLISTED = "appointment-waitlisted"
    APPOINTMENT_CANCELLED = "appointment-cancelled"
    APPOINTMENT_NOSHOW = "appointment-noshow"
    APPOINTMENT_ARRIVED = "appointment-arrived"
    APPOINTMENT_FULFILLED = "appointment-fulfilled"
    APPOINTMENT_UNDONE = "appointment-entered-in-error"
    CAREPLAN_ACTIVATED = "careplan-activated"
    CAREPLAN_CHANGED = "careplan-changed"
    CAREPLAN_ACTIVITY_DUE = "careplan-activity-due"
    CAREPLAN_ENDED = "careplan-ended"
    CAREPLAN_UNDONE = "careplan-entered-in-error"
    RESOURCE_DELETED = "resource-deleted"
    RESOURCE_MOVED = "resource-moved"
    PATIENT_CLOSED = "patient-closed"
    PATIENT_ADDED = "patient-added"
    PATIENT_REVIEW = "patient-review"


# What starts the same plans: a late disposition, or a care plan step whose day came.
DECIDED_AS: dict[EventKind, EventKind] = {
    EventKind.ENCOUNTER_CORRECTED: EventKind.ENCOUNTER_DISCHARGED,
    EventKind.CAREPLAN_ACTIVITY_DUE: EventKind.CAREPLAN_CHANGED,
}

# Why something that was read led to no event.
NOTES: dict[str, str] = {
    "names-no-patient": "It names no patient, so there is nobody to decide for.",
    "time-unknown": "The stay had ended when it was first seen; no date says when.",
    "too-long-ago": "It lies further back than any plan reaches.",
}

# What was told about these never was, or was another person's.
TAKEN_BACK = frozenset(
    {
        EventKind.ENCOUNTER_UNDONE,
        EventKind.APPOINTMENT_UNDONE,
        EventKind.CAREPLAN_UNDONE,
        EventKind.RESOURCE_DELETED,
        EventKind.RESOURCE_MOVED,
    }
)


@dataclass(frozen=True)
class FocusState:
    """What is remembered of a focus between two versions.

    ``status`` is a word of :data:`mappings.codes.FOCUS_STATUS`, ``fingerprint`` the
    parts whose change is a transition of its own (an Appointment's start and place, a
    CarePlan's activities), ``patient`` whom it was about when it last named somebody.
    """

    reference: str
    version: str
    status: str
    fingerprint: str
    last_updated: datetime
    patient: str | None = None


@dataclass(frozen=True)
class Transition:
    """One detected change: its kind and the version of the focus that shows it.

    ``patient`` is whom it concerns, ``tells_of`` the last instant that it is about by
    the resource's own dates (a stay's end, a visit's start, a care plan's last step);
    None when nothing says so.
    """

    kind: EventKind
    reference: str
    version: str
    occurred_at: datetime
    patient: str | None = None
    tells_of: datetime | None = None


@dataclass(frozen=True)
class Event:
    """A transition of one patient at one endpoint (a row of ``event``)."""

    id: str
    key: str
    endpoint_id: str
    kind: EventKind
    patient: str
    shard: int
    focus: str
    focus_version: str
    occurred_at: datetime
    received_at: datetime
    attempts: int = 0


def suppose_event(
    kind: EventKind,
    patient: str,
    endpoint_id: str,
    at: datetime,
    *,
    focus: str = "",
    version: str = "",
) -> Event:
    """Return an event that nobody told: what would follow, had it happened at ``at``.

    It has no id and is never stored; without a ``focus`` it is about the patient.
    """
    return Event(
        id="",
        key="",
        endpoint_id=endpoint_id,
        kind=kind,
        patient=patient,
        shard=0,
        focus=focus or patient,
        focus_version=version,
        occurred_at=at,
        received_at=at,
    )
