"""Our receiver, and a FHIR server that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

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
