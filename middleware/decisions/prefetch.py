"""What is read of a patient before deciding: one batch of searches."""

from __future__ import annotations

from datetime import datetime, timedelta

from mappings.plan import Library
from middleware.decisions.versions import EPOCH

ALWAYS = (
    "Encounter?patient={patient}",
    "Condition?patient={patient}",
    "Consent?patient={patient}",
    "RelatedPerson?patient={patient}",
    "Flag?patient={patient}",
)
# What others wrote to the patient counts for as long as what we wrote.
SENT = "Communication?patient={patient}&sent=ge{since}"
MEMORY = timedelta(days=366)
# What safety needs to see; reading less of it holds every message.
SAFETY_TYPES = frozenset({"Encounter", "Condition", "Consent"})


def data_queries(
    library: Library, patient: str, now: datetime | None = None
) -> tuple[str, ...]:
    """Return the reads and searches that the plans need, the patient first.

    ``patient`` is ``Patient/id``. Searches of one type are joined where one covers
    the others. ``now`` tells from which day on messages count.
    """
    since = (now or EPOCH) - MEMORY
    wanted = [*ALWAYS, *(query for plan in library.plans for query in plan.data)]
    whole = {query for query in wanted if "&" not in query}
    kept = [
        query
        for query in dict.fromkeys(wanted)
        if query in whole or query.split("&", 1)[0] not in whole
    ]
    sent = SENT.replace("{since}", since.date().isoformat())
    queries = (query.replace("{patient}", patient) for query in (*kept, sent))
    return (patient, *queries)
