"""What was already told about something that the EHR has since taken back.

What is planned about it is cancelled like any other; what was sent cannot be. A patient
who was reminded of a visit that does not exist comes in vain, and one who read of
another person's stay must hear that it was not theirs: a person tells them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mappings.chart import Chart
from mappings.endpoint import Endpoint
from mappings.event import TAKEN_BACK, Event, EventKind
from mappings.instants import find_instant
from mappings.nudge import Nudge
from mappings.resource import Resource
from middleware.decisions.focus import event_instant
from middleware.stages.context import StageContext
from middleware.stages.staff import ask_person
from middleware.stages.withdrawing import list_foci
from middleware.storage import nudges
from middleware.storage.connecting import Tx

# Older messages mislead nobody any more.
MISLEADS = timedelta(days=30)
# A stay that another one had stopped goes on: that one was none, or no inpatient stay.
UNDOES_READMISSION = frozenset(
    {
        EventKind.ENCOUNTER_CANCELLED,
        EventKind.ENCOUNTER_CORRECTED,
        EventKind.ENCOUNTER_UNDONE,
        EventKind.RESOURCE_DELETED,
        EventKind.RESOURCE_MOVED,
    }
)
# A follow-up visit that had stopped a message is not to be, or not then.
UNDOES_BOOKING = frozenset(
    {
        EventKind.APPOINTMENT_CANCELLED,
        EventKind.APPOINTMENT_NOSHOW,
        EventKind.APPOINTMENT_RESCHEDULED,
        EventKind.APPOINTMENT_UNBOOKED,
        EventKind.APPOINTMENT_UNDONE,
        EventKind.RESOURCE_DELETED,
        EventKind.RESOURCE_MOVED,
    }
)
UNDONE = (
    "A message was sent about something that the EHR has since taken back. Tell the "
    "patient that it was an error, so that nobody comes or waits in vain."
)
OF_ANOTHER = (
    "A message was sent about something that the EHR has since moved to another "
    "patient's chart. Tell this patient that it was not meant for them, and follow "
    "the site's steps for a message that reached the wrong person."
)


def ask_about_told(
    context: StageContext, tx: Tx, endpoint: Endpoint, event: Event, now: datetime
) -> bool:
    """Ask a person to put right what was sent about an undone event, once per cause."""
    if event.kind not in TAKEN_BACK:
        return False
    told = nudges.list_told(tx, endpoint.id, event.patient, event.focus, now - MISLEADS)
    if not told:
        return False
    moved = event.kind is EventKind.RESOURCE_MOVED
    ask_person(
        context,
        tx,
        endpoint,
        event.patient,
        shard=event.shard,
        priority="urgent" if moved or _is_ahead(told, now) else "routine",
        reason="event-undone",
        text=OF_ANOTHER if moved else UNDONE,
        now=now,
        nudge_id=told[-1].id,
        key=f"{endpoint.id}|undone|{event.focus}|{event.patient}",
    )
    return True


def let_go_on(
    tx: Tx, endpoint: Endpoint, event: Event, chart: Chart, now: datetime
) -> list[Event]:
    """Return what to decide on again: a readmission was none, a visit is not to be.

    It is decided on with this event's chart; its keys keep each message one.
    """
    reasons = {"readmitted": UNDOES_READMISSION, "already-booked": UNDOES_BOOKING}
    undone = [reason for reason, kinds in reasons.items() if event.kind in kinds]
    if not undone:
        return []
    foci = [
        *nudges.list_stopped(tx, endpoint.id, event.patient, undone, now),
        *list_foci(tx, endpoint, event.patient, undone),
    ]
    names = dict.fromkeys(name for name in foci if name != event.focus)
    found = ((name, chart.find(name)) for name in names)
    return [
        replace(
            event,
            kind=kind,
            focus=name,
            occurred_at=event_instant(focus, event.occurred_at),
        )
        for name, focus in found
        if focus is not None and (kind := _kind_of(focus)) is not None
    ]


def _kind_of(focus: Resource) -> EventKind | None:
    """Return as what a focus is decided on again; None where it starts nothing."""
    match focus.get("resourceType"):
        case "Encounter":
            return EventKind.ENCOUNTER_CORRECTED
        case "Appointment" if focus.get("status") == "noshow":
            return EventKind.APPOINTMENT_NOSHOW
    return None


def _is_ahead(told: list[Nudge], now: datetime) -> bool:
    """Tell whether the visit that was reminded of is still to come."""
    starts = (find_instant(item.occasion) for item in told)
    return any(start is not None and start > now for start in starts)
