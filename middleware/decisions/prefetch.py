"""What is read of a patient before deciding: one batch of searches."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
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
# A search of this many codes has about 2,000 characters.
MOST_CODES = 60
# What safety needs to see; reading less of it holds every message.
SAFETY_TYPES = frozenset({"Encounter", "Condition", "Consent"})


def data_queries(
    library: Library, patient: str, now: datetime | None = None
) -> tuple[str, ...]:
    """Return the reads and searches that the plans need, the patient first.

    ``patient`` is ``Patient/id``. However many plans there are, a type is searched once
    where one of them needs all of it, else once for every ``MOST_CODES`` codes. What the
    EHR does not have (``library.without``) is not asked for.
    ``now`` tells from which day on messages count.
    """
    since = (now or EPOCH) - MEMORY
    kept = _joined((*ALWAYS, *library.needed))
    sent = SENT.replace("{since}", since.date().isoformat())
    return (
        patient,
        *(
            query.replace("{patient}", patient)
            for query in (*kept, sent)
            if query.partition("?")[0] not in library.without
        ),
    )


@functools.lru_cache(maxsize=64)
def _joined(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return fewer searches for the same: the same for every patient of a library."""
    whole = {query for query in wanted if "&" not in query}
    codes: dict[str, set[str]] = {}
    for query in wanted:
        before, sign, listed = query.rpartition("=")
        if "&" in query and query.split("&", 1)[0] not in whole:
            codes.setdefault(before + sign, set()).update(listed.split(","))
    narrow = (
        f"{before}{','.join(part)}"
        for before, members in codes.items()
        for part in batched(sorted(members), MOST_CODES)
    )
    return (*(query for query in dict.fromkeys(wanted) if query in whole), *narrow)


def batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the items in parts of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))
