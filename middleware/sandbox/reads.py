"""The interactions that change nothing: read, vread, history, search.

They work on a view, so that they see a transaction's own writes inside a Bundle.
Source: https://hl7.org/fhir/R4/http.html.
"""

import re
from email.utils import parsedate_to_datetime
from functools import partial

from middleware.sandbox.calls import Answer, Call, Session
from middleware.sandbox.dates import read_range
from middleware.sandbox.outcome import FhirFault
from middleware.sandbox.paging import Snapshot, history_entry, search_entry, subset
from middleware.sandbox.query import DEFAULT_COUNT, MAX_COUNT, Query, parse_query
from middleware.sandbox.search import follow, select
from middleware.sandbox.state import Change, Resource

_TAG = re.compile(r'(?:W/)?"([^"]+)"')


def read(call: Call, session: Session) -> Answer:
    """Read the current version; 304 when the caller has it, 410 when deleted."""
    type_, id_ = call.path
    change = session.view.latest(type_, id_)
    _check_seen(session, type_, change)
    if change is None:
        raise FhirFault(404, f"{type_}/{id_} is not here.")
    if change.resource is None:
        raise FhirFault(410, f"{type_}/{id_} was deleted.")
    if _has_it(call, change):
        return Answer(304, change=change)
    return Answer(200, _shown(call, change.resource), change)


def vread(call: Call, session: Session) -> Answer:
    """Read one version; 410 when that version is the deletion."""
    type_, id_, _, wanted = call.path
    versions = session.view.versions(type_, id_)
    _check_seen(session, type_, versions[-1] if versions else None)
    for change in versions:
        if str(change.version) == wanted:
            if change.resource is None:
                raise FhirFault(410, f"{type_}/{id_} was deleted at this version.")
            return Answer(200, change.resource, change)
    raise FhirFault(404, f"{type_}/{id_} has no such version.")


def history(call: Call, session: Session) -> Answer:
    """List the versions of a resource, a type or everything, newest first.

    `_since` keeps what changed at or after an instant; `_count` sizes the pages.
    """
    *place, _ = call.path
    changes = _changes(session, tuple(place))
    since, count = None, DEFAULT_COUNT
    for name, value in call.query:
        if name == "_since":
            instant = read_range(value, session.site.zone)
            if instant is None or "T" not in value:
                raise FhirFault(400, "_since is not an instant (+ is sent as %2B).")
            since = instant[0]
        elif name == "_count" and value.isdecimal():
            count = max(1, min(int(value), MAX_COUNT))
        elif name not in {"_format", "_pretty"}:
            raise FhirFault(400, "A history takes _since and _count here.")
    found: list[Change] = []
    for change in reversed(changes):
        if since is not None and change.instant < since:
            break
        found.append(change)
    return Answer(200, _history_page(call, session, _visible(session, found), count))


def search(call: Call, session: Session) -> Answer:
    """Search one type; the first page of a stable snapshot."""
    type_ = call.path[0]
    categories = frozenset(v for n, v in call.query if n == "category")
    session.require("s", type_, categories)
    site = session.site
    query = parse_query(type_, call.query, site.base, site.zone, lenient=call.lenient)
    found = session.visible(type_, select(session.view, query))
    if query.summary:
        body = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        return Answer(200, {**body, "link": [{"relation": "self", "url": call.url}]})
    snapshot = Snapshot(
        kind="searchset",
        found=found,
        make=partial(_search_entries, session, query),
        count=query.count,
        self_url=call.url,
        total=query.total,
        owner=session.owner,
    )
    return Answer(200, site.pages.first(snapshot))


def page(call: Call, session: Session) -> Answer:
    """Turn to a later page of a search or a history."""
    asked = dict(call.query)
    offset = asked.get("_offset", "0")
    body = session.site.pages.turn(asked["_pages"], offset, session.owner)
    return Answer(200, body)


def tag_version(text: str) -> str:
    """Answer the version that an ETag names; FhirFault 400 when it is none."""
    match = _TAG.fullmatch(text.strip())
    if match is None:
        raise FhirFault(400, 'A version is written as W/"1".')
    return match.group(1)


def _check_seen(session: Session, type_: str, change: Change | None) -> None:
    subject = (change.resource or change.previous) if change else None
    if subject is None:
        session.require("r", type_)
    else:
        session.admit("r", subject)


def _has_it(call: Call, change: Change) -> bool:
    if call.if_none_match:
        tags = [tag_version(tag) for tag in call.if_none_match.split(",")]
        return str(change.version) in tags
    if call.if_modified_since:
        try:
            since = parsedate_to_datetime(call.if_modified_since)
        except ValueError as error:
            raise FhirFault(400, "If-Modified-Since is no HTTP date.") from error
        return change.instant.replace(microsecond=0) <= since
    return False


def _shown(call: Call, resource: Resource) -> Resource:
    for name, value in call.query:
        if name == "_elements":
            return subset(resource, frozenset(value.split(",")))
        if name not in {"_format", "_pretty"}:
            raise FhirFault(400, "A read takes _elements and _format here.")
    return resource


def _changes(session: Session, place: tuple[str, ...]) -> list[Change]:
    if not place:
        return session.view.log()
    if len(place) == 1:
        session.require("r", place[0])
        return [c for c in session.view.log() if c.type == place[0]]
    versions = session.view.versions(*place)
    _check_seen(session, place[0], versions[-1] if versions else None)
    if not versions:
        raise FhirFault(404, f"{place[0]}/{place[1]} is not here.")
    return versions


def _visible(session: Session, changes: list[Change]) -> list[Change]:
    types = {change.type for change in changes}
    unbounded = {type_ for type_ in types if session.is_unbounded("r", type_)}
    return [
        change
        for change in changes
        if change.type in unbounded
        or session.admits("r", change.resource or change.previous or {})
    ]


def _history_page(
    call: Call, session: Session, found: list[Change], count: int
) -> Resource:
    def make(changes: list[Change]) -> list[Resource]:
        return [history_entry(change, session.site.base) for change in changes]

    snapshot = Snapshot(
        kind="history",
        found=found,
        make=make,
        count=count,
        self_url=call.url,
        total=True,
        owner=session.owner,
    )
    return session.site.pages.first(snapshot)


def _search_entries(
    session: Session, query: Query, found: list[Resource]
) -> list[Resource]:
    base = query.base
    added = [r for r in follow(session.view, query, found) if session.admits("r", r)]
    return [
        *(search_entry(subset(r, query.elements), "match", base) for r in found),
        *(search_entry(r, "include", base) for r in added),
    ]
