"""The first poll that ever fails is told at once: what is wrong, and what to do.

Every fault is a real one of a server on loopback, or of the way there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mappings.endpoint import AppClient, BackendClient
from middleware.cli.main import main
from middleware.fhir.auth import BackendTokens
from middleware.fhir.client import FhirClient
from middleware.fhir.keys import SigningKeys
from middleware.fhir.transport import Limits
from middleware.sealing import create_key_file
from middleware.stages.reconcile import poll_endpoints
from middleware.storage import endpoints, inbox
from tests.certificates import issue, server_context
from tests.stages.world import ENDPOINT, World
from tests.unit.fhir.scripted import Reply, Script, bundle, make_handler, serve

NOWHERE = f"http://{'x' * 64}.example/fhir"
TYPES = ("Appointment", "CarePlan", "Encounter")
LIMITS = Limits(attempts=1)
BACKEND = BackendClient("carecue", None, "system/*.rs")
CHECK = "`carecue endpoint check north` tries each step and says what to do."


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return SigningKeys.generate()


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as found:
        yield found


@pytest.fixture
def site(world: World, keys: SigningKeys) -> Site:
    with world.database.tx() as tx:
        tx.execute("DELETE FROM poll_cursor")
    return Site(world, keys)


class Site:
    """One endpoint at an address, polled as it would be."""

    def __init__(self, world: World, keys: SigningKeys) -> None:
        self._world, self._keys = world, keys

    def poll(self, base: str, **changes: Any) -> list[inbox.Poll]:
        """Describe the endpoint, poll it once, and say how its types stand."""
        changes = {"backend": BACKEND, **changes}
        endpoint = replace(ENDPOINT, fhir_base=base, **changes)
        clock = self._world.clock
        tokens = BackendTokens(endpoint, self._keys, clock)
        client = FhirClient(
            base, tokens.token, clock=clock, limits=LIMITS, timeout=(2.0, 0.5)
        )
        with self._world.database.tx() as tx:
            endpoints.update_endpoint(tx, endpoint)
        poll_endpoints(replace(self._world.context, fhir=lambda _: client))
        client.close()
        with self._world.database.tx() as tx:
            return inbox.list_polls(tx, ENDPOINT.id, TYPES)


def fault_of(polls: list[inbox.Poll]) -> str:
    """Return the Encounter's fault; every type has one, and none was read."""
    assert [poll.resource_type for poll in polls] == list(TYPES)
    assert all(poll.error and poll.read_at is None for poll in polls)
    return str(polls[-1].error)


@pytest.mark.parametrize(
    ("status", "named", "todo"),
    [
        (401, "answered 401", "compare token_url, client_id and scope in [backend]"),
        (403, "answered 403", "have the scope system/Encounter.rs granted"),
        (404, "answered 404", "fhir_base is wrong, or the server has no Encounter"),
        (503, "answered 503", ""),
    ],
)
def test_a_refusal_is_named_with_its_remedy(
    site: Site, script: Script, status: int, named: str, todo: str
) -> None:
    script.then(Reply(status, b"<html>no</html>", {"Content-Type": "text/html"}))
    backend = replace(BACKEND, token_url=f"{script.base}/token")
    token = {"access_token": "t", "token_type": "bearer", "expires_in": 300}
    refused = script.answer

    def answer(asked: Any) -> Reply:
        return Reply(200, token) if asked.method == "POST" else refused(asked)

    script.answer = answer
    fault = fault_of(site.poll(script.base, backend=backend))
    assert named in fault
    assert todo in fault
    assert fault.endswith(CHECK)


def test_a_client_that_the_authorization_server_does_not_know(
    site: Site, script: Script
) -> None:
    script.then(Reply(401, {"error": "invalid_client"}))
    backend = replace(BACKEND, token_url=f"{script.base}/token")
    fault = fault_of(site.poll(script.base, backend=backend))
    assert "The authorization server refused us (invalid_client)" in fault
    assert "check the registration of this client, its keys and scopes" in fault
    assert "does not accept our token" not in fault


def test_a_server_that_wants_a_token_where_none_is_set(
    site: Site, script: Script
) -> None:
    script.then(Reply(401))
    assert "write [backend]" in fault_of(site.poll(script.base))


def test_a_name_that_nobody_knows(site: Site) -> None:
    fault = fault_of(site.poll(NOWHERE))
    assert "its host name is not known here (DNS)" in fault
    assert fault.endswith(CHECK)


def test_a_port_where_nobody_listens(site: Site) -> None:
    fault = fault_of(site.poll("http://127.0.0.1:9/fhir"))
    assert "nothing listens at its port" in fault


def test_a_server_that_is_silent(site: Site, script: Script) -> None:
    script.then(Reply(raw=lambda _: script.released.wait(30)))
    fault = fault_of(site.poll(script.base))
    assert "no answer came in time" in fault


def test_a_certificate_of_nobody_known(site: Site, tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), make_handler(Script()))
    context = server_context(issue(None, host="localhost"), tmp_path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        base = f"https://localhost:{server.server_port}/fhir"
        fault = fault_of(site.poll(base))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "its certificate is not accepted (TLS: self-signed certificate)" in fault


def test_the_fault_is_gone_once_a_poll_comes_to_its_end(
    site: Site, script: Script
) -> None:
    script.then(Reply(404))
    fault_of(site.poll(script.base))
    script.then(Reply(200, bundle()))
    polls = site.poll(script.base)
    assert [poll.error for poll in polls] == [None] * 3
    assert all(poll.read_at for poll in polls)
    script.then(Reply(404))
    assert all(poll.error and poll.read_at for poll in site.poll(script.base))


def test_a_server_of_the_app_alone_is_asked_once_an_hour(
    site: Site, script: Script, world: World
) -> None:
    script.then(Reply(401))
    alone: dict[str, Any] = {"backend": BackendClient(), "app": AppClient("carecue")}
    fault_of(site.poll(script.base, **alone))
    asked = len(script.asked)
    world.clock.instant += timedelta(minutes=59)
    site.poll(script.base, **alone)
    assert len(script.asked) == asked
    world.clock.instant += timedelta(minutes=2)
    site.poll(script.base, **alone)
    assert len(script.asked) == 2 * asked


def test_the_command_tells_it(
    site: Site,
    script: Script,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_key_file(tmp_path / "secret.key")
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path))
    script.then(Reply(404))
    site.poll(script.base)
    run = CliRunner().invoke
    said = run(main, ["endpoint", "status", "north"]).stdout
    assert "! Encounter: never read, last try 2026-11-20T23:00:00+00:00. " in said
    assert f"compare {script.base} with what the EHR's team gave you" in said
    told = run(main, ["endpoint", "status", "north", "--json"]).stdout
    polls = orjson.loads(told.splitlines()[-1])["polls"]
    assert [poll["resource_type"] for poll in polls] == list(TYPES)
    assert all("answered 404" in poll["error"] for poll in polls)
    site.poll(script.base, backend=BackendClient(), app=AppClient("carecue"))
    said = run(main, ["endpoint", "status", "north"]).stdout
    assert said.startswith("No events are read here: no [backend] is written")
    assert "!" not in said
