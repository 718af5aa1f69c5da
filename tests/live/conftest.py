"""The HAPI FHIR server of the live tests, one for the session."""

import os

import pytest

from tests.live import hapi_server


@pytest.fixture(scope="session")
def hapi(tmp_path_factory):
    """A running server; skips where Java or Maven is absent and not required."""
    missing = hapi_server.missing_tools()
    if missing:
        line = f"no {' and no '.join(missing)}: {hapi_server.HOW_TO_GET}"
        if "hapi" in os.environ.get("CARECUE_REQUIRE", "").split(","):
            pytest.fail(line)
        pytest.skip(line)
    server = hapi_server.HapiServer(tmp_path_factory.mktemp("hapi"))
    server.build()
    server.start()
    yield server
    server.stop()
