"""The HAPI FHIR servers of the live tests, and our receiver beside them."""

import os

import pytest

from tests.live import hapi_server
from tests.product import open_product


def start_server(folder, version):
    """A running server; skips where Java or Maven is absent and not required."""
    missing = hapi_server.missing_tools()
    if missing:
        line = f"no {' and no '.join(missing)}: {hapi_server.HOW_TO_GET}"
        if "hapi" in os.environ.get("CARECUE_REQUIRE", "").split(","):
            pytest.fail(line)
        pytest.skip(line)
    server = hapi_server.HapiServer(folder, version=version)
    server.build()
    server.start()
    return server


@pytest.fixture(scope="session")
def hapi(tmp_path_factory):
    """The R4 server, one for the session."""
    server = start_server(tmp_path_factory.mktemp("hapi"), "R4")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def hapi_r4b(tmp_path_factory):
    """An R4B server."""
    server = start_server(tmp_path_factory.mktemp("hapi-r4b"), "R4B")
    yield server
    server.stop()


@pytest.fixture
def product(database_url, tmp_path):
    """Our receiver over an empty database."""
    with open_product(database_url, tmp_path) as product:
        yield product
