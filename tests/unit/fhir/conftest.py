"""A scripted server and a client that talks to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from tests.unit.fhir.scripted import NOW, QUICK, QuietServer, Script, make_handler


@pytest.fixture
def script() -> Iterator[Script]:
    scripted = Script()
    server = QuietServer(("127.0.0.1", 0), make_handler(scripted))
    scripted.base = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield scripted
    scripted.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(script: Script) -> Iterator[FhirClient]:
    made = FhirClient(
        script.base, lambda: "SECRET-TOKEN", clock=FixedClock(NOW), limits=QUICK
    )
    yield made
    made.close()
