"""Our receiver and our app, and servers that do as they are told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from middleware.clock import FixedClock
from middleware.fhir.keys import SigningKeys
from tests.conformance.clinic import Clinic, open_clinic, secrets_of
from tests.conformance.hostile import HostileEhr
from tests.conformance.server import FhirServer
from tests.product import Product, open_product


@pytest.fixture
def product(database_url: str, tmp_path: Path) -> Iterator[Product]:
    """Our receiver over an empty database."""
    with open_product(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def serve() -> Iterator[Callable[..., FhirServer]]:
    """Start servers; they end with the test."""
    with ExitStack() as stack:

        def start(*arguments: Any) -> FhirServer:
            return stack.enter_context(FhirServer(*arguments))

        yield start


@pytest.fixture
def ehr(clock: FixedClock) -> Iterator[HostileEhr]:
    """An EHR that is strict until told otherwise; our client may do nothing wrong."""
    with HostileEhr(clock) as served:
        yield served
    assert served.faults == []


@pytest.fixture
def elsewhere(clock: FixedClock) -> Iterator[HostileEhr]:
    """A server that nobody has registered."""
    with HostileEhr(clock, "localhost") as served:
        yield served


@pytest.fixture
def clinic(
    database_url: str,
    tmp_path: Path,
    clock: FixedClock,
    keys: SigningKeys,
    ehr: HostileEhr,
    own_logging: None,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Clinic]:
    """The app as it ships, at a clinic whose EHR is ``ehr``.

    Whatever a test does to it, nothing secret may stand in its logs.
    """
    with open_clinic(database_url, tmp_path, clock, keys, ehr) as opened:
        # The runtime took the root's handlers for its own.
        root = logging.getLogger()
        root.addHandler(caplog.handler)
        root.setLevel(logging.DEBUG)
        yield opened
        root.removeHandler(caplog.handler)
        told = "".join(repr(vars(one)) for one in caplog.get_records("call"))
        assert [one for one in secrets_of(opened, ehr) if one and one in told] == []
