"""The scopes that the app asks for: made from what its page reads, and no more.

Granted scopes come back in many spellings; nothing here gives power, it only names.
"""

from __future__ import annotations

from collections.abc import Iterable

IDENTITY = ("openid", "fhirUser", "user/Practitioner.r", "user/PractitionerRole.r")


def write_scope(resource_types: Iterable[str], *, standalone: bool) -> str:
    """Return the scope parameter, SMART v2 grammar, sorted and without doubles.

    EHR launch asks for ``launch``, standalone for ``launch/patient`` (SMART App
    Launch 2.2, Scopes and Launch Context).
    """
    context = "launch/patient" if standalone else "launch"
    types = sorted({"Patient", *resource_types})
    return " ".join([context, *IDENTITY, *(f"patient/{name}.rs" for name in types)])
