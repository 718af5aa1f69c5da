from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import FhirError
from middleware.fhir.client import FhirClient
from tests.unit.fhir.scripted import Reply, Script, encounter


def history(*entries: Any, next_url: str | None = None) -> dict[str, Any]:
    links = [{"relation": "next", "url": next_url}] if next_url else []
    return {
        "resourceType": "Bundle",
        "type": "history",
        "link": links,
        "entry": list(entries),
    }


def version(number: str) -> dict[str, Any]:
    return {"resource": encounter("e1", number), "request": {"method": "PUT"}}


DELETE = {
    "fullUrl": "http://x/fhir/Encounter/e1",
    "request": {"method": "DELETE", "url": "Encounter/e1"},
    "response": {"etag": 'W/"11"', "lastModified": "2026-03-01T00:00:00Z"},
}


def test_fetch_history_returns_all_versions_oldest_first(
    script: Script, client: FhirClient
) -> None:
    script.then(
        Reply(200, history(DELETE, version("10"), next_url=f"{script.base}?p=2")),
        Reply(200, history(version("9"), version("2"))),
    )
    assert client.fetch_history("Encounter/e1") == (
        encounter("e1", "2"),
        encounter("e1", "9"),
        encounter("e1", "10"),
        {
            "resourceType": "Encounter",
            "id": "e1",
            "meta": {"versionId": "11", "lastUpdated": "2026-03-01T00:00:00Z"},
            "_deleted": True,
        },
    )


def test_fetch_history_with_opaque_versions_turns_the_servers_order(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, history(version("b"), version("a"))))
    assert client.fetch_history("Encounter/e1") == (
        encounter("e1", "a"),
        encounter("e1", "b"),
    )


def test_fetch_history_incomplete_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, history(version("2"), next_url="http://evil.example/x")))
    with pytest.raises(FhirError, match="incomplete") as caught:
        client.fetch_history("Encounter/e1")
    assert not caught.value.permanent


def test_fetch_history_of_another_resource_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, history({"resource": encounter("e2", "1")})))
    with pytest.raises(FhirError, match="incomplete"):
        client.fetch_history("Encounter/e1")


def test_fetch_history_of_a_server_without_it_is_the_current_version(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(405), Reply(200, encounter("e1", "4")))
    assert client.fetch_history("Encounter/e1") == (encounter("e1", "4"),)
    assert client.fetch_history("Encounter/e1") == (encounter("e1", "4"),)
    assert script.lines == [
        "GET /fhir/Encounter/e1/_history",
        "GET /fhir/Encounter/e1",
        "GET /fhir/Encounter/e1",
    ]


def test_fetch_history_of_a_missing_resource_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(404))
    with pytest.raises(FhirError) as caught:
        client.fetch_history("Encounter/e1")
    assert caught.value.status == 404


def test_fetch_search_reads_the_history_of_a_type(
    script: Script, client: FhirClient
) -> None:
    other = {"resource": encounter("e2", "1")}
    script.then(Reply(200, history(version("3"), other)))
    result = client.fetch_search("Encounter/_history?_since=2026-01-01T00:00:00Z")
    assert result.resources == (encounter("e2", "1"), encounter("e1", "3"))
    assert result.complete
