"""Reading one chart for the page: everything at once, or what a few requests can.

An EHR that takes batches answers all in one. Of another the page itself asks for as
much as a person waits for; the rest is named as not asked, and is never "none".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mappings.chart import Chart
from mappings.errors import FhirError
from mappings.plan import Library
from mappings.reference import of_another, reference_of
from mappings.resource import Resource
from middleware.ports import FhirApi, SearchResult
from middleware.stages.charts import (
    chart_queries,
    fetch_chart,
    find_limited,
    find_refused,
)

# From the callback to a whole page; two were made by then where the patient is known.
MOST_READS = 6
READS_BEFORE = 2
PERSONAL = (
    "Goal?patient={patient}",
    "Observation?patient={patient}&code=http://loinc.org%7C95541-9,http://loinc.org%7C75773-2",
)
NOT_ASKED = SearchResult((), complete=False)
# What the answer rests on comes first, then what people look for first.
FIRST = (
    "Patient",
    "Consent",
    "Encounter",
    "Condition",
    "Flag",
    "RelatedPerson",
    "Appointment",
    "Goal",
)


@dataclass(frozen=True)
class Within:
    """How much may be asked; ``person`` is the Patient where it was read just now.

    ``before`` requests were made by then.
    """

    person: Resource | None = None
    before: int = READS_BEFORE

    @property
    def most(self) -> int:
        """Return how many requests are left."""
        return MOST_READS - (self.before if self.person is not None else 0)


def personal_queries(patient: str) -> tuple[str, ...]:
    """Return what a page reads beside what deciding needs: goals and preferences."""
    return tuple(query.replace("{patient}", patient) for query in PERSONAL)


def page_queries(
    library: Library, patient: str, foci: Sequence[str], now: datetime
) -> tuple[str, ...]:
    """Return the reads and searches that a page is made of, what counts most first.

    ``foci`` are what the open messages are about: read by themselves where no search
    brings them.
    """
    queries = (*chart_queries(library, patient, "", now), *personal_queries(patient))
    singles = [name for name in foci if not name.startswith("Patient/")]
    asked = dict.fromkeys((*queries, *singles))
    return tuple(sorted(asked, key=_rank))


def read_chart(
    api: FhirApi,
    library: Library,
    patient: str,
    foci: Sequence[str],
    now: datetime,
    *,
    within: Within | None,
    beside: Sequence[str] = (),
) -> tuple[Chart, frozenset[str]]:
    """Return a chart, and the FHIR types that were left for later.

    It is read ``within`` a number of requests where that is given. What is ``beside``
    is read as well, and missed by nobody.

    Raises FhirError when the patient cannot be read; what else fails or was not asked
    is named in ``incomplete``.
    """
    wanted = page_queries(library, patient, (*foci, *beside), now)
    asked = _ask(api, wanted, within)
    known = {query: asked.get(query, NOT_ASKED) for query in wanted}
    try:
        chart = fetch_chart(api, library, patient, now, known=known)
    except FhirError:
        # A part of a batch does not tell an ended session from a fault; a read does.
        api.fetch(patient)
        raise
    usual = set(chart_queries(library, patient, "", now))
    more = {*personal_queries(patient), *foci} - usual
    chart = _complete(
        chart, {query: known[query] for query in wanted if query in more}, patient
    )
    only = [name for name in beside if name not in (*foci, *usual)]
    chart = _add_beside(chart, {name: known[name] for name in only}, patient)
    left = [query for query in wanted if query not in asked and query not in only]
    unasked = {_type(query) for query in left}
    return chart, frozenset(unasked & set(chart.incomplete))


def _ask(
    api: FhirApi, wanted: Sequence[str], within: Within | None
) -> dict[str, SearchResult]:
    """Return the answers to what was asked; the patient stands first in ``wanted``."""
    if within is None:
        return dict(zip(wanted, api.fetch_many(wanted), strict=True))
    patient, *others = wanted
    known = within.person is not None
    order = (*others, patient) if known else tuple(wanted)
    answers = zip(order, api.fetch_first(order, within.most), strict=True)
    asked = {query: found for query, found in answers if found is not None}
    if within.person is not None:
        asked.setdefault(patient, SearchResult((within.person,)))
    return asked


def _complete(chart: Chart, known: dict[str, SearchResult], patient: str) -> Chart:
    """Add what is personal, and the foci that no search brought."""
    found: dict[str, Resource] = {}
    incomplete, strangers = set(chart.incomplete), set(chart.strangers)
    for query, answer in known.items():
        if not answer.complete and chart.find(query) is None:
            incomplete.add(_type(query))
        for resource in answer.resources:
            name = reference_of(resource)
            if "?" in query and of_another(resource, patient):
                strangers.add(name)
            elif chart.find(name) is None:
                found[name] = resource
    return chart.with_resources(
        (*chart.resources, *found.values()),
        incomplete=tuple(sorted(incomplete)),
        strangers=tuple(sorted(strangers)),
        limited=tuple(sorted({*chart.limited, *find_limited(known, known)})),
        refused=tuple(sorted({*chart.refused, *find_refused(known, known)})),
    )


def _add_beside(chart: Chart, known: dict[str, SearchResult], patient: str) -> Chart:
    """Add what a launch names; what is another patient's is a stranger."""
    found: list[Resource] = []
    strangers = set(chart.strangers)
    for name, answer in known.items():
        for resource in answer.resources:
            if of_another(resource, patient):
                strangers.add(name)
            elif reference_of(resource) == name and chart.find(name) is None:
                found.append(resource)
    return chart.with_resources(
        (*chart.resources, *found), strangers=tuple(sorted(strangers))
    )


def _type(query: str) -> str:
    return query.partition("?")[0].partition("/")[0]


def _rank(query: str) -> int:
    kind = _type(query)
    single = "?" not in query and kind != "Patient"
    return FIRST.index(kind) if kind in FIRST and not single else len(FIRST)
