"""A launch as the web process is wired, at a site with an authority of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from middleware.clock import FixedClock
from middleware.storage.endpoints import insert_endpoint
from middleware.wiring.apps import make_public_app
from middleware.wiring.runtime import Runtime
from tests.certificates import Issued, issue, server_context
from tests.unit.smart_app.ehr import CLIENT, Ehr

ELSEWHERE = "sign-in.test"

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(None)


@pytest.fixture
def ehr(authority: Issued, clock: FixedClock, tmp_path: Path) -> Iterator[Ehr]:
    issued = issue(authority, host="localhost", also=ELSEWHERE)
    context = server_context(issued, tmp_path)
    served = Ehr(clock, context)
    yield served
    served.stop()


def launch(runtime: Runtime, ehr: Ehr, profile: dict[str, Any]) -> tuple[int, str]:
    """Walk as far as the EHR lets us; return the last status and what came."""
    endpoint = Endpoint(
        id="north",
        name="North",
        kind=EndpointKind.TEST,
        fhir_base=ehr.base,
        backend=BackendClient(),
        app=AppClient(client_id=CLIENT, authentication="none"),
        site=Site("Northside", "(312) 555-0100", "example.org", "America/Chicago"),
        profile=profile,
    )
    with runtime.database.tx() as tx:
        insert_endpoint(tx, endpoint, runtime.clock.now())
    browser = make_public_app(runtime).test_client()
    asked = {"iss": ehr.base, "launch": "opaque-1"}
    answer = browser.get("/smart/launch", query_string=asked)
    if answer.status_code == 303:
        code, state = ehr.approve(answer.location), ehr.state(answer.location)
        answer = browser.get(f"/smart/callback?code={code}&state={state}")
        if (answer.location or "").startswith("/smart/failed/"):
            answer = browser.get(answer.location)
    return answer.status_code, answer.location or answer.text


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@1-318")
def test_everything_that_a_launch_asks_trusts_the_sites_own_authority(
    runtime: Runtime, ehr: Ehr, authority: Issued, tmp_path: Path
) -> None:
    trusted = str(authority.save(tmp_path, "authority"))
    status, came = launch(runtime, ehr, {"ca_file": trusted})
    assert (status, came[:3]) == (303, "/l/"), came
    assert {
        "GET /fhir/.well-known/smart-configuration",
        "POST /token",
        "GET /jwks",
        "GET /fhir/Patient/rosa",
    } <= set(ehr.log)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@1-318")
def test_an_authority_that_nobody_named_is_not_trusted(
    runtime: Runtime, ehr: Ehr
) -> None:
    status, came = launch(runtime, ehr, {})
    assert status == 502
    assert "D1" in came
    assert ehr.log == []


def test_a_token_answer_beyond_its_limit_is_not_read(
    runtime: Runtime, ehr: Ehr, authority: Issued, tmp_path: Path
) -> None:
    ehr.answer = {"padding": "x" * 300_000}
    trusted = str(authority.save(tmp_path, "authority"))
    status, came = launch(runtime, ehr, {"ca_file": trusted})
    assert (status, "T1" in came) == (502, True), came
    assert ehr.log[-1] == "POST /token"


def test_a_code_is_not_sent_where_a_redirect_points(
    runtime: Runtime, ehr: Ehr, authority: Issued, tmp_path: Path
) -> None:
    ehr.moved = "/jwks"
    trusted = str(authority.save(tmp_path, "authority"))
    status, came = launch(runtime, ehr, {"ca_file": trusted})
    assert (status, "T1" in came) == (502, True), came
    assert ehr.log[-1] == "POST /token"


@pytest.mark.parametrize("private", [False, True])
def test_a_code_goes_to_this_machine_only_where_that_was_written_down(
    runtime: Runtime,
    ehr: Ehr,
    authority: Issued,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    private: bool,
) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *values: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == ELSEWHERE else host, *values, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = ehr.origin.rpartition(":")[2]
    ehr.configuration = {"token_endpoint": f"https://{ELSEWHERE}:{port}/token"}
    profile = {
        "ca_file": str(authority.save(tmp_path, "authority")),
        "authorization_hosts": [ELSEWHERE],
        "private_network": private,
    }
    status, came = launch(runtime, ehr, profile)
    assert ("POST /token" in ehr.log) is private
    assert (status, "T1" in came) == ((303, False) if private else (502, True)), came
