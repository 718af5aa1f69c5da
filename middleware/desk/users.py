"""Who is at the desk, by name, where the EHR lets their own token read it."""

from __future__ import annotations

from mappings.errors import FhirError
from mappings.resource import Resource, list_of
from middleware.ports import FhirApi

LONGEST_NAME = 200


def read_user_name(api: FhirApi, person: Resource) -> str | None:
    """Return a practitioner's name, or that of whose role it is; None without one."""
    try:
        if person.get("resourceType") == "PractitionerRole":
            who = str((person.get("practitioner") or {}).get("reference") or "")
            person = api.fetch(who) if who else person
    except FhirError:
        return None
    return _name(person)


def _name(person: dict[str, object]) -> str | None:
    for name in list_of(person.get("name")):
        if not isinstance(name, dict):
            continue
        parts = [*list_of(name.get("prefix")), *list_of(name.get("given"))]
        text = name.get("text") or " ".join(
            [*map(str, parts), str(name.get("family") or "")]
        )
        # It is kept with what this person does, where no NUL can stand.
        plain = "".join(letter for letter in str(text) if letter.isprintable()).strip()
        if plain:
            return plain[:LONGEST_NAME]
    return None
