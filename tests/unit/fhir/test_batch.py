from __future__ import annotations

from typing import Any

import pytest

from mappings.errors import FhirError
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.client import FhirClient
from middleware.fhir.faults import write_outcome
from middleware.ports import SearchResult
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

QUERIES = ("Encounter/e1", "Encounter?patient=Patient/p1", "Encounter/e2/_history")


def answers(*parts: tuple[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {"response": {"status": status}, "resource": resource}
            for status, resource in parts
        ],
    }


def history(number: str) -> dict[str, Any]:
    found = bundle(encounter("e2", number))
    return {**found, "type": "history"}


def single(asked: Asked) -> Reply:
    found = {
        "/fhir/Encounter/e1": encounter("e1"),
        "/fhir/Encounter?patient=Patient/p1": bundle(encounter("e1")),
        "/fhir/Encounter/e2/_history": history("1"),
    }
    return Reply(200, found[asked.path])


EXPECTED = (
    SearchResult((encounter("e1"),)),
    SearchResult((encounter("e1"),)),
    SearchResult((encounter("e2", "1"),)),
)


def test_fetch_many_in_one_batch(script: Script, client: FhirClient) -> None:
    script.then(
        Reply(
            200,
            answers(
                ("200 OK", encounter("e1")),
                ("200", bundle(encounter("e1"))),
                ("200", history("1")),
            ),
        )
    )
    assert client.fetch_many(QUERIES) == EXPECTED
    assert script.lines == ["POST /fhir"]
    urls = [entry["request"]["url"] for entry in script.asked[0].json["entry"]]
    assert tuple(urls) == QUERIES


def test_fetch_many_of_nothing_asks_nothing(script: Script, client: FhirClient) -> None:
    assert client.fetch_many([]) == ()
    assert script.lines == []


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_fetch_many_without_batches_asks_one_by_one_and_remembers(
    script: Script, client: FhirClient, status: int
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status) if asked.method == "POST" else single(asked)

    script.answer = answer
    assert client.fetch_many(QUERIES) == EXPECTED
    assert client.fetch_many(QUERIES) == EXPECTED
    assert [line for line in script.lines if line.startswith("POST")] == ["POST /fhir"]


def renewing(script: Script, tokens: list[str]) -> tuple[FhirClient, list[str]]:
    """Return a client whose token is the first, and what it gave up of them."""
    forgotten: list[str] = []

    def forget(token: Secret) -> None:
        forgotten.append(token.reveal())
        tokens.remove(token.reveal())

    client = FhirClient(
        script.base,
        lambda: Secret(tokens[0]),
        clock=FixedClock(NOW),
        forget=forget,
        limits=QUICK,
    )
    return client, forgotten


def test_a_gateway_that_answers_batches_alone_401_keeps_the_token(
    script: Script,
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(401) if asked.method == "POST" else single(asked)

    script.answer = answer
    client, forgotten = renewing(script, ["good", "unused"])
    assert client.fetch_many(QUERIES) == EXPECTED
    assert client.fetch_many(QUERIES) == EXPECTED
    assert [line for line in script.lines if line.startswith("POST")] == ["POST /fhir"]
    assert script.lines[1] == "GET /fhir/Encounter/e1"
    assert forgotten == []


@pytest.mark.parametrize("status", [404, 410])
def test_a_record_that_is_gone_behind_such_a_gateway_is_no_end_of_the_session(
    script: Script, status: int
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return Reply(401)
        gone = asked.path == "/fhir/Encounter/e1"
        return Reply(status, outcome()) if gone else single(asked)

    script.answer = answer
    client, forgotten = renewing(script, ["good", "new", "unused"])
    first, *others = client.fetch_many(QUERIES)
    assert (first.complete, first.outcomes[0]) == (False, write_outcome(status))
    assert tuple(others) == EXPECTED[1:]
    assert forgotten == ["good"]


@pytest.mark.parametrize("batches", [True, False])
def test_an_expired_token_is_renewed_with_batches_or_without(
    script: Script, batches: bool
) -> None:
    whole = answers(
        ("200", encounter("e1")),
        ("200", bundle(encounter("e1"))),
        ("200", history("1")),
    )

    def answer(asked: Asked) -> Reply:
        if asked.headers["Authorization"] != "Bearer new":
            return Reply(401)
        if asked.method == "POST":
            return Reply(200, whole) if batches else Reply(401)
        return single(asked)

    script.answer = answer
    client, forgotten = renewing(script, ["old", "new", "unused"])
    assert client.fetch_many(QUERIES) == EXPECTED
    assert forgotten[0] == "old"
    assert client.fetch_many(QUERIES) == EXPECTED
    posts = [line for line in script.lines if line.startswith("POST")]
    assert len(posts) == (4 if batches else 3)


def test_a_token_that_nothing_takes_is_an_error_of_the_batch(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(401))
    with pytest.raises(FhirError) as caught:
        client.fetch_many(QUERIES)
    assert caught.value.status == 401
    assert "batch" in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, outcome()),
        Reply(500, outcome()),
        Reply(200, answers(("200", encounter("e1")))),
        Reply(200, encounter("e1")),
    ],
)
def test_fetch_many_with_a_bad_batch_asks_one_by_one_this_time(
    script: Script, client: FhirClient, reply: Reply
) -> None:
    def answer(asked: Asked) -> Reply:
        return reply if asked.method == "POST" else single(asked)

    script.answer = answer
    assert client.fetch_many(QUERIES) == EXPECTED
    client.fetch_many(QUERIES)
    assert script.lines.count("POST /fhir") == 2


def test_fetch_many_with_the_server_down_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(503))
    with pytest.raises(FhirError) as caught:
        client.fetch_many(QUERIES)
    assert caught.value.status == 503


def test_fetch_many_marks_the_part_that_failed(
    script: Script, client: FhirClient
) -> None:
    script.then(
        Reply(
            200,
            answers(
                ("404 Not Found", outcome("processing")),
                ("200", bundle(encounter("e1"))),
                ("200", history("1")),
            ),
        )
    )
    assert client.fetch_many(QUERIES) == (
        SearchResult(
            (), complete=False, outcomes=(write_outcome(404), outcome("processing"))
        ),
        *EXPECTED[1:],
    )


def test_fetch_many_asks_a_failed_history_directly(
    script: Script, client: FhirClient
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return Reply(
                200,
                answers(
                    ("200", encounter("e1")),
                    ("200", bundle(encounter("e1"))),
                    ("400", outcome("not-supported")),
                ),
            )
        return single(asked)

    script.answer = answer
    assert client.fetch_many(QUERIES) == EXPECTED
    assert script.lines == ["POST /fhir", "GET /fhir/Encounter/e2/_history"]


def test_fetch_many_follows_the_pages_of_a_part(
    script: Script, client: FhirClient
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply(200, bundle(encounter("e9")))
        first = bundle(encounter("e1"), next_url=f"{script.base}?p=2")
        return Reply(200, answers(("200", first), ("200", encounter("e1"))))

    script.answer = answer
    results = client.fetch_many(["Encounter?patient=p1", "Encounter/e1"])
    assert results[0] == SearchResult((encounter("e1"), encounter("e9")))


def test_fetch_many_with_a_foreign_query_fails_that_part_alone(
    script: Script, client: FhirClient
) -> None:
    script.answer = single
    results = client.fetch_many(["Encounter/e1", "http://evil.example/Encounter/e2"])
    assert results == (
        EXPECTED[0],
        SearchResult((), complete=False, outcomes=(write_outcome(None),)),
    )
    assert script.lines == ["GET /fhir/Encounter/e1"]


def test_fetch_many_does_not_take_another_resource(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(200, answers(("200", encounter("x")), ("200", encounter("e2")))))
    first, second = client.fetch_many(["Encounter/e1", "Encounter/e2"])
    assert (first.resources, first.complete) == ((), False)
    assert second == SearchResult((encounter("e2"),))
