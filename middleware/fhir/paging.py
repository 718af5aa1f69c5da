"""Follows the pages of a search or a history, within the base and within a limit.

What cannot be followed is never guessed: the pages then say that they are not
complete. Source: FHIR R4 http.html, paging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mappings.errors import FhirError
from middleware.fhir.addresses import bring_home, resolve_link
from middleware.fhir.bundles import Pages, list_entries, read_next
from middleware.fhir.faults import read_outcome, write_outcome

FetchPage = Callable[[str], Mapping[str, Any]]


def collect_pages(
    base: str,
    url: str,
    first: Mapping[str, Any],
    fetch_page: FetchPage,
    *,
    limit: int,
    aliases: Sequence[str] = (),
) -> Pages:
    """Return the entries of the first page and of those behind it.

    ``aliases`` are other bases that mean this server; it is asked at its own.
    A page that fails, leaves the base, repeats or lies beyond ``limit`` ends the walk
    with ``complete`` False.
    """
    entries, outcomes = list[Any](), list[dict[str, Any]]()
    seen, read, page, current = {url}, 0, first, url

    def end(*, complete: bool = False) -> Pages:
        return Pages(tuple(entries), complete, tuple(outcomes), read)

    while True:
        outcome = read_outcome(page)
        if outcome is not None or page.get("resourceType") != "Bundle":
            outcomes += filter(None, [outcome])
            return end()
        read += 1
        entries += list_entries(page)
        link = read_next(page)
        if link is None:
            return end(complete=True)
        following = resolve_link(base, current, bring_home(base, aliases, link))
        if following is None or following in seen or len(seen) >= limit:
            return end()
        seen.add(current := following)
        try:
            page = fetch_page(following)
        except FhirError as error:
            outcomes.append(error.outcome or write_outcome(error.status))
            return end()
