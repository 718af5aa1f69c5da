"""What the EHR's pages show: the list of patients, and one patient's chart.

It may not write or answer HTTP; it reads the store into rows that templates print.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from middleware.sandbox.ehr_lines import (
    OPEN_APPOINTMENT,
    OPEN_ENCOUNTER,
    Line,
    read_moment,
    read_start,
    write_appointment,
    write_communication,
    write_encounter,
    write_plan,
    write_problem,
    write_task,
)
from middleware.sandbox.ehr_reading import (
    SEXES,
    Resource,
    read_age,
    read_class,
    read_codes,
    read_concept,
    read_contact,
    read_date,
    read_language,
    read_mrn,
    read_name,
    read_reference,
    read_sort_name,
    write_day,
    write_when,
)
from middleware.sandbox.store import Store

SHOWN = 12


@dataclass(frozen=True)
class PatientRow:
    """One line of the patient list, in words."""

    id: str
    name: str
    birth_date: str
    age: int | None
    sex: str
    mrn: str
    next_visit: str
    last_encounter: str
    inpatient: bool
    deceased: bool


@dataclass(frozen=True)
class Chart:
    """One patient's chart, in words, newest first in each section."""

    row: PatientRow
    facts: tuple[tuple[str, str], ...]
    problems: list[Line]
    encounters: list[Line]
    appointments: list[Line]
    plans: list[Line]
    communications: list[Line]
    tasks: list[Line]
    admitted: bool


@dataclass(frozen=True)
class Reader:
    """Reads one store at one instant, in the site's zone."""

    store: Store
    now: datetime
    zone: ZoneInfo

    def row(self, patient: Resource) -> PatientRow:
        """Answer a patient's line."""
        id_ = patient["id"]
        encounters = list_encounters(self.store, id_)
        coming = [
            appointment
            for appointment in reversed(self.appointments(id_))
            if appointment.get("status") in OPEN_APPOINTMENT
            and read_moment(appointment.get("start")) >= self.now.timestamp()
        ]
        last = encounters[0] if encounters else None
        birth_date = patient.get("birthDate", "")
        return PatientRow(
            id=id_,
            name=read_sort_name(patient),
            birth_date=read_date(birth_date),
            age=read_age(birth_date, self.now.astimezone(self.zone).date()),
            sex=SEXES.get(patient.get("gender", ""), "Not recorded"),
            mrn=read_mrn(patient),
            next_visit=write_when(coming[0]["start"], self.zone) if coming else "",
            last_encounter=self._encounter_words(last) if last else "",
            inpatient=any(is_open_stay(encounter) for encounter in encounters),
            deceased=is_deceased(patient),
        )

    def appointments(self, patient: str) -> list[Resource]:
        """Answer the appointments of a patient, latest first."""
        found = [
            appointment
            for appointment in self.store.candidates(
                "Appointment", f"Patient/{patient}"
            )
            if read_reference(appointment, "Patient") == patient
            and appointment.get("status") != "entered-in-error"
        ]
        return sorted(found, key=lambda a: read_moment(a.get("start")), reverse=True)

    def chart(self, patient: Resource) -> Chart:
        """Answer the whole chart."""
        id_ = patient["id"]
        encounters = list_encounters(self.store, id_)
        return Chart(
            row=self.row(patient),
            facts=self._facts(patient),
            problems=self._lines("Condition", id_, "subject", write_problem),
            encounters=[write_encounter(e, self.zone) for e in encounters[:SHOWN]],
            appointments=[
                write_appointment(each, self.now, self.zone)
                for each in self.appointments(id_)[:SHOWN]
            ],
            plans=self._lines("CarePlan", id_, "subject", write_plan),
            communications=self._lines(
                "Communication", id_, "subject", write_communication
            ),
            tasks=self._lines("Task", id_, "for", write_task),
            admitted=any(is_open_stay(encounter) for encounter in encounters),
        )

    def _facts(self, patient: Resource) -> tuple[tuple[str, str], ...]:
        allergies = [
            read_concept(each.get("code"))
            for each in _own(self.store, "AllergyIntolerance", patient["id"], "patient")
            if "active" in read_codes(each.get("clinicalStatus"))
        ]
        return (
            ("Phone", read_contact(patient, "phone", "sms") or "Not recorded"),
            ("E-mail", read_contact(patient, "email") or "Not recorded"),
            ("Language", read_language(patient) or "Not recorded"),
            ("Primary care", self._general_practitioner(patient)),
            ("Allergies", ", ".join(filter(None, allergies)) or "None recorded"),
        )

    def _general_practitioner(self, patient: Resource) -> str:
        for reference in patient.get("generalPractitioner", []):
            if reference.get("display"):
                return str(reference["display"])
            type_, _, id_ = reference.get("reference", "").partition("/")
            found = self.store.get(type_, id_) if type_ and id_ else None
            if found is not None:
                named = found.get("name")
                return named if isinstance(named, str) else read_name(found)
        return "Not recorded"

    def _lines(
        self,
        type_: str,
        patient: str,
        element: str,
        write: Callable[[Resource, ZoneInfo], Line],
    ) -> list[Line]:
        found = _own(self.store, type_, patient, element)
        found.sort(key=lambda resource: read_moment(read_start(resource)), reverse=True)
        return [write(resource, self.zone) for resource in found[:SHOWN]]

    def _encounter_words(self, encounter: Resource) -> str:
        day = write_day(read_start(encounter), self.zone)
        return f"{read_class(encounter)}, {day}" if day else read_class(encounter)


def list_patients(store: Store, now: datetime, zone: ZoneInfo) -> list[PatientRow]:
    """Answer every patient's line, by family name."""
    reader = Reader(store, now, zone)
    found = [p for p in store.candidates("Patient") if p.get("active", True)]
    return sorted((reader.row(p) for p in found), key=lambda row: (row.name, row.id))


def list_encounters(store: Store, patient: str) -> list[Resource]:
    """Answer the encounters of a patient, newest first."""
    found = _own(store, "Encounter", patient, "subject")
    found = [e for e in found if e.get("status") != "entered-in-error"]
    return sorted(found, key=lambda e: read_moment(read_start(e)), reverse=True)


def read_current_encounter(store: Store, patient: str) -> str | None:
    """Answer the id of the open encounter of a patient that began last, or None."""
    found = list_encounters(store, patient)
    going_on = [each["id"] for each in found if each.get("status") in OPEN_ENCOUNTER]
    return going_on[0] if going_on else None


def is_open_stay(encounter: Resource) -> bool:
    """Tell whether a patient is in a bed, or in the emergency room, because of it."""
    code = encounter.get("class", {}).get("code")
    kinds = ("IMP", "ACUTE", "NONAC", "EMER", "OBSENC")
    return encounter.get("status") in OPEN_ENCOUNTER and code in kinds


def is_deceased(patient: Resource) -> bool:
    """Tell whether the chart says that the patient has died."""
    return bool(patient.get("deceasedBoolean") or patient.get("deceasedDateTime"))


def _own(store: Store, type_: str, patient: str, element: str) -> list[Resource]:
    return [
        resource
        for resource in store.candidates(type_, f"Patient/{patient}")
        if resource.get(element, {}).get("reference") == f"Patient/{patient}"
    ]
