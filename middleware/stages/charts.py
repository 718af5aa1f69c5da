"""Reading a patient's chart: one batch where the server can, always the truth.

Network only; the caller holds no transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mappings.chart import Chart
from mappings.errors import CareCueError, FhirError, MergedError
from mappings.merge import merged_into, replaced_records
from mappings.plan import Library
from mappings.reference import may_be_of, of_another, reference_of
from middleware.decisions.prefetch import SAFETY_TYPES, data_queries
from middleware.fhir.faults import is_warning
from middleware.ports import FhirApi, SearchResult

# Of more records of one person than these a person must think.
MOST_RECORDS = 10
PASSING = frozenset({"transient", "throttled", "timeout", "lock-error", "exception"})
REFUSED = frozenset({"forbidden", "security", "suppressed"})
SILENT = frozenset({"transient", "throttled", "timeout"})
_SILENT_STATUS = frozenset({401, 429, 502, 503, 504})


def fetch_chart(
    api: FhirApi,
    library: Library,
    patient: str,
    now: datetime,
    *,
    focus: str = "",
    known: Mapping[str, SearchResult] | None = None,
) -> Chart:
    """Read the patient and everything that the plans of ``library`` ask for.

    ``focus`` (``Type/id``) is read by itself as well: search indexes are late; ``known``
    was read just now. FhirError where the patient cannot be read; what else fails is in
    ``Chart.incomplete``.
    """
    wanted = chart_queries(library, patient, focus, now)
    if known is None or not known.keys() >= set(wanted):
        known = dict(zip(wanted, api.fetch_many(wanted), strict=True))
    singles, found = {focus} & set(wanted) - {patient}, dict[str, dict[str, Any]]()
    incomplete, strangers = _find_failed(known, {*wanted[1:]} - singles), set[str]()
    for query in wanted[1:]:
        for resource in known[query].resources:
            if query in singles or not of_another(resource, patient):
                _keep(found, resource, own=query in singles)
            else:
                strangers.add(reference_of(resource))
                incomplete |= find_doubtful(resource, patient)
    if singles and not known[focus].complete and focus not in found:
        incomplete.add(focus.partition("/")[0])
    return Chart(
        patient=_only(known[patient], patient),
        resources=tuple(found.values()),
        read_at=now,
        incomplete=tuple(sorted(incomplete)),
        strangers=tuple(sorted(strangers)),
        limited=find_limited(known, wanted),
        refused=find_refused(known, wanted),
        pages={query: known[query].pages for query in wanted},
    )


def _find_failed(
    answers: Mapping[str, SearchResult], queries: Iterable[str]
) -> set[str]:
    return {q.partition("?")[0] for q in queries if not answers[q].complete}


def find_limited(
    answers: Mapping[str, SearchResult], queries: Iterable[str]
) -> tuple[str, ...]:
    """Return the types of which the server says that there may be more than it gave."""
    told = [
        query
        for query in queries
        if any(is_warning(outcome) for outcome in answers[query].outcomes)
    ]
    names = {query.partition("?")[0].partition("/")[0] for query in told}
    return tuple(sorted(names))


def fetch_replaced(
    api: FhirApi,
    library: Library,
    chart: Chart,
    *,
    told: Sequence[str],
    known: Sequence[str],
    only: Collection[str] = (),
    most: int = MOST_RECORDS,
) -> Chart:
    """Add to a chart what still names records that were merged into its patient's.

    ``told`` are those that the EHR tells of. Those that are only ``known`` count unless
    their record stands for itself again. Of a record that is gone nothing is left.
    ``only`` are the types that are read of them, all without it; of more than ``most`` a
    person must think.
    """
    patient = reference_of(chart.patient)
    older = [name for name in dict.fromkeys((*told, *known)) if name != patient]
    if not older:
        return chart
    counted = older[:most]
    parts = [_queries_of(library, name, chart.read_at, only) for name in counted]
    wanted = [query for queries in parts for query in queries]
    answers = dict(zip(wanted, api.fetch_many(wanted), strict=True))
    joined = [
        (record, searches)
        for record, *searches in parts
        if record in told or not _stands_for_itself(answers[record], record)
    ]
    return _join(chart, joined, answers, whole=older == counted)


def _join(
    chart: Chart,
    joined: Sequence[tuple[str, Sequence[str]]],
    answers: Mapping[str, SearchResult],
    *,
    whole: bool,
) -> Chart:
    """Add what was answered of old records; ``whole`` where none was left out."""
    found = {reference_of(item): item for item in chart.resources}
    incomplete = {*chart.incomplete, *(() if whole else SAFETY_TYPES)}
    for record, group in joined:
        for query in group:
            answer = answers[query]
            if not answer.complete and _status_of(answer) != 404:
                incomplete.add(query.partition("?")[0])
            incomplete |= _keep_all(found, answer.resources, record)
    return chart.with_resources(
        found.values(),
        incomplete=tuple(sorted(incomplete)),
        replaced=tuple(record for record, _ in joined),
    )


def _queries_of(
    library: Library, record: str, now: datetime, only: Collection[str]
) -> list[str]:
    """Return the read of a record and the searches in its name, the read first."""
    _, *searches = chart_queries(library, record, "", now)
    kept = (one for one in searches if not only or one.partition("?")[0] in only)
    return [record, *kept]


def _keep_all(
    found: dict[str, Any], resources: Iterable[dict[str, Any]], record: str
) -> set[str]:
    """Keep what is the record's; return the types of which that is not known."""
    doubtful = set[str]()
    for resource in resources:
        if not of_another(resource, record):
            _keep(found, resource, own=False)
        doubtful |= find_doubtful(resource, record)
    return doubtful


def find_doubtful(resource: Mapping[str, Any], patient: str) -> set[str]:
    """Return the type of what may be the patient's under a base that is not written down.

    It is left out, and what it would have said is not known.
    """
    return (
        {str(resource["resourceType"])} if may_be_of(dict(resource), patient) else set()
    )


def _stands_for_itself(answer: SearchResult, record: str) -> bool:
    """Tell whether a record is in use and says of no other that it replaced it."""
    return any(
        reference_of(resource) == record
        and resource.get("active") is not False
        and merged_into(resource) is None
        for resource in answer.resources
    )


def chart_queries(
    library: Library, patient: str, focus: str, now: datetime
) -> list[str]:
    """Return the reads and searches that a chart is made of, the patient first."""
    asked = data_queries(library, patient, now)
    queries = [query for query in asked if query != patient]
    singles = [focus] if focus and not focus.startswith("Patient/") else []
    return [patient, *singles, *queries]


def _keep(
    found: dict[str, dict[str, Any]], resource: dict[str, Any], *, own: bool
) -> None:
    name = f"{resource.get('resourceType')}/{resource.get('id')}"
    if own or name not in found:
        found[name] = resource


def _only(answer: SearchResult, reference: str) -> dict[str, Any]:
    wanted = reference.partition("/")[2]
    for resource in answer.resources:
        if resource.get("resourceType") == "Patient":
            if resource.get("id") != wanted:
                if reference in replaced_records(resource):
                    raise MergedError(reference_of(resource))
                raise FhirError(
                    "the server answered with another patient than was asked for; "
                    "nothing is decided on it; check for a merge in the EHR",
                    status=409,
                    permanent=True,
                )
            return resource
    status = _status_of(answer)
    raise FhirError(
        f"the patient of this event could not be read (HTTP {status}); nothing was "
        "sent; check that the record exists and that our client may read it",
        status=status,
        outcome=answer.outcomes[0] if answer.outcomes else None,
        permanent=status in (404, 410),
    )


def is_passing(answer: SearchResult) -> bool:
    """Tell whether a part failed for a reason that time may lift."""
    return bool(_codes_of(answer) & PASSING)


def is_silent(error: CareCueError) -> bool:
    """Tell whether the server itself is away, whichever patient it was asked for."""
    if not isinstance(error, FhirError):
        return False
    if error.status is not None:
        return error.status in _SILENT_STATUS
    issues = (error.outcome or {}).get("issue", ())
    codes = {str(issue.get("code")) for issue in issues}
    return not error.permanent and (not codes or bool(codes & SILENT))


def find_refused(
    answers: Mapping[str, SearchResult], queries: Iterable[str]
) -> tuple[str, ...]:
    """Return the types of which the EHR did not permit what was asked for."""
    told = {
        query.partition("?")[0].partition("/")[0]
        for query in queries
        if not answers[query].complete and _codes_of(answers[query]) & REFUSED
    }
    return tuple(sorted(told))


def _status_of(answer: SearchResult) -> int | None:
    if _codes_of(answer) & {"not-found", "deleted", "processing-not-found"}:
        return 404
    return None


def _codes_of(answer: SearchResult) -> set[str]:
    return {
        str(issue.get("code"))
        for outcome in answer.outcomes
        for issue in outcome.get("issue", ())
    }
