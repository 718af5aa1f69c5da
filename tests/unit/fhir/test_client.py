from __future__ import annotations

import pytest

from mappings.errors import AuthorizationError, FhirError, ReferenceRefusedError
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from middleware.ports import SearchResult, transaction_scope
from tests.unit.fhir.scripted import (
    NOW,
    QUICK,
    Asked,
    Reply,
    Script,
    bundle,
    encounter,
    outcome,
)


def test_fetch_sends_the_token_and_returns_the_resource(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, encounter("e1")))
    assert client.fetch("Encounter/e1/_history/7") == encounter("e1")
    assert script.lines == ["GET /fhir/Encounter/e1"]
    assert script.asked[0].headers["Authorization"] == "Bearer SECRET-TOKEN"
    assert script.asked[0].headers["Accept"] == "application/fhir+json"


def test_fetch_elsewhere_sends_nothing(script: Script, client: FhirClient) -> None:
    with pytest.raises(ReferenceRefusedError):
        client.fetch("http://169.254.169.254/Patient/p1")
    assert script.lines == []


def test_fetch_of_another_resource_is_refused(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, encounter("other")))
    with pytest.raises(FhirError, match="another resource") as caught:
        client.fetch("Encounter/e1")
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(404, True), (410, True), (403, True), (400, True), (412, True), (409, False)],
)
def test_fetch_refused_carries_the_outcome_and_no_patient_data(
    script: Script, client: FhirClient, status: int, permanent: bool
) -> None:
    script.then(Reply(status, outcome("not-found")))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/jane-example")
    error = caught.value
    assert (error.status, error.permanent) == (status, permanent)
    assert error.outcome == outcome("not-found")
    assert f"{status} not-found to a read of Encounter" in str(error)
    assert "jane" not in str(error).lower()
    assert len(script.asked) == 1


def test_fetch_is_not_redirected(script: Script, client: FhirClient) -> None:
    script.then(Reply(302, None, {"Location": f"{script.base}/Encounter/e2"}))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.status, caught.value.permanent) == (302, True)
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_fetch_is_retried_after_a_passing_fault(
    script: Script, client: FhirClient, status: int
) -> None:
    script.then(Reply(status), Reply(status), Reply(200, encounter("e1")))
    assert client.fetch("Encounter/e1") == encounter("e1")
    assert len(script.asked) == 3


def test_fetch_gives_up_after_four_attempts(script: Script, client: FhirClient) -> None:
    script.then(Reply(503, outcome("transient")))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.status, caught.value.permanent) == (503, False)
    assert len(script.asked) == 4


def test_fetch_does_not_retry_500(script: Script, client: FhirClient) -> None:
    script.then(Reply(500))
    with pytest.raises(FhirError):
        client.fetch("Encounter/e1")
    assert len(script.asked) == 1


def test_fetch_waits_no_longer_than_its_budget(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(429, None, {"Retry-After": "3600"}))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert caught.value.retry_after == 3600.0
    assert len(script.asked) == 1


def test_fetch_reads_a_retry_after_date_by_the_servers_clock(
    script: Script, client: FhirClient
) -> None:
    script.then(
        Reply(503, None, {"Retry-After": "Mon, 01 Jan 2035 10:00:30 GMT"}),
    )
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.retry_after or 0) > 20


def test_fetch_after_a_lost_connection_is_retried(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(raw=lambda _: None), Reply(200, encounter("e1")))
    assert client.fetch("Encounter/e1") == encounter("e1")


def test_fetch_without_a_server_is_temporary() -> None:
    nobody = FhirClient(
        "http://127.0.0.1:1/fhir", lambda: None, clock=FixedClock(NOW), limits=QUICK
    )
    with pytest.raises(FhirError) as caught:
        nobody.fetch("Patient/p1")
    assert (caught.value.status, caught.value.permanent) == (None, False)
    assert "p1" not in str(caught.value)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@93")
def test_401_renews_the_token_once(script: Script) -> None:
    tokens, forgotten = [Secret("old"), Secret("new")], []

    def forget(token: Secret) -> None:
        forgotten.append(token)
        tokens.pop(0)

    def answer(asked: Asked) -> Reply:
        if asked.headers["Authorization"] == "Bearer new":
            return Reply(200, encounter("e1"))
        return Reply(401, outcome("login"))

    script.answer = answer
    client = FhirClient(
        script.base,
        lambda: tokens[0],
        clock=FixedClock(NOW),
        forget=forget,
        limits=QUICK,
    )
    assert client.fetch("Encounter/e1") == encounter("e1")
    assert (forgotten, len(script.asked)) == ([Secret("old")], 2)


def test_401_with_the_same_token_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(401))
    with pytest.raises(FhirError) as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.status, len(script.asked)) == (401, 1)


def test_no_token_is_a_fhir_error(script: Script) -> None:
    def refuse() -> str:
        raise AuthorizationError("refused (invalid_client)", permanent=True)

    client = FhirClient(script.base, refuse, clock=FixedClock(NOW), limits=QUICK)
    with pytest.raises(FhirError, match="invalid_client") as caught:
        client.fetch("Encounter/e1")
    assert (caught.value.status, script.lines) == (401, [])


def test_fetch_inside_a_transaction_is_a_programming_error(
    script: Script, client: FhirClient
) -> None:
    with transaction_scope(), pytest.raises(RuntimeError, match="transaction"):
        client.fetch("Encounter/e1")
    assert script.lines == []


def test_fetch_search_follows_pages_to_the_last(
    script: Script, client: FhirClient
) -> None:
    script.then(
        Reply(200, bundle(encounter("e1"), next_url=f"{script.base}?_getpages=x")),
        Reply(200, bundle(encounter("e2"), encounter("e1", "2"))),
    )
    result = client.fetch_search("Encounter?patient=Patient/p1")
    assert result == SearchResult((encounter("e1", "2"), encounter("e2")))
    assert script.lines == [
        "GET /fhir/Encounter?patient=Patient/p1",
        "GET /fhir?_getpages=x",
    ]


def test_fetch_search_without_pages_says_that_there_is_more(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, bundle(encounter("e1"), next_url=f"{script.base}?p=2")))
    result = client.fetch_search("Encounter?_count=1", follow_pages=False)
    assert result == SearchResult((encounter("e1"),), complete=False)


@pytest.mark.requirement("hl7.fhir.uv.smart-app-launch_2.2.0@98")
@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:1/fhir?p=2", "//evil.example/fhir", "/../admin"]
)
def test_fetch_search_does_not_follow_a_foreign_link(
    script: Script, client: FhirClient, link: str
) -> None:
    script.then(Reply(200, bundle(encounter("e1"), next_url=link)))
    result = client.fetch_search("Encounter?patient=p1")
    assert result == SearchResult((encounter("e1"),), complete=False)
    assert len(script.asked) == 1


def test_fetch_search_ends_a_loop_of_pages(script: Script, client: FhirClient) -> None:
    script.then(Reply(200, bundle(encounter("e1"), next_url=f"{script.base}?p=2")))
    result = client.fetch_search("Encounter?patient=p1")
    assert (result.complete, len(script.asked)) == (False, 2)


def test_fetch_search_caps_endless_pages(script: Script, client: FhirClient) -> None:
    def answer(_: Asked) -> Reply:
        number = len(script.asked)
        link = f"{script.base}?p={number}"
        return Reply(200, bundle(encounter(f"e{number}"), next_url=link))

    script.answer = answer
    result = client.fetch_search("Encounter?patient=p1")
    assert (result.complete, len(result.resources)) == (False, 50)


def test_fetch_search_keeps_what_came_before_a_failed_page(
    script: Script, client: FhirClient
) -> None:
    script.then(
        Reply(200, bundle(encounter("e1"), next_url=f"{script.base}?p=2")),
        Reply(410, outcome("processing")),
    )
    result = client.fetch_search("Encounter?patient=p1")
    assert result == SearchResult(
        (encounter("e1"),), complete=False, outcomes=(outcome("processing"),)
    )


def test_fetch_search_collects_outcomes(script: Script, client: FhirClient) -> None:
    found = bundle(encounter("e1"), outcome("informational", "information"))
    found["entry"][1]["search"] = {"mode": "outcome"}
    script.then(Reply(200, found))
    result = client.fetch_search("Encounter?patient=p1")
    assert result == SearchResult(
        (encounter("e1"),), outcomes=(outcome("informational", "information"),)
    )


def test_fetch_search_with_an_error_outcome_is_incomplete(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, bundle(encounter("e1"), outcome("security"))))
    assert not client.fetch_search("Encounter?patient=p1").complete


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        [],
        {},
        {"resource": []},
        {"resource": {"id": "x"}},
        {"resource": {"resourceType": [], "id": "x"}},
        {"resource": {"resourceType": "Encounter", "id": []}},
        {"resource": {"resourceType": "Encounter"}},
    ],
)
def test_fetch_search_leaves_out_a_malformed_entry(
    script: Script, client: FhirClient, entry: object
) -> None:
    found = bundle(encounter("e1"))
    found["entry"].append(entry)
    script.then(Reply(200, found))
    result = client.fetch_search("Encounter?patient=p1")
    assert result == SearchResult((encounter("e1"),), complete=False)


def test_fetch_search_answered_with_an_outcome_is_incomplete(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, outcome("informational", "information")))
    result = client.fetch_search("Encounter?patient=p1")
    assert (result.resources, result.complete) == ((), False)
