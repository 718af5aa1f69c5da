"""Many reads of one server at once: in batches, else side by side in a few threads.

Answers come in the order of the queries, whatever the order they came in; one that
fails spoils no other. It knows no resource.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

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
        results: list[SearchResult] = []
        while len(results) < len(queries):
            size = self._batches.entries
            some = queries[len(results) : len(results) + size]
            found = self._fetch_batch(some) if len(some) > 1 else None
            if found is None and len(some) > self._batches.entries:
                # That was too much for it at once; smaller batches may go.
                continue
            results += self._fetch_each(some) if found is None else found
        return tuple(results)

    def fetch_first(
        self, queries: Sequence[str], most: int
    ) -> tuple[SearchResult | None, ...]:
        """Answer the first queries within ``most`` requests; None for the others.

        A batch that the server does not take counts too; further pages do not. One
        that took none is not tried anew here, where each request counts.
        """
        results: list[SearchResult | None] = []
        while most > 0 and len(results) < len(queries):
            rest, found = queries[len(results) :], None
            if not self._batches.refused:
                found = self._fetch_batch(rest[: self._batches.entries])
                most -= 1
            if found is None:
                found = self._fetch_each(rest[:most])
                most -= len(found)
            results += found
        return (*results, *[None] * (len(queries) - len(results)))

    def _fetch_batch(self, queries: Sequence[str]) -> list[SearchResult] | None:
        parts = self._batches.fetch_parts(queries)
        if parts is None:
            return None
        return list(map(self._read_part, queries, parts))

    def _fetch_each(self, queries: Sequence[str]) -> list[SearchResult]:
        pool = ThreadPoolExecutor(max_workers=self._limits.workers)
        try:
            asked = [pool.submit(self._fetch_one, query) for query in queries]
            left = self._limits.left
            wait(asked, timeout=None if math.isinf(left) else left)
            return [each.result() if each.done() else _late() for each in asked]
        finally:
            # What was sent ends by its own limit; whoever waited for it is gone.
            pool.shutdown(wait=False, cancel_futures=True)


def _late() -> SearchResult:
    return SearchResult((), complete=False, outcomes=(write_outcome(None),))
