from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import FhirError, ReferenceRefusedError, UnlocatedError
from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from tests.unit.fhir.scripted import NOW, QUICK, Asked, Reply, Script, bundle

TASK = {"resourceType": "Task", "status": "requested"}
STANDING: dict[str, Any] = {**TASK, "id": "t1", "meta": {"versionId": "1"}}
KEY = "identifier=urn:x|1"


def test_send_create_returns_what_stands(script: Script, client: FhirClient) -> None:
    script.then(Reply(201, STANDING))
    assert client.send_create(TASK, if_none_exist=KEY) == STANDING
    asked = script.asked[0]
    assert (asked.method, asked.path, asked.json) == ("POST", "/fhir/Task", TASK)
    assert asked.headers["If-None-Exist"] == KEY
    assert asked.headers["Content-Type"] == "application/fhir+json"


def test_send_create_with_an_empty_answer_reads_the_location(
    script: Script, client: FhirClient
) -> None:
    location = f"{script.base}/Task/t1/_history/1"
    script.then(Reply(201, None, {"Location": location}), Reply(200, STANDING))
    assert client.send_create(TASK) == STANDING
    assert script.lines == ["POST /fhir/Task", "GET /fhir/Task/t1"]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_send_create_was_done_though_what_stands_may_not_be_read(
    script: Script, client: FhirClient, status: int
) -> None:
    location = f"{script.base}/Task/t1/_history/1"
    script.answer = lambda asked: (
        Reply(201, None, {"Location": location})
        if asked.method == "POST"
        else Reply(status)
    )
    assert client.send_create(TASK) == {"resourceType": "Task", "id": "t1"}
    assert script.lines.count("POST /fhir/Task") == 1


@pytest.mark.parametrize("severity", ["information", None])
@pytest.mark.parametrize("status", [201, 202])
def test_send_create_that_was_taken_without_a_place_says_so(
    script: Script, client: FhirClient, status: int, severity: str | None
) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity}]}
    script.then(Reply(status, outcome if severity else None))
    with pytest.raises(UnlocatedError):
        client.send_create(TASK)


def test_send_create_that_was_answered_with_an_error_was_not_taken(
    script: Script, client: FhirClient
) -> None:
    issue = {"severity": "error", "code": "processing"}
    script.then(Reply(200, {"resourceType": "OperationOutcome", "issue": [issue]}))
    with pytest.raises(FhirError) as caught:
        client.send_create(TASK)
    assert not isinstance(caught.value, UnlocatedError)
    assert not caught.value.permanent


def test_send_create_is_not_repeated_where_the_server_knows_no_condition(
    script: Script,
) -> None:
    """The search before it found nothing; a second one would make two."""
    script.answer = lambda asked: (
        Reply(200, bundle()) if asked.method == "GET" else Reply(503)
    )
    client = FhirClient(
        script.base,
        lambda: None,
        clock=FixedClock(NOW),
        limits=QUICK,
        search_first=True,
    )
    with pytest.raises(FhirError):
        client.send_create(TASK, if_none_exist=KEY)
    assert script.lines.count("POST /fhir/Task") == 1


def test_send_create_does_not_follow_a_foreign_location(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(201, None, {"Location": "http://evil.example/fhir/Task/t1"}))
    with pytest.raises(ReferenceRefusedError):
        client.send_create(TASK)
    assert len(script.asked) == 1


def test_send_create_without_a_condition_is_not_repeated(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(503))
    with pytest.raises(FhirError):
        client.send_create(TASK)
    assert len(script.asked) == 1


def test_send_create_with_a_condition_is_repeated(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(raw=lambda _: None), Reply(200, STANDING))
    assert client.send_create(TASK, if_none_exist=KEY) == STANDING
    assert len(script.asked) == 2


def test_send_create_with_several_matches_is_permanent(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(412))
    with pytest.raises(FhirError) as caught:
        client.send_create(TASK, if_none_exist=KEY)
    assert caught.value.permanent


@pytest.mark.parametrize("found", [True, False])
def test_send_create_searches_first_where_the_server_cannot(
    script: Script, found: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply(200, bundle(STANDING) if found else bundle())
        return Reply(201, {**STANDING, "id": "t2"})

    script.answer = answer
    client = FhirClient(
        script.base,
        lambda: None,
        clock=FixedClock(NOW),
        limits=QUICK,
        search_first=True,
    )
    expected = STANDING if found else {**STANDING, "id": "t2"}
    assert client.send_create(TASK, if_none_exist=KEY) == expected
    assert script.lines[0] == "GET /fhir/Task?identifier=urn:x%7C1"
    assert len(script.asked) == (1 if found else 2)


def test_send_update_sends_the_version(script: Script, client: FhirClient) -> None:
    script.then(Reply(200, {**STANDING, "meta": {"versionId": "4"}}))
    updated = client.send_update(STANDING, if_match="3")
    assert updated["meta"]["versionId"] == "4"
    asked = script.asked[0]
    assert (asked.method, asked.path) == ("PUT", "/fhir/Task/t1")
    assert asked.headers["If-Match"] == 'W/"3"'


def test_send_update_with_an_empty_answer_reads_back(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200), Reply(200, STANDING))
    assert client.send_update(STANDING) == STANDING


@pytest.mark.parametrize("identifier", [None, "..", "a/b", "a?b"])
def test_send_update_with_a_bad_id_sends_nothing(
    script: Script, client: FhirClient, identifier: object
) -> None:
    with pytest.raises(ReferenceRefusedError):
        client.send_update({**TASK, "id": identifier})
    assert script.lines == []


def test_send_update_of_a_changed_resource_is_permanent(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(412))
    with pytest.raises(FhirError) as caught:
        client.send_update(STANDING, if_match="3")
    assert (caught.value.status, caught.value.permanent) == (412, True)


def test_send_create_carries_headers_of_its_own(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(201, STANDING))
    client.send_create(TASK, headers={"X-Hub-Secret": "s"})
    assert script.asked[0].headers["X-Hub-Secret"] == "s"


def test_send_delete_says_when_it_is_gone(script: Script, client: FhirClient) -> None:
    script.then(Reply(204), Reply(404))
    client.send_delete("Task/t1")
    with pytest.raises(FhirError) as raised:
        client.send_delete("Task/t1")
    assert raised.value.status == 404
    assert script.lines == ["DELETE /fhir/Task/t1"] * 2
    with pytest.raises(ReferenceRefusedError):
        client.send_delete("http://evil.example/fhir/Task/t1")
