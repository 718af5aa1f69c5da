"""Several reads and searches in one round trip, where the server takes a batch.

It sends GETs only and reads no resource. Source: FHIR R4 http.html,
batch/transaction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mappings.errors import FhirError, ReferenceRefusedError
from middleware.fhir.abilities import Abilities
from middleware.fhir.addresses import read_query
from middleware.fhir.bundles import list_entries
from middleware.fhir.faults import Answer, read_outcome
from middleware.fhir.transport import Request, Transport

# The server takes no batches at all; this one it did not take.
_NO_BATCH = {403, 404, 405, 415, 501}
_NOT_THIS_BATCH = {400, 406, 412, 413, 422, 500}
_GONE = {404, 410}


@dataclass(frozen=True)
class Part:
    """One answer inside a batch-response; ``status`` None when it is unreadable."""

    status: int | None
    resource: dict[str, Any] | None

    @property
    def succeeded(self) -> bool:
        """Tell whether there is a status of 200 to 299 and a resource."""
        status = self.status or 0
        return 200 <= status < 300 and self.resource is not None


class Batches:
    """Sends batches to one base until the server shows that it takes none."""

    def __init__(self, base: str, transport: Transport, abilities: Abilities) -> None:
        self._base = base
        self._transport = transport
        self._abilities = abilities

    @property
    def taken(self) -> bool:
        """Tell whether the next batch would be sent."""
        return self._abilities.batches

    @property
    def refused(self) -> bool:
        """Tell whether the server took none when it was last asked."""
        return self._abilities.refused

    @property
    def entries(self) -> int:
        """Return how many entries the next batch may have."""
        return self._abilities.entries

    def fetch_parts(self, queries: Sequence[str]) -> tuple[Part, ...] | None:
        """Return one part per query; None when they must be asked one by one.

        Raises FhirError when the server cannot be asked at all.
        """
        if not self.taken:
            return None
        began = time.monotonic()
        try:
            wanted = [read_query(self._base, query) for query in queries]
            answer = self._send(wanted)
        except ReferenceRefusedError:
            return None
        except FhirError as error:
            if error.status in _NO_BATCH:
                self._abilities.note_refused()
            elif error.status in _NOT_THIS_BATCH or error.permanent:
                self._abilities.note_odd(len(queries))
            else:
                self._abilities.note_silent()
                raise
            return None
        if answer is None:
            self._abilities.note_refused()
            return None
        parts = read_batch(answer.body, len(queries))
        if parts is None:
            self._abilities.note_odd(len(queries))
        else:
            self._abilities.note_taken(len(queries), time.monotonic() - began)
        return parts

    def _send(self, queries: Sequence[str]) -> Answer | None:
        """Return the answer to a batch; None where only its reads are let through.

        Some gateways know no POST of the base and answer it 401. A single read by the
        same token shows whether that is so, before the token is given up and after.
        """
        body, what = write_batch(queries), "a batch of reads"
        for keeps in (True, False):
            request = Request(
                "POST", self._base, what, body, repeatable=True, keeps_token=keeps
            )
            try:
                return self._transport.exchange(request)
            except FhirError as error:
                if error.status != 401:
                    raise
                if self._reads(queries, renewed=not keeps):
                    return None
                if not keeps:
                    raise
        return None

    def _reads(self, queries: Sequence[str], *, renewed: bool) -> bool:
        """Tell whether one of these, asked by itself, is answered with this token."""
        query = next((one for one in queries if "?" not in one), queries[0])
        url, what = f"{self._base}/{query}", "a single read beside a batch"
        try:
            self._transport.exchange(Request("GET", url, what, keeps_token=True))
        except FhirError as error:
            # Whoever has a new token and is told that it is not there was let in.
            return renewed and error.status in _GONE
        return True


def write_batch(queries: Sequence[str]) -> dict[str, Any]:
    """Return a batch Bundle of GETs, one entry per query."""
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": query}} for query in queries],
    }


def read_batch(bundle: Mapping[str, Any] | None, count: int) -> tuple[Part, ...] | None:
    """Return the parts in order; None when this is no answer to ``count`` queries."""
    if bundle is None or bundle.get("resourceType") != "Bundle":
        return None
    entries = list_entries(bundle)
    if len(entries) != count:
        return None
    return tuple(_read_part(entry) for entry in entries)


def _read_part(entry: Any) -> Part:
    if not isinstance(entry, dict):
        return Part(None, None)
    response = entry.get("response")
    response = response if isinstance(response, dict) else {}
    digits = str(response.get("status") or "")[:3]
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        resource = read_outcome(response.get("outcome") or None)
    return Part(int(digits) if digits.isdecimal() else None, resource)
