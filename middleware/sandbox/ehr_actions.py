"""What staff do by hand in the sandbox EHR: discharge, book, cancel, no-show.

It may not answer HTTP. It writes the way a clinic's own screens would: one
transaction, the current version changed, nothing else. ValueError is the sentence
for the person who clicked.
"""

import copy
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from middleware.sandbox.ehr_chart import is_deceased, is_open_stay
from middleware.sandbox.ehr_lines import OPEN_APPOINTMENT
from middleware.sandbox.ehr_reading import Resource, read_instant, read_reference
from middleware.sandbox.ehr_users import User
from middleware.sandbox.store import Store

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
VISIT_LENGTH = timedelta(minutes=30)
STAYED = timedelta(days=2)
# Offered when a visit is booked: days ahead; the hour is the clinic's.
BOOKINGS = {
    "in-4-days": ("in 4 days", timedelta(days=4)),
    "tomorrow": ("tomorrow", timedelta(days=1)),
    "in-2-weeks": ("in 2 weeks", timedelta(days=14)),
    "half-hour-ago": ("half an hour ago", timedelta(minutes=-30)),
}
CLINIC_HOUR = 10


def admit(store: Store, patient: str, user: User, now: datetime) -> Resource:
    """Open a hospital stay that began two days ago; answer the Encounter."""
    with store.transaction() as transaction:
        person = _patient(transaction, patient)
        if any(
            map(is_open_stay, transaction.candidates("Encounter", f"Patient/{patient}"))
        ):
            raise ValueError("The patient is already in hospital.")
        encounter = {
            "resourceType": "Encounter",
            "status": "in-progress",
            "class": {
                "system": f"{TERMINOLOGY}/v3-ActCode",
                "code": "IMP",
                "display": "inpatient encounter",
            },
            "subject": {"reference": f"Patient/{person['id']}"},
            "participant": [{"individual": _actor(user)}],
            "period": {"start": _stamp(now - STAYED)},
        }
        return _written(transaction.create("Encounter", encounter))


def discharge_home(store: Store, patient: str, now: datetime) -> Resource:
    """Finish the open stay with a discharge to home; answer the Encounter."""
    with store.transaction() as transaction:
        _patient(transaction, patient)
        stays = [
            encounter
            for encounter in transaction.candidates("Encounter", f"Patient/{patient}")
            if is_open_stay(encounter)
            and encounter.get("subject", {}).get("reference") == f"Patient/{patient}"
        ]
        if not stays:
            raise ValueError("The patient is not in hospital. Admit first.")
        encounter = copy.deepcopy(stays[-1])
        encounter["status"] = "finished"
        encounter.setdefault("period", {})["end"] = _stamp(now)
        stay = encounter.setdefault("hospitalization", {})
        stay["dischargeDisposition"] = {
            "coding": [
                {
                    "system": f"{TERMINOLOGY}/discharge-disposition",
                    "code": "home",
                    "display": "Home",
                }
            ],
            "text": "Home",
        }
        change = transaction.update("Encounter", encounter["id"], encounter)
        return _written(change)


def choose_start(when: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Answer when a visit begins that is booked with a word of BOOKINGS."""
    if when not in BOOKINGS:
        raise ValueError("Choose when the visit is to be.")
    _, ahead = BOOKINGS[when]
    start = (now + ahead).astimezone(zone).replace(second=0, microsecond=0)
    if ahead < timedelta(days=1):
        return start
    return start.replace(hour=CLINIC_HOUR, minute=0)


def book_visit(
    store: Store, patient: str, user: User, start: datetime, now: datetime
) -> Resource:
    """Book a visit with the signed-in clinician; answer the Appointment."""
    with store.transaction() as transaction:
        person = _patient(transaction, patient)
        appointment = {
            "resourceType": "Appointment",
            "status": "booked",
            "serviceType": [{"text": "Office visit"}],
            "description": "Office visit",
            "start": start.isoformat(),
            "end": (start + VISIT_LENGTH).isoformat(),
            "minutesDuration": int(VISIT_LENGTH.total_seconds() // 60),
            "created": _stamp(now),
            "participant": [
                {
                    "actor": {"reference": f"Patient/{person['id']}"},
                    "required": "required",
                    "status": "accepted",
                },
                {
                    "actor": _actor(user),
                    "required": "required",
                    "status": "accepted",
                },
            ],
        }
        return _written(transaction.create("Appointment", appointment))


def cancel_visit(store: Store, patient: str, id_: str) -> Resource:
    """Cancel an open visit on the patient's behalf; answer the Appointment."""
    reason = {
        "coding": [
            {
                "system": f"{TERMINOLOGY}/appointment-cancellation-reason",
                "code": "pat",
                "display": "Patient",
            }
        ]
    }
    return _close(store, patient, id_, status="cancelled", cancelationReason=reason)


def mark_no_show(store: Store, patient: str, id_: str, now: datetime) -> Resource:
    """Say that the patient did not come; answer the Appointment.

    A visit that has not begun cannot have been missed.
    """
    visit = store.get("Appointment", id_)
    start = read_instant(visit.get("start")) if visit else None
    if start is not None and start > now:
        raise ValueError("The visit has not begun yet.")
    return _close(store, patient, id_, status="noshow")


def _close(store: Store, patient: str, id_: str, **elements: Any) -> Resource:
    with store.transaction() as transaction:
        visit = transaction.get("Appointment", id_)
        if visit is None or read_reference(visit, "Patient") != patient:
            raise ValueError("The visit is not in this chart.")
        if visit.get("status") not in OPEN_APPOINTMENT:
            raise ValueError(f"The visit is {visit.get('status')} already.")
        changed = {**copy.deepcopy(visit), **elements}
        return _written(transaction.update("Appointment", id_, changed))


def _patient(transaction: Any, patient: str) -> Resource:
    found: Resource | None = transaction.get("Patient", patient)
    if found is None:
        raise ValueError("The chart is not there any more.")
    if is_deceased(found):
        raise ValueError("The patient has died; nothing was changed.")
    return found


def _written(change: Any) -> Resource:
    written: Resource = change.resource
    return written


def _actor(user: User) -> dict[str, str]:
    return {"reference": user.reference, "display": user.name}


def _stamp(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
