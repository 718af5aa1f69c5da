"""One FHIR R4 server, seen through one token: reads, searches, history, writes.

Everything stays under the endpoint's base; whatever is missing is said to be missing.
It may not interpret clinical content, and it does not filter foreign subjects.
Sources: FHIR R4 http.html, search.html, bundle.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import requests

from mappings.errors import AnotherResourceError, FhirError
from mappings.secret import Secret
from middleware.fhir.abilities import Abilities
from middleware.fhir.addresses import Reference, read_base, read_query, read_reference
from middleware.fhir.batch import Batches, Part
from middleware.fhir.bounded import make_session
from middleware.fhir.bundles import names, read_history, read_searchset, read_single
from middleware.fhir.changing import read_location, send_change
from middleware.fhir.faults import Answer, is_serious, read_date, write_outcome
from middleware.fhir.many import Many
from middleware.fhir.operations import ask_operation
from middleware.fhir.paging import collect_pages
from middleware.fhir.reach import read_reach
from middleware.fhir.transport import Limits, Request, Transport
from middleware.ports import Clock, SearchResult, require_no_transaction

_NO_HISTORY = {405, 501}


class FhirClient:
    """Implements ``middleware.ports.FhirApi``. Raises FhirError.

    ``token`` returns a bearer token or None; ``forget`` is told of a refused one.
    ``search_first``: the server has no conditional create. ``abilities`` are shared by an
    endpoint's clients; ``aliases`` mean this server too, in links and references.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], Secret | None],
        *,
        clock: Clock,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = (3.0, 15.0),
        forget: Callable[[Secret], None] | None = None,
        search_first: bool = False,
        limits: Limits | None = None,
        abilities: Abilities | None = None,
        aliases: Sequence[str] = (),
    ) -> None:
        self.base_url, self._aliases = read_base(base_url), tuple(aliases)
        self._limits = limits or Limits()
        self._search_first = search_first
        self._histories = True
        self._transport = Transport(
            session or make_session(read_reach(base_url), pool=self._limits.workers),
            token,
            forget,
            clock,
            timeout=timeout,
            limits=self._limits,
            homes=(self.base_url, *self._aliases),
        )
        batches = Batches(self.base_url, self._transport, abilities or Abilities())
        self._many = Many(batches, self._limits, self._fetch_one, self._read_part)

    def close(self) -> None:
        """Close the connections and end waiting retries."""
        self._transport.close()

    def fetch(self, reference: str) -> dict[str, Any]:
        """Read the current version of one resource.

        ReferenceRefusedError when it lies outside the base.
        """
        wanted = read_reference(self.base_url, reference)
        url, what = f"{self.base_url}/{wanted}", f"a read of {wanted.type}"
        resource, _ = self._get(url, what)
        if not names(resource, wanted):
            raise AnotherResourceError(wanted.type)
        return resource

    def fetch_history(self, reference: str) -> tuple[dict[str, Any], ...]:
        """Return all versions, oldest first; deleted ones with ``_deleted``.

        Raises FhirError when a part is missing. A server without history gives the
        current version only.
        """
        wanted = read_reference(self.base_url, reference)
        if not self._histories:
            return (self.fetch(reference),)
        try:
            result = self._collect(f"{wanted}/_history", read=read_history)
        except FhirError as error:
            if error.status not in _NO_HISTORY:
                raise
            self._histories = False
            return (self.fetch(reference),)
        if not result.complete or not all(names(r, wanted) for r in result.resources):
            raise FhirError(
                f"The history of one {wanted.type} came back incomplete; it was not "
                "used; it may be tried again"
            )
        return result.resources

    def fetch_search(self, query: str, *, follow_pages: bool = True) -> SearchResult:
        """Search (or read a type's history) to the last page.

        ``complete`` is False when there is more than was returned.
        """
        wanted = read_query(self.base_url, query)
        history = wanted.partition("?")[0].endswith("/_history")
        read = read_history if history else read_searchset
        return self._collect(wanted, read=read, limit=None if follow_pages else 1)

    def fetch_many(self, queries: Sequence[str]) -> tuple[SearchResult, ...]:
        """Answer each query, in batches where the server can, else one by one.

        A part that failed has ``complete`` False; its first outcome says the HTTP
        status in FHIR's issue codes, the server's own follows.
        """
        require_no_transaction("fetch_many")
        return self._many.fetch_all(queries)

    def fetch_each(self, queries: Sequence[str]) -> Iterator[tuple[str, SearchResult]]:
        """Yield each query with its answer, as answers come; else as ``fetch_many``."""
        require_no_transaction("fetch_each")
        return self._many.fetch_each(queries)

    def fetch_first(
        self, queries: Sequence[str], most: int
    ) -> tuple[SearchResult | None, ...]:
        """Answer as many queries as ``most`` requests can; None for those not asked.

        In a batch they all count as one. Further pages are followed, and not counted.
        """
        require_no_transaction("fetch_first")
        return self._many.fetch_first(queries, most)

    def fetch_operation(
        self, path: str, parameters: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Ask an operation that changes nothing, by GET, else by POST."""
        return ask_operation(self._transport, self.base_url, path, parameters)

    def send_create(
        self,
        resource: Mapping[str, Any],
        *,
        if_none_exist: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Create, unless a search finds one; return what stands on the server."""
        kind = str(resource["resourceType"])
        url = read_query(self.base_url, kind)
        sent = [("Prefer", "return=representation"), *(headers or {}).items()]
        if if_none_exist is not None:
            found = self._find_first(kind, if_none_exist)
            if found is not None:
                return found
            sent.append(("If-None-Exist", if_none_exist))
        answer = self._transport.exchange(
            Request(
                "POST",
                f"{self.base_url}/{url}",
                f"a create of {kind}",
                body=resource,
                headers=tuple(sent),
                repeatable=if_none_exist is not None and not self._search_first,
            )
        )
        return self._standing(answer, kind)

    def send_update(
        self, resource: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Update by id; ``if_match`` is the versionId that must still stand (412)."""
        kind = str(resource["resourceType"])
        target = read_reference(self.base_url, f"{kind}/{resource.get('id') or ''}")
        sent = send_change(self._transport, self.base_url, target, resource, if_match)
        return sent or self.fetch(str(target))

    def send_patch(
        self,
        reference: str,
        patch: Sequence[Mapping[str, Any]] | Mapping[str, Any],
        *,
        if_match: str | None = None,
    ) -> dict[str, Any]:
        """Patch by id; ``if_match`` is the versionId that must still stand (412)."""
        target = read_reference(self.base_url, reference)
        sent = send_change(
            self._transport, self.base_url, target, patch, if_match, method="PATCH"
        )
        return sent or self.fetch(str(target))

    def send_delete(self, reference: str) -> None:
        """Delete one resource; FhirError with status 404 or 410 when it is gone."""
        target = read_reference(self.base_url, reference)
        url, what = f"{self.base_url}/{target}", f"a delete of {target.type}"
        self._transport.exchange(Request("DELETE", url, what, repeatable=True))

    def _get(self, url: str, what: str) -> tuple[dict[str, Any], datetime | None]:
        """Return the body and what the server's clock showed."""
        answer = self._transport.exchange(Request("GET", url, what, repeatable=True))
        if answer.body is None:
            raise FhirError(f"The FHIR server's answer to {what} is empty", status=200)
        return answer.body, read_date(answer.headers.get("Date") or "")

    def _collect(
        self,
        query: str,
        *,
        read: Callable[..., SearchResult],
        first: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> SearchResult:
        what = f"a search of {query.partition('?')[0].partition('/')[0]}"
        server_time = None
        if first is None:
            first, server_time = self._get(f"{self.base_url}/{query}", what)
        pages = collect_pages(
            self.base_url,
            f"{self.base_url}/{query}",
            first,
            lambda url: self._get(url, what)[0],
            limit=limit or self._limits.pages,
            aliases=self._aliases,
        )
        return replace(read(pages), server_time=server_time)

    def _read_part(self, query: str, part: Part) -> SearchResult:
        path = query.partition("?")[0]
        if not part.succeeded or part.resource is None:
            # Some servers take no history inside a batch.
            if path.endswith("/_history"):
                return self._fetch_one(query)
            outcomes = (write_outcome(part.status), *filter(None, [part.resource]))
            return SearchResult((), complete=False, outcomes=outcomes)
        try:
            return self._read_query(query, part.resource)
        except FhirError as error:
            return _failed(error)

    def _fetch_one(self, query: str) -> SearchResult:
        """Answer one query; a failure becomes an incomplete result."""
        try:
            return self._read_query(query, None)
        except FhirError as error:
            return _failed(error)

    def _read_query(self, query: str, first: dict[str, Any] | None) -> SearchResult:
        wanted = read_query(self.base_url, query)
        path, question, _ = wanted.partition("?")
        if path.endswith("/_history"):
            if first is None and path.count("/") == 2 and not question:
                return SearchResult(self.fetch_history(path.removesuffix("/_history")))
            return self._collect(wanted, read=read_history, first=first)
        if "/" not in path or "$" in path:
            return self._collect(wanted, read=read_searchset, first=first)
        reference = read_reference(self.base_url, path)
        if first is None:
            return read_single(self.fetch(path))
        if not names(first, reference):
            return SearchResult((), complete=False, outcomes=(write_outcome(409),))
        return read_single(first)

    def _find_first(self, kind: str, criteria: str) -> dict[str, Any] | None:
        """Search before a create where the server cannot do it for us."""
        if not self._search_first:
            return None
        found = self.fetch_search(f"{kind}?{criteria}", follow_pages=False)
        if not found.resources and any(is_serious(o) for o in found.outcomes):
            raise FhirError(f"The search before a create of {kind} failed")
        return found.resources[0] if found.resources else None

    def _standing(self, answer: Answer, kind: str) -> dict[str, Any]:
        """Return the resource that a create left or found."""
        body = answer.body or {}
        if body.get("resourceType") == kind and body.get("id"):
            return body
        location = read_location(answer, kind)
        reference: Reference = read_reference(self.base_url, location)
        try:
            return self.fetch(str(reference))
        except FhirError:
            # It was created, whether or not it may be read.
            return {"resourceType": kind, "id": reference.id}


def _failed(error: FhirError) -> SearchResult:
    outcomes = (write_outcome(error.status), *filter(None, [error.outcome]))
    return SearchResult((), complete=False, outcomes=outcomes)
