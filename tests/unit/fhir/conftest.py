"""A scripted server and a client that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from tests.unit.fhir.scripted import NOW, QUICK, Script, serve


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


@pytest.fixture
def client(script: Script) -> Iterator[FhirClient]:
    made = FhirClient(
        script.base, lambda: "SECRET-TOKEN", clock=FixedClock(NOW), limits=QUICK
    )
    yield made
    made.close()
