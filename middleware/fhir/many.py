"""Many reads of one server at once: in batches, else side by side in a few threads.

Answers are given as they come, or in the order of the queries; one that fails spoils
no other. It knows no resource.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from middleware.fhir.batch import Batches, Part
from middleware.fhir.faults import write_outcome
from middleware.fhir.transport import Limits
from middleware.ports import SearchResult


class Many:
    """Asks by ``fetch_one`` what no batch answers; ``read_part`` reads what one does."""

    def __init__(
        self,
        batches: Batches,
        limits: Limits,
        fetch_one: Callable[[str], SearchResult],
        read_part: Callable[[str, Part], SearchResult],
    ) -> None:
        self._batches = batches
        self._limits = limits
        self._fetch_one = fetch_one
        self._read_part = read_part

    def fetch_all(self, queries: Sequence[str]) -> tuple[SearchResult, ...]:
        """Answer every query, with as many requests as it takes."""
        found = dict(self.fetch_each(queries))
        return tuple(found[query] for query in queries)

    def fetch_each(self, queries: Sequence[str]) -> Iterator[tuple[str, SearchResult]]:
        """Yield every query with its answer, as answers come.

        What was not sent yet is not sent once nobody takes them any more.
        """
        rest = queries
        while rest:
            size = self._batches.entries
            some = rest[:size]
            found = self._fetch_batch(some) if len(some) > 1 else None
            if found is None and len(some) > self._batches.entries:
                # That was too much for it at once; smaller batches may go.
                continue
            yield from self._fetch_singly(some) if found is None else found.items()
            rest = rest[size:]

    def fetch_first(
        self, queries: Sequence[str], most: int
    ) -> tuple[SearchResult | None, ...]:
        """Answer the first queries within ``most`` requests; None for the others.

        A batch that the server does not take counts too; further pages do not. One
        that took none is not tried anew here, where each request counts.
        """
        results: list[SearchResult | None] = []
        while most > 0 and len(results) < len(queries):
            some = queries[len(results) :][: self._batches.entries]
            found = None
            if not self._batches.refused:
                found = self._fetch_batch(some)
                most -= 1
            if found is None:
                some = some[:most]
                found = dict(self._fetch_singly(some))
                most -= len(some)
            results += [found[query] for query in some]
        return (*results, *[None] * (len(queries) - len(results)))

    def _fetch_batch(self, queries: Sequence[str]) -> dict[str, SearchResult] | None:
        parts = self._batches.fetch_parts(queries)
        if parts is None:
            return None
        return dict(zip(queries, map(self._read_part, queries, parts), strict=True))

    def _fetch_singly(
        self, queries: Sequence[str]
    ) -> Iterator[tuple[str, SearchResult]]:
        pool = ThreadPoolExecutor(max_workers=self._limits.workers)
        try:
            asked = {pool.submit(self._fetch_one, query): query for query in queries}
            open_, done = set(asked), set(asked)
            while open_ and done:
                left = self._limits.left
                patience = None if math.isinf(left) else left
                done, open_ = wait(open_, patience, FIRST_COMPLETED)
                yield from ((asked[each], each.result()) for each in done)
            yield from ((asked[each], _late()) for each in open_)
        finally:
            # What was sent ends by its own limit; whoever waited for it is gone.
            pool.shutdown(wait=False, cancel_futures=True)


def _late() -> SearchResult:
    return SearchResult((), complete=False, outcomes=(write_outcome(None),))
