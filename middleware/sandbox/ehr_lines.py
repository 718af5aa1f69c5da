"""Resources as lines of a chart: when, what, a detail, a state. Pure functions.

It may not read the store or produce HTML.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from middleware.sandbox.ehr_reading import (
    Resource,
    read_class,
    read_codes,
    read_concept,
    read_instant,
    write_day,
    write_when,
)

OPEN_APPOINTMENT = frozenset({"proposed", "pending", "booked", "arrived", "waitlist"})
OPEN_ENCOUNTER = frozenset({"arrived", "triaged", "in-progress", "onleave"})
OPEN_TASK = frozenset({"requested", "received", "accepted", "ready", "in-progress"})


@dataclass(frozen=True)
class Line:
    """One line of a chart's section: when, what, a detail, a state."""

    id: str
    when: str
    what: str
    detail: str = ""
    state: str = ""
    current: bool = False
    started: bool = False


def write_problem(condition: Resource, zone: ZoneInfo) -> Line:
    """Answer the line of a Condition."""
    return Line(
        condition["id"],
        write_day(read_start(condition), zone),
        read_concept(condition.get("code")),
        state=read_concept(condition.get("clinicalStatus")).lower(),
        current="active" in read_codes(condition.get("clinicalStatus")),
    )


def write_encounter(encounter: Resource, zone: ZoneInfo) -> Line:
    """Answer the line of an Encounter."""
    reason = read_concept(encounter.get("reasonCode")) or read_concept(
        encounter.get("type")
    )
    left = encounter.get("hospitalization", {}).get("dischargeDisposition")
    ended = write_day(encounter.get("period", {}).get("end"), zone)
    words = [reason, f"Discharged {ended}: {read_concept(left)}" if left else ""]
    return Line(
        encounter["id"],
        write_day(read_start(encounter), zone),
        read_class(encounter),
        ". ".join(word for word in words if word),
        encounter.get("status", "").replace("-", " "),
        current=encounter.get("status") in OPEN_ENCOUNTER,
    )


def write_appointment(appointment: Resource, now: datetime, zone: ZoneInfo) -> Line:
    """Answer the line of an Appointment; `started` when its time has come."""
    words = (
        appointment.get("description")
        or read_concept(appointment.get("serviceType"))
        or read_concept(appointment.get("appointmentType"))
        or "Visit"
    )
    actors = [
        each["actor"]["display"]
        for each in appointment.get("participant", [])
        if each.get("actor", {}).get("display")
        and not each["actor"].get("reference", "").startswith("Patient/")
    ]
    return Line(
        appointment["id"],
        write_when(appointment.get("start"), zone) or "Not scheduled",
        words,
        ", ".join(actors),
        str(appointment.get("status", "")).replace("noshow", "no-show"),
        current=appointment.get("status") in OPEN_APPOINTMENT,
        started=read_moment(appointment.get("start")) <= now.timestamp(),
    )


def write_plan(plan: Resource, zone: ZoneInfo) -> Line:
    """Answer the line of a CarePlan."""
    return Line(
        plan["id"],
        write_day(read_start(plan), zone),
        plan.get("title") or read_concept(plan.get("category")) or "Care plan",
        plan.get("description", ""),
        plan.get("status", ""),
        current=plan.get("status") == "active",
    )


def write_communication(communication: Resource, zone: ZoneInfo) -> Line:
    """Answer the line of a Communication."""
    payload = communication.get("payload", [])
    return Line(
        communication["id"],
        write_when(read_start(communication), zone),
        read_concept(communication.get("topic"))
        or read_concept(communication.get("category"))
        or "Message",
        payload[0].get("contentString", "") if payload else "",
        communication.get("status", ""),
    )


def write_task(task: Resource, zone: ZoneInfo) -> Line:
    """Answer the line of a Task."""
    return Line(
        task["id"],
        write_when(read_start(task), zone),
        task.get("description") or read_concept(task.get("code")) or "Task",
        task.get("priority", ""),
        task.get("status", ""),
        current=task.get("status") in OPEN_TASK,
    )


def read_start(resource: Resource) -> str | None:
    """Answer when a resource began, was sent or was written, as it says it."""
    period = resource.get("period", {})
    for value in (
        period.get("start"),
        resource.get("onsetDateTime"),
        resource.get("sent"),
        resource.get("authoredOn"),
        resource.get("recordedDate"),
        resource.get("created"),
    ):
        if value:
            return str(value)
    return None


def read_moment(value: str | None) -> float:
    """Answer a dateTime as seconds, for sorting; 0 when there is none."""
    # A date without a time sorts as the start of that day, in UTC.
    instant = read_instant(value) or read_instant(f"{(value or '')[:10]}T00:00:00Z")
    return instant.timestamp() if instant else 0.0
