"""A scripted server, a client that talks to it, and an EHR that is checked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from middleware.fhir.keys import SigningKeys
from tests.unit.fhir.checked_ehr import Ehr
from tests.unit.fhir.scripted import NOW, QUICK, Script, serve


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


@pytest.fixture
def client(script: Script) -> Iterator[FhirClient]:
    made = FhirClient(
        script.base, lambda: Secret("SECRET-TOKEN"), clock=FixedClock(NOW), limits=QUICK
    )
    yield made
    made.close()


@pytest.fixture
def ehr(script: Script, keys: SigningKeys) -> Ehr:
    return Ehr(script, keys)
