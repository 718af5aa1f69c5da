"""The clinical event: something that happened to a patient, in one vocabulary.

An event is a *transition* between two versions of an Encounter, Appointment or
CarePlan; R4 and R5 status words are read into the same kinds.
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
    ENCOUNTER_UNDONE = "encounter-entered-in-error"
    APPOINTMENT_BOOKED = "appointment-booked"
    APPOINTMENT_RESCHEDULED = "appointment-rescheduled"
    APPOINTMENT_CANCELLED = "appointment-cancelled"
    APPOINTMENT_NOSHOW = "appointment-noshow"
    APPOINTMENT_ARRIVED = "appointment-arrived"
    APPOINTMENT_FULFILLED = "appointment-fulfilled"
    APPOINTMENT_UNDONE = "appointment-entered-in-error"
    CAREPLAN_ACTIVATED = "careplan-activated"
    CAREPLAN_CHANGED = "careplan-changed"
    CAREPLAN_ENDED = "careplan-ended"
    CAREPLAN_UNDONE = "careplan-entered-in-error"
    RESOURCE_DELETED = "resource-deleted"


@dataclass(frozen=True)
class FocusState:
    """What is remembered of a focus between two versions.

    ``status`` is the resource's own code, ``fingerprint`` the parts whose change is a
    transition of its own (an Appointment's start and place, a CarePlan's activities),
    ``ordinal`` orders versions of one resource (lastUpdated, then versionId).
    """

    reference: str
    version: str
    status: str
    fingerprint: str
    last_updated: datetime


@dataclass(frozen=True)
class Transition:
    """One detected change: its kind and the version of the focus that shows it."""

    kind: EventKind
    reference: str
    version: str
    occurred_at: datetime


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
