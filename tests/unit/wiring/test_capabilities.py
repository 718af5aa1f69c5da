"""What an EHR takes: asked once an hour; one that is away is not one that takes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import FhirError
from middleware.clock import FixedClock
from middleware.wiring.pipeline import ASK_AGAIN, STATEMENT_AGE, capability_reader
from middleware.wiring.runtime import Runtime
from tests.unit.fhir.scripted import Reply, Script, serve

STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


@pytest.fixture
def ehr(script: Script) -> Endpoint:
    return Endpoint(
        id="north",
        name="North",
        kind=EndpointKind.TEST,
        fhir_base=script.base,
        backend=BackendClient(),
        app=AppClient(),
        site=Site("Northside", "(312) 555-0100", "example.org", "America/Chicago"),
        profile={"private_network": True},
    )


@pytest.fixture
def read(runtime: Runtime) -> Callable[[Endpoint], object]:
    return capability_reader(runtime)


@pytest.mark.parametrize("reply", [Reply(503), Reply(raw=lambda _: None)])
def test_an_ehr_that_is_away_is_asked_again_soon(
    read: Callable[[Endpoint], object],
    ehr: Endpoint,
    script: Script,
    clock: FixedClock,
    reply: Reply,
) -> None:
    script.answer = lambda _: reply
    for _ in range(2):
        with pytest.raises(FhirError):
            read(ehr)
    asked = len(script.asked)
    script.answer = lambda _: Reply(200, STATEMENT)
    with pytest.raises(FhirError):
        read(ehr)
    assert len(script.asked) == asked
    clock.instant += ASK_AGAIN
    assert read(ehr) == STATEMENT


def test_what_it_said_last_counts_while_it_is_away(
    read: Callable[[Endpoint], object], ehr: Endpoint, script: Script, clock: FixedClock
) -> None:
    script.answer = lambda _: Reply(200, STATEMENT)
    assert read(ehr) == STATEMENT
    script.answer = lambda _: Reply(500)
    clock.instant += STATEMENT_AGE + timedelta(seconds=1)
    assert read(ehr) == STATEMENT
    # A clock that went back asks anew.
    clock.instant -= timedelta(days=2)
    script.answer = lambda _: Reply(404)
    assert read(ehr) is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_ehr_that_says_nothing_is_asked_once_an_hour(
    read: Callable[[Endpoint], object],
    ehr: Endpoint,
    script: Script,
    clock: FixedClock,
    status: int,
) -> None:
    script.answer = lambda _: Reply(status)
    assert read(ehr) is None
    asked = len(script.asked)
    clock.instant += STATEMENT_AGE - timedelta(seconds=1)
    assert read(ehr) is None
    assert len(script.asked) == asked
    clock.instant += timedelta(seconds=1)
    script.answer = lambda _: Reply(200, STATEMENT)
    assert read(ehr) == STATEMENT
