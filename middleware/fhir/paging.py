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
    entries: list[Any] = []
    outcomes: list[dict[str, Any]] = []
    seen = {url}
    page, current = first, url
    while True:
        outcome = read_outcome(page)
        if outcome is not None:
            outcomes.append(outcome)
            return Pages(tuple(entries), complete=False, outcomes=tuple(outcomes))
        if page.get("resourceType") != "Bundle":
            return Pages(tuple(entries), complete=False, outcomes=tuple(outcomes))
        entries += list_entries(page)
        link = read_next(page)
        if link is None:
            return Pages(tuple(entries), complete=True, outcomes=tuple(outcomes))
        following = resolve_link(base, current, bring_home(base, aliases, link))
        if following is None or following in seen or len(seen) >= limit:
            return Pages(tuple(entries), complete=False, outcomes=tuple(outcomes))
        seen.add(following)
        current = following
        try:
            page = fetch_page(following)
        except FhirError as error:
            outcomes.append(error.outcome or write_outcome(error.status))
            return Pages(tuple(entries), complete=False, outcomes=tuple(outcomes))
