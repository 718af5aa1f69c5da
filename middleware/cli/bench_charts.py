"""The benchmark's charts: 200 resources of one patient, made anew from a number.

The same number gives the same chart, so that a hundred thousand patients need no
place. One resource in six bears a code of the library's own value sets; the rest are
what fills charts elsewhere: vital signs, laboratory, visits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mappings.chart import Chart
from mappings.codes import ACT_CODE, PARTICIPATION_MODE
from mappings.event import Event, EventKind
from mappings.instants import write_instant
from mappings.plan import NS, Library
from mappings.resource import Resource

RESOURCES = 200
# How many of each; the patient, the focus and the Consent are the other three.
COUNTS = {
    "Observation": 92,
    "Encounter": 26,
    "DiagnosticReport": 16,
    "Procedure": 14,
    "Condition": 14,
    "Immunization": 12,
    "MedicationRequest": 9,
    "ServiceRequest": 6,
    "Appointment": 4,
    "MedicationDispense": 2,
    "CarePlan": 1,
    "Goal": 1,
}
# What happens to every ten patients in turn.
MIX = (
    *3 * (EventKind.APPOINTMENT_BOOKED,),
    *2 * (EventKind.ENCOUNTER_DISCHARGED,),
    EventKind.APPOINTMENT_NOSHOW,
    EventKind.CAREPLAN_ACTIVATED,
    *3 * (EventKind.PATIENT_REVIEW,),
)
LANGUAGES = (*7 * ("en",), "es", "vi", "ar")
_DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
_LOINC, _SNOMED = "http://loinc.org", "http://snomed.info/sct"
_ORDINARY = {
    "Observation": (
        _LOINC,
        ("8867-4", "8310-5", "9279-1", "2708-6", "718-7", "2951-2"),
    ),
    "DiagnosticReport": (_LOINC, ("58410-2", "24323-8", "24356-8")),
    "Condition": (_SNOMED, ("195967001", "13645005", "55822004", "444814009")),
    "Procedure": (_SNOMED, ("430193006", "710824005", "76601001")),
    "Immunization": ("http://hl7.org/fhir/sid/cvx", ("03", "10", "20")),
    "MedicationRequest": (
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        ("314076", "197361", "860975"),
    ),
}


@dataclass(frozen=True)
class Turn:
    """What one patient's turn consists of."""

    event: Event
    chart: Chart


class _Draw:
    """Numbers that look random and are the same in every run."""

    def __init__(self, number: int) -> None:
        self._state = zlib.crc32(f"chart {number}".encode())

    def __call__(self, below: int) -> int:
        # The constants of Numerical Recipes' linear congruential generator.
        self._state = (self._state * 1664525 + 1013904223) % 2**32
        return (self._state >> 8) % below


class Maker:
    """Makes charts as they are at one instant, with codes of one library."""

    def __init__(self, library: Library, endpoint_id: str, now: datetime) -> None:
        self._now = now
        self._endpoint_id = endpoint_id
        # Whoever is in hospice care gets nothing, which would be decided quickly.
        members = {pair for found in library.value_sets.values() for pair in found}
        members -= library.value_sets.get("hospice", frozenset())
        self._codes = sorted(pair for pair in members if not pair[1].endswith("*"))

    def make(self, number: int) -> Turn:
        """Return a patient's chart and what happened to that patient."""
        kind = MIX[number % len(MIX)]
        draw = _Draw(number)
        person = f"Patient/p{number}"
        patient = self._patient(number, draw)
        focus = self._focus(kind, person)
        resources = tuple(self._resources(person, draw))
        if focus is not None:
            resources = (focus, *resources)
        reference = f"{focus['resourceType']}/focus" if focus else person
        event = Event(
            id=f"e{number}",
            key=f"e{number}",
            endpoint_id=self._endpoint_id,
            kind=kind,
            patient=person,
            shard=0,
            focus=reference,
            focus_version="1",
            occurred_at=self._now,
            received_at=self._now,
        )
        return Turn(event, Chart(patient, resources, self._now))

    def _at(self, **since: float) -> str:
        return write_instant(self._now + timedelta(**since))

    def _patient(self, number: int, draw: _Draw) -> Resource:
        born = self._now.year - 20 - draw(70)
        return {
            "resourceType": "Patient",
            "id": f"p{number}",
            "meta": {"versionId": "3"},
            "active": True,
            "name": [{"family": "Example", "given": ["Synthetic"]}],
            "gender": "female" if draw(2) else "male",
            "birthDate": f"{born}-{1 + draw(12):02d}-{1 + draw(28):02d}",
            "telecom": [
                {"system": "phone", "use": "mobile", "value": "+13125550142"},
                {"system": "email", "value": f"p{number}@bench.example.org"},
            ],
            "address": [{"city": "Springfield", "state": "IL", "postalCode": "62701"}],
            "communication": [
                {
                    "language": {"coding": [{"code": LANGUAGES[draw(10)]}]},
                    "preferred": True,
                }
            ],
        }

    def _focus(self, kind: EventKind, person: str) -> Resource | None:
        if kind is EventKind.PATIENT_REVIEW:
            return None
        meta = {"versionId": "1", "lastUpdated": self._at()}
        make: Callable[[str], Resource] = {
            EventKind.ENCOUNTER_DISCHARGED: self._stay,
            EventKind.CAREPLAN_ACTIVATED: self._care_plan,
        }.get(kind, self._visit)
        focus = {**make(person), "id": "focus", "meta": meta}
        if kind is EventKind.APPOINTMENT_NOSHOW:
            focus |= {"status": "noshow", "start": self._at(hours=-2)}
        return focus

    def _stay(self, person: str) -> Resource:
        home = {"coding": [{"system": _DISPOSITION, "code": "home"}]}
        return {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": ACT_CODE, "code": "IMP"},
            "subject": {"reference": person},
            "period": {"start": self._at(days=-3), "end": self._at(minutes=-10)},
            "hospitalization": {"dischargeDisposition": home},
        }

    def _visit(self, person: str) -> Resource:
        return {
            "resourceType": "Appointment",
            "status": "booked",
            "created": self._at(minutes=-5),
            "start": self._at(days=12),
            "end": self._at(days=12, minutes=30),
            "participant": [{"actor": {"reference": person}, "status": "accepted"}],
        }

    def _care_plan(self, person: str) -> Resource:
        return {
            "resourceType": "CarePlan",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": person},
            "activity": [
                {
                    "detail": {
                        "status": "scheduled",
                        "description": "Blood pressure check",
                        "scheduledPeriod": {"end": self._at(days=days)[:10]},
                    }
                }
                for days in (7, 21)
            ],
        }

    def _resources(self, person: str, draw: _Draw) -> Iterator[Resource]:
        yield _consent(person, self._at(days=-90))
        for name, count in COUNTS.items():
            for index in range(count):
                yield self._one(name, index, person, draw)

    def _one(self, name: str, index: int, person: str, draw: _Draw) -> Resource:
        found: Resource = {
            "resourceType": name,
            "id": f"{name.lower()}-{index}",
            "meta": {"versionId": "1"},
            "status": _STATUS.get(name, "active"),
            "subject": {"reference": person},
        }
        if name in _ORDINARY:
            place = {
                "Immunization": "vaccineCode",
                "MedicationRequest": "medicationCodeableConcept",
            }.get(name, "code")
            found[place] = {"coding": [self._coding(name, draw)]}
        return found | self._more(name, draw, self._at(days=-1 - draw(3000)), person)

    def _coding(self, name: str, draw: _Draw) -> dict[str, str]:
        system, codes = _ORDINARY[name]
        code = codes[draw(len(codes))]
        if self._codes and draw(6) == 0:
            system, code = self._codes[draw(len(self._codes))]
        return {"system": system, "code": code}

    def _more(self, name: str, draw: _Draw, day: str, person: str) -> Resource:
        """Return what a resource of this type has beside its code."""
        if name == "Observation":
            value = 4 + draw(1500) / 10
            return {"effectiveDateTime": day, "valueQuantity": _quantity(value)}
        if name == "Encounter":
            kind = {"system": ACT_CODE, "code": "AMB"}
            return {"status": "finished", "class": kind, "period": _period(day)}
        if name == "Appointment":
            who = [{"actor": {"reference": person}, "status": "accepted"}]
            return {"status": "fulfilled", "start": day, "participant": who}
        if name == "MedicationDispense":
            prescribed = [
                {"reference": f"MedicationRequest/medicationrequest-{draw(9)}"}
            ]
            return {
                "whenHandedOver": day,
                "daysSupply": {"value": 30, "unit": "d"},
                "authorizingPrescription": prescribed,
            }
        if name == "CarePlan":
            return {"status": "completed", "intent": "plan", "period": _period(day)}
        return {_DATES[name]: day}


_STATUS = {
    "Observation": "final",
    "DiagnosticReport": "final",
    "Procedure": "completed",
    "Immunization": "completed",
    "MedicationDispense": "completed",
}
_DATES = {
    "DiagnosticReport": "effectiveDateTime",
    "Procedure": "performedDateTime",
    "Condition": "recordedDate",
    "Immunization": "occurrenceDateTime",
    "MedicationRequest": "authoredOn",
    "ServiceRequest": "authoredOn",
    "Goal": "startDate",
}


def _quantity(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "%", "code": "%"}


def _period(day: str) -> dict[str, str]:
    return {"start": day, "end": day}


def _consent(person: str, at: str) -> Resource:
    codes = [
        {"coding": [{"system": PARTICIPATION_MODE, "code": code}]}
        for code in ("SMSWRIT", "EMAILWRIT")
    ]
    category = {"system": f"{NS}/CodeSystem/consent-category"}
    return {
        "resourceType": "Consent",
        "id": "consent",
        "meta": {"versionId": "1"},
        "status": "active",
        "category": [{"coding": [{**category, "code": "outreach-communication"}]}],
        "patient": {"reference": person},
        "dateTime": at,
        "provision": {"type": "permit", "code": codes},
    }
