"""What `carecue bench launch` is measured beside: fhirclient, plainly used.

The same exchange and the same reads, one after the other, each read into the library's
models. It keeps, decides and shows nothing. It is part of the benchmark and of nothing
else: the only place that uses the library's own HTTP client.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from urllib.parse import quote

from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.practitioner import Practitioner

CLIENT_ID = "plain"
SAFE = "/?&=,$"


class Plain:
    """One launch, as the library's documentation does it."""

    def __init__(self, base: str, redirect: str, launch: str, scope: str) -> None:
        logging.getLogger("fhirclient").setLevel(logging.ERROR)
        self._smart = FHIRClient(
            settings={
                "app_id": CLIENT_ID,
                "api_base": base,
                "redirect_uri": redirect,
                "launch_token": launch,
                "scope": scope,
            }
        )
        self._smart.prepare()

    @property
    def authorize_url(self) -> str:
        """Return where the browser is sent."""
        return str(self._smart.authorize_url)

    def finish(self, url: str, user: str, queries: Sequence[str]) -> tuple[float, int]:
        """Exchange and read; return the seconds and the requests to the FHIR server."""
        began = perf_counter()
        self._smart.handle_callback(url)
        server: Any = self._smart.server
        assert self._smart.patient is not None
        Practitioner.read(user.partition("/")[2], server)
        for query in queries:
            try:
                Bundle.read_from(quote(query, safe=SAFE + "%"), server)
            except FHIRValidationError:
                # It came; that the library does not like it costs no round trip.
                continue
        return perf_counter() - began, 2 + len(queries)
