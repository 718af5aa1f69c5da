"""Finding the patient of a launch that names none: by name and birth date, or by MRN.

It reads with the person's own token and decides nothing; what is not one patient's own
record, or is closed, is not offered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

from mappings.errors import BadInputError
from mappings.reference import FHIR_ID
from mappings.resource import list_of
from middleware.desk.viewer import mark
from middleware.ports import FhirApi

MOST = 20
LONGEST = 100
ASK = mark("Give a name of two letters or more with the birth date, or the MRN alone.")


@dataclass(frozen=True)
class PatientRow:
    """One patient to choose from, as the chart names them."""

    id: str
    name: str
    birth_date: str
    sex: str
    mrn: str


@dataclass(frozen=True)
class Found:
    """Patients that fit; ``whole`` is False where there are more than are shown."""

    rows: tuple[PatientRow, ...]
    whole: bool


def find_patients(api: FhirApi, name: str, birth_date: str, mrn: str) -> Found:
    """Search; BadInputError says what is missing. Raises FhirError."""
    answer = api.fetch_search(
        f"Patient?{_write_query(name, birth_date, mrn)}", follow_pages=False
    )
    rows = [
        row
        for resource in answer.resources
        if (row := read_patient_row(resource)) is not None
    ]
    return Found(tuple(rows[:MOST]), answer.complete and len(rows) <= MOST)


def read_patient_row(resource: dict[str, Any]) -> PatientRow | None:
    """Read one Patient; None for a closed record or another kind of resource."""
    identifier = resource.get("id")
    if resource.get("resourceType") != "Patient" or resource.get("active") is False:
        return None
    if not isinstance(identifier, str) or not FHIR_ID.match(identifier):
        return None
    return PatientRow(
        id=identifier,
        name=_name(resource),
        birth_date=_text(resource.get("birthDate")),
        sex=_text(resource.get("gender")),
        mrn=_mrn(resource),
    )


def _write_query(name: str, birth_date: str, mrn: str) -> str:
    number, words, born = mrn.strip(), " ".join(name.split()), birth_date.strip()
    if number and len(number) <= LONGEST:
        return f"identifier={_escape(number)}&_count={MOST + 1}"
    try:
        day = date.fromisoformat(born).isoformat()
    except ValueError:
        raise BadInputError(ASK) from None
    if not 2 <= len(words) <= LONGEST:
        raise BadInputError(ASK)
    return f"name={_escape(words)}&birthdate={day}&_count={MOST + 1}"


def _escape(text: str) -> str:
    # FHIR R4 search: these part values unless a backslash stands before them.
    plain = re.sub(r"([\\,$|])", r"\\\1", text)
    return quote(plain, safe="")


def _name(resource: dict[str, Any]) -> str:
    names = [item for item in list_of(resource.get("name")) if isinstance(item, dict)]
    chosen = next((item for item in names if item.get("use") == "official"), None)
    name = chosen or (names[0] if names else {})
    given = " ".join(_text(part) for part in list_of(name.get("given")))
    return _text(name.get("text")) or f"{given} {_text(name.get('family'))}".strip()


def _mrn(resource: dict[str, Any]) -> str:
    for item in list_of(resource.get("identifier")):
        kind = item.get("type") if isinstance(item, dict) else None
        codings = list_of(kind.get("coding")) if isinstance(kind, dict) else []
        if any(isinstance(one, dict) and one.get("code") == "MR" for one in codings):
            return _text(item.get("value"))
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
