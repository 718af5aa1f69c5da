"""What one token may be asked for: the scopes that came with it, type by type. Pure.

What was not granted is not asked for, so that it is never tried and never "none".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mappings.scopes import Grant, write_resource_scope

LETTERS = "rs"


@dataclass(frozen=True)
class Permitted:
    """What was granted, and how the scope that is missing would be written.

    ``levels`` are those of which a scope counts; the first is the one that is asked for.
    """

    grant: Grant
    levels: tuple[str, ...] = ("patient", "user")
    style: str = "v2"

    def for_users(self) -> Permitted:
        """Return what may be asked about staff, whom only ``user`` scopes give."""
        return replace(self, levels=("user",))

    def allows(self, query: str) -> bool:
        """Tell whether ``Type/id`` may be read, or ``Type?parameters`` searched."""
        kind = type_of(query)
        return self.grant.reaches(self.levels, kind, "s" if "?" in query else "r")

    def narrows(self, kind: str) -> bool:
        """Tell whether a type may be searched, but for a part of it only."""
        return self.grant.narrows(self.levels, kind, "s")

    def missing(self, kind: str) -> str:
        """Return the scope that an administrator adds for a type."""
        return write_resource_scope(self.levels[0], kind, LETTERS, style=self.style)


def type_of(query: str) -> str:
    """Return the FHIR type that a read or search is about."""
    return query.partition("?")[0].partition("/")[0]


def withheld_types(
    permitted: Permitted | None, queries: Iterable[str]
) -> frozenset[str]:
    """Return the types of the searches, and of the patient's read, that are not ours."""
    if permitted is None:
        return frozenset()
    return frozenset(
        type_of(query)
        for query in queries
        if ("?" in query or query.startswith("Patient/"))
        and not permitted.allows(query)
    )
