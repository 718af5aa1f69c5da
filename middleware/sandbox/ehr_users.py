"""Who can sign in to the sandbox EHR: its practitioners, and one patient.

It may not read cookies or answer HTTP. The patient is there so that apps can be
seen to refuse a user who is no clinician.
"""

from dataclasses import dataclass

from middleware.sandbox.ehr_reading import (
    Resource,
    read_concept,
    read_initials,
    read_name,
    read_sort_name,
)
from middleware.sandbox.store import Store


@dataclass(frozen=True)
class User:
    """One who can sign in; `reference` is such as Practitioner/p1."""

    reference: str
    name: str
    role: str

    @property
    def initials(self) -> str:
        """Answer the letters for the user's badge."""
        return read_initials(self.name)


def list_practitioners(store: Store) -> list[User]:
    """Answer the active practitioners as users, by family name."""
    found = [
        practitioner
        for practitioner in store.candidates("Practitioner")
        if practitioner.get("active", True)
    ]
    return [
        User(
            f"Practitioner/{practitioner['id']}",
            _titled(practitioner),
            _role(store, practitioner),
        )
        for practitioner in sorted(found, key=lambda p: (read_sort_name(p), p["id"]))
    ]


def list_users(store: Store) -> list[User]:
    """Answer who can sign in: the practitioners, then the one patient."""
    patients = sorted(
        store.candidates("Patient"), key=lambda p: (read_sort_name(p), p["id"])
    )
    outsiders = [
        User(f"Patient/{patient['id']}", read_name(patient), "Patient portal user")
        for patient in patients[:1]
    ]
    return list_practitioners(store) + outsiders


def find_user(store: Store, reference: str) -> User | None:
    """Answer the user with this reference; None when it is nobody's."""
    return next((u for u in list_users(store) if u.reference == reference), None)


def read_site(store: Store) -> str:
    """Answer the name of the clinic: its first Organization."""
    organizations = store.candidates("Organization")
    return str(organizations[0].get("name", "")) if organizations else "Sandbox Clinic"


def _titled(practitioner: Resource) -> str:
    name = read_name(practitioner)
    suffixes = [
        suffix
        for each in practitioner.get("name", [])[:1]
        for suffix in each.get("suffix", [])
        if suffix not in name
    ]
    return ", ".join([name, *suffixes])


def _role(store: Store, practitioner: Resource) -> str:
    reference = f"Practitioner/{practitioner['id']}"
    for role in store.candidates("PractitionerRole"):
        if role.get("practitioner", {}).get("reference") == reference:
            words = read_concept(role.get("specialty")) or read_concept(
                role.get("code")
            )
            if words:
                return words
    qualifications = practitioner.get("qualification", [])
    words = read_concept(qualifications[0].get("code")) if qualifications else ""
    return words or "Clinician"
