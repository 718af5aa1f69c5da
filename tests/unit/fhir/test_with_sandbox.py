"""The client, its tokens and discovery against a strict server: the sandbox."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import requests

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import FhirError
from middleware.fhir.client import FhirClient
from middleware.fhir.connecting import open_client
from middleware.fhir.discovery import fetch_capabilities, fetch_smart_configuration
from middleware.fhir.keys import SigningKeys
from middleware.sandbox.server import Running

NUMBERS = itertools.count()


@dataclass(frozen=True)
class SandboxTime:
    """The sandbox's own clock, so that ours moves with it."""

    url: str

    def now(self) -> datetime:
        answer = requests.get(f"{self.url}/sandbox/clock", timeout=30).json()
        return datetime.fromisoformat(answer["now"])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with Running() as running:
        yield running


@pytest.fixture(params=["ES384", "RS384"])
def client(
    request: pytest.FixtureRequest, sandbox: Running, keys: SigningKeys
) -> Iterator[FhirClient]:
    url = sandbox.base_url
    registration = {
        "client_id": "carecue",
        "client_name": "CareCue",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": keys.public_jwks(),
        "scope": "system/*.cruds",
    }
    requests.put(f"{url}/sandbox/clients", json=registration, timeout=30)
    backend = BackendClient(
        "carecue", f"{url}/oauth/token", "system/*.cruds", request.param
    )
    endpoint = Endpoint(
        id="e",
        name="E",
        kind=EndpointKind.SANDBOX,
        fhir_base=f"{url}/fhir",
        backend=backend,
        app=AppClient(),
        site=Site(name="S", phone="", booking_url="", zone="UTC"),
    )
    opened = open_client(endpoint, keys, SandboxTime(url))
    yield opened
    opened.close()


def task() -> tuple[dict[str, Any], str]:
    number = next(NUMBERS)
    identifier = {"system": "urn:example:task", "value": str(number)}
    resource = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "identifier": [identifier],
    }
    return resource, f"identifier=urn:example:task|{number}"


def test_discovery_finds_the_server(sandbox: Running) -> None:
    base = f"{sandbox.base_url}/fhir"
    found = fetch_smart_configuration(base)
    assert found.token_endpoint == f"{sandbox.base_url}/oauth/token"
    assert found.signing_algorithms == ("RS384", "ES384")
    statement = fetch_capabilities(base, clock=SandboxTime(sandbox.base_url))
    assert statement["fhirVersion"] == "4.0.1"


def test_create_is_done_once_and_updates_need_the_version(client: FhirClient) -> None:
    resource, key = task()
    made = client.send_create(resource, if_none_exist=key)
    assert client.send_create(resource, if_none_exist=key) == made
    done = client.send_update({**made, "status": "completed"}, if_match="1")
    with pytest.raises(FhirError) as caught:
        client.send_update({**made, "status": "failed"}, if_match="1")
    assert (caught.value.status, caught.value.permanent) == (412, True)
    assert client.fetch_history(f"Task/{made['id']}") == (made, done)


def test_many_are_the_same_in_a_batch_and_one_by_one(client: FhirClient) -> None:
    resource, key = task()
    made = client.send_create(resource, if_none_exist=key)
    reference = f"Task/{made['id']}"
    queries = [
        reference,
        f"Task?{key}",
        f"{reference}/_history",
        "Task/missing",
        "Task?nonsense=1",
    ]
    batched = client.fetch_many(queries)
    assert batched[:3] == tuple(client.fetch_many([query])[0] for query in queries[:3])
    assert [result.complete for result in batched] == [True, True, True, False, False]
    codes = [result.outcomes[0]["issue"][0]["code"] for result in batched[3:]]
    assert codes == ["not-found", "processing"]


def test_pages_are_followed(client: FhirClient) -> None:
    whole = client.fetch_search("Patient?_count=1000")
    paged = client.fetch_search("Patient?_count=2")
    assert (whole.complete, paged.complete) == (True, True)
    assert len(whole.resources) > 2
    assert sorted(p["id"] for p in paged.resources) == sorted(
        p["id"] for p in whole.resources
    )


def test_tokens_that_were_revoked_or_ended_are_renewed(
    sandbox: Running, client: FhirClient
) -> None:
    url = sandbox.base_url
    (patient, *_) = client.fetch_search("Patient?_count=1").resources
    reference = f"Patient/{patient['id']}"
    requests.post(f"{url}/sandbox/tokens/revoke", timeout=30)
    assert client.fetch(reference) == patient
    requests.post(f"{url}/sandbox/clock", json={"advance_seconds": 7200}, timeout=30)
    assert client.fetch(reference) == patient
