"""Reading one chart for the page: everything at once, or first what counts most.

An EHR that takes batches answers all in one. Of another the first few requests are for
what the answer rests on, and the rest follows by itself. What a token was not given is
not asked for, and is never "none".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mappings.chart import Chart
from mappings.errors import FhirError
from mappings.plan import Library
from mappings.reference import of_another, reference_of
from mappings.resource import Resource
from middleware.decisions.safety import ENDING_TYPES
from middleware.desk.permitted import Permitted, type_of, withheld_types
from middleware.ports import FhirApi, SearchResult
from middleware.stages.charts import (
    chart_queries,
    fetch_chart,
    find_doubtful,
    find_limited,
    find_refused,
    is_passing,
)

# From the callback to what a person can act on.
MOST_READS = 6
PERSONAL = (
    "Goal?patient={patient}",
    "Observation?patient={patient}&code=http://loinc.org%7C95541-9,http://loinc.org%7C75773-2",
)
NOT_ASKED = SearchResult((), complete=False)
FORBIDDEN = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "forbidden"}],
}
NOT_PERMITTED = replace(NOT_ASKED, outcomes=(FORBIDDEN,))
# What the answer rests on comes first, then what people look for first.
FIRST = (
    "Patient",
    "Consent",
    "Encounter",
    "Condition",
    "Flag",
    "RelatedPerson",
    "Appointment",
    "Procedure",
    "ServiceRequest",
    "Goal",
)
# What may still turn a verdict: who died or is in hospice care, who said no, where they
# asked to be reached, and whose number it is.
TURNING = ENDING_TYPES | {"Consent", "Flag", "Patient", "RelatedPerson"}


@dataclass(frozen=True)
class Within:
    """What may be asked before anything is shown.

    ``person`` is the Patient where it was read just now, ``before`` how many requests
    were made by then. ``users`` are read along with the chart.
    """

    person: Resource | None = None
    before: int = 0
    users: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """Return how many requests are left."""
        return MOST_READS - (self.before if self.person is not None else 0)


@dataclass(frozen=True)
class Reading:
    """A chart, the types of it that are still being read, and who is signed in."""

    chart: Chart
    unread: frozenset[str] = frozenset()
    users: tuple[Resource, ...] = ()


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


def read_charts(
    api: FhirApi,
    library: Library,
    patient: str,
    foci: Sequence[str],
    now: datetime,
    *,
    within: Within | None = None,
    permitted: Permitted | None = None,
    beside: Sequence[str] = (),
) -> Iterator[Reading]:
    """Yield the chart as it comes; the last one is whole.

    All at once, or, where that takes more requests than ``within`` leaves, first what
    counts most. What is not ``permitted`` is not asked. What is ``beside`` is read as
    well, and missed by nobody.

    Raises FhirError when the patient cannot be read; what else fails is named in
    ``incomplete``.
    """
    users = within.users if within else ()
    wanted = (*page_queries(library, patient, (*foci, *beside), now), *users)
    known = _leave_out(wanted, permitted)
    open_ = [query for query in wanted if query not in known]
    person = within.person if within else None
    put = (api, library, patient, foci, beside, now)
    for answered in _ask(api, open_, within):
        known |= answered
        rest = [query for query in open_ if query not in known]
        if not rest:
            break
        part = {query: known.get(query, NOT_ASKED) for query in wanted}
        # Read just now: enough until it is read again with the rest.
        chart = _put_together(*put, known=_stand_in(part, patient, person))
        unread = frozenset(map(type_of, rest)) & set(chart.incomplete)
        if unread:
            yield Reading(chart, unread)
    known = _stand_in(known, patient, person)
    staff = tuple(item for query in users for item in known[query].resources)
    yield Reading(_put_together(*put, known=known), users=staff)


def _stand_in(
    known: dict[str, SearchResult], patient: str, person: Resource | None
) -> dict[str, SearchResult]:
    """Take the Patient of a moment ago where an EHR that answers is late with it."""
    answered = any(found.complete for found in known.values())
    late = answered and is_passing(known[patient])
    if person is not None and (late or known[patient] is NOT_ASKED):
        return {**known, patient: SearchResult((person,))}
    return known


def _leave_out(
    wanted: Sequence[str], permitted: Permitted | None
) -> dict[str, SearchResult]:
    """Return answers for what may not be asked."""
    if permitted is None:
        return {}
    withheld = withheld_types(permitted, wanted)
    return {
        query: NOT_PERMITTED if type_of(query) in withheld else NOT_ASKED
        for query in wanted
        if not permitted.allows(query)
    }


def _put_together(
    api: FhirApi,
    library: Library,
    patient: str,
    foci: Sequence[str],
    beside: Sequence[str],
    now: datetime,
    *,
    known: Mapping[str, SearchResult],
) -> Chart:
    try:
        chart = fetch_chart(api, library, patient, now, known=known)
    except FhirError:
        # A part of a batch does not tell an ended session from a fault; a read does.
        if known[patient] is not NOT_PERMITTED:
            api.fetch(patient)
        raise
    usual = set(chart_queries(library, patient, "", now))
    more = {*personal_queries(patient), *foci} - usual
    added = {query: answer for query, answer in known.items() if query in more}
    chart = _complete(chart, added, patient)
    only = {name: known[name] for name in beside if name not in (*foci, *usual)}
    return _add_beside(chart, only, patient)


def _ask(
    api: FhirApi, wanted: Sequence[str], within: Within | None
) -> Iterator[dict[str, SearchResult]]:
    """Yield what is answered: at first, once no verdict can turn any more, at last."""
    known = _ask_first(api, wanted, within)
    yield known
    rest = [query for query in wanted if query not in known]
    turning = {query for query in rest if type_of(query) in TURNING}
    # What may turn the verdict first, so that it is not kept waiting.
    rest.sort(key=lambda query: query not in turning)
    for query, found in api.fetch_each(rest):
        known[query] = found
        if query in turning:
            turning.remove(query)
            if not turning:
                yield known
    yield known


def _ask_first(
    api: FhirApi, wanted: Sequence[str], within: Within | None
) -> dict[str, SearchResult]:
    """Return the answers to what was asked; the patient stands first in ``wanted``."""
    if within is None:
        return dict(zip(wanted, api.fetch_many(wanted), strict=True))
    patient, *others = wanted
    known = within.person is not None
    order = (*others, patient) if known else tuple(wanted)
    answers = zip(order, api.fetch_first(order, within.most), strict=True)
    return {query: found for query, found in answers if found is not None}


def _complete(chart: Chart, known: dict[str, SearchResult], patient: str) -> Chart:
    """Add what is personal, and the foci that no search brought."""
    found: dict[str, Resource] = {}
    incomplete, strangers = set(chart.incomplete), set(chart.strangers)
    for query, answer in known.items():
        if not answer.complete and chart.find(query) is None:
            incomplete.add(type_of(query))
        for resource in answer.resources:
            name = reference_of(resource)
            if "?" in query and of_another(resource, patient):
                strangers.add(name)
                incomplete |= find_doubtful(resource, patient)
            elif chart.find(name) is None:
                found[name] = resource
    return chart.with_resources(
        (*chart.resources, *found.values()),
        incomplete=tuple(sorted(incomplete)),
        strangers=tuple(sorted(strangers)),
        limited=tuple(sorted({*chart.limited, *find_limited(known, known)})),
        refused=tuple(sorted({*chart.refused, *find_refused(known, known)})),
        pages={**chart.pages, **{query: known[query].pages for query in known}},
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


def _rank(query: str) -> int:
    kind = type_of(query)
    single = "?" not in query and kind != "Patient"
    return FIRST.index(kind) if kind in FIRST and not single else len(FIRST)
