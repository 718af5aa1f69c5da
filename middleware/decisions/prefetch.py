"""What is read of a patient before deciding: one batch of searches."""

from __future__ import annotations

from mappings.plan import Library

ALWAYS = (
    "Encounter?patient={patient}",
    "Condition?patient={patient}",
    "Consent?patient={patient}",
)
# What safety needs to see; reading less of it holds every message.
SAFETY_TYPES = frozenset({"Encounter", "Condition", "Consent"})


def data_queries(library: Library, patient: str) -> tuple[str, ...]:
    """Return the reads and searches that the plans need, the patient first.

    ``patient`` is ``Patient/id``. Searches of one type are joined where one covers
    the others.
    """
    wanted = [*ALWAYS, *(query for plan in library.plans for query in plan.data)]
    whole = {query for query in wanted if "&" not in query}
    kept = [
        query
        for query in dict.fromkeys(wanted)
        if query in whole or query.split("&", 1)[0] not in whole
    ]
    return (patient, *(query.replace("{patient}", patient) for query in kept))
