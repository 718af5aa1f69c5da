"""Many reads at once: what is remembered of a server, in which order, and how many."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from mappings.errors import FhirError
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.fhir.abilities import FEW, MOST, SLOW_SECONDS, Abilities
from middleware.fhir.client import FhirClient
from tests.unit.fhir.scripted import (
    NOW,
    QUICK,
    Asked,
    Reply,
    Script,
    bundle,
    encounter,
    send_last,
)

QUERIES = tuple(f"Encounter/e{number}" for number in range(8))


def one(asked: Asked) -> Reply:
    if asked.method == "POST":
        return Reply(405)
    return Reply(200, encounter(asked.path.rpartition("/")[2]))


def batch(asked: Asked) -> Reply:
    parts = [
        {"response": {"status": "200"}, "resource": encounter(entry["request"]["url"])}
        for entry in asked.json["entry"]
    ]
    for part in parts:
        part["resource"]["id"] = part["resource"]["id"].partition("/")[2]
    body: dict[str, Any] = {"resourceType": "Bundle", "type": "batch-response"}
    return Reply(200, {**body, "entry": parts})


def open_client(script: Script, known: Abilities) -> FhirClient:
    return FhirClient(
        script.base,
        lambda: Secret("t"),
        clock=FixedClock(NOW),
        limits=QUICK,
        abilities=known,
    )


def names(results: Any) -> list[str | None]:
    return [item and item.resources[0]["id"] for item in results]


def test_a_refused_batch_is_remembered_for_every_client_of_the_endpoint(
    script: Script,
) -> None:
    script.answer = one
    known = Abilities()
    for _ in range(3):
        other = open_client(script, known)
        other.fetch_many(QUERIES)
        other.close()
    assert script.lines.count("POST /fhir") == 1


def test_batches_are_tried_again_after_a_while(script: Script) -> None:
    script.answer = one
    client = open_client(script, Abilities(again=0.0))
    client.fetch_many(QUERIES)
    client.fetch_many(QUERIES)
    client.close()
    assert script.lines.count("POST /fhir") == 2


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_row_of_failed_batches_is_a_refusal(script: Script, status: int) -> None:
    script.answer = lambda asked: (
        Reply(status) if asked.method == "POST" else one(asked)
    )
    client = open_client(script, Abilities())
    for _ in range(4):
        client.fetch_many(QUERIES)
    client.close()
    assert script.lines.count("POST /fhir") == 2


def test_in_a_batch_all_queries_are_one_request(script: Script) -> None:
    script.answer = batch
    client = open_client(script, Abilities())
    found = client.fetch_first(QUERIES, 4)
    client.close()
    assert names(found) == [query.partition("/")[2] for query in QUERIES]
    assert script.lines == ["POST /fhir"]


def test_without_batches_the_first_queries_are_answered_and_the_try_counts(
    script: Script,
) -> None:
    script.answer = one
    client = open_client(script, Abilities())
    first, second = client.fetch_first(QUERIES, 4), client.fetch_first(QUERIES, 4)
    client.close()
    assert names(first) == ["e0", "e1", "e2", *[None] * 5]
    assert names(second) == ["e0", "e1", "e2", "e3", *[None] * 4]
    assert len(script.asked) == 8


def test_reads_go_side_by_side_and_answers_keep_their_order(script: Script) -> None:
    together = threading.Barrier(4, timeout=10)

    def answer(asked: Asked) -> Reply:
        body = encounter(asked.path.rpartition("/")[2])

        def late(handler: BaseHTTPRequestHandler) -> None:
            together.wait()
            send_last(handler, body)

        return Reply(raw=late)

    script.answer = answer
    known = Abilities()
    known.note_refused()
    client = open_client(script, known)
    assert names(client.fetch_first(QUERIES, 4))[:4] == ["e0", "e1", "e2", "e3"]
    client.close()


def test_answers_are_given_as_they_come(script: Script) -> None:
    taken = threading.Event()

    def answer(asked: Asked) -> Reply:
        if not asked.path.endswith("e0"):
            return one(asked)
        body = encounter("e0")

        def last(handler: BaseHTTPRequestHandler) -> None:
            if taken.wait(20):
                send_last(handler, body)

        return Reply(raw=last)

    script.answer = answer
    known = Abilities()
    known.note_refused()
    client = open_client(script, known)
    given = []
    for query, found in client.fetch_each(QUERIES):
        given.append(query)
        assert names([found]) == [query.partition("/")[2]]
        if len(given) == len(QUERIES) - 1:
            taken.set()
    client.close()
    assert given[-1] == QUERIES[0]
    assert sorted(given) == sorted(QUERIES)


def test_what_was_not_sent_is_not_sent_once_nobody_takes_answers(
    script: Script,
) -> None:
    script.answer = one
    known = Abilities()
    known.note_refused()
    client = open_client(script, known)
    answers = client.fetch_each(tuple(f"Encounter/e{n}" for n in range(30)))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    client.close()
    # Each of eight readers may have begun a second one by then.
    assert len(script.asked) < 30


def test_one_that_fails_spoils_no_other(script: Script) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(403) if asked.path.endswith("e1") else one(asked)

    script.answer = answer
    known = Abilities()
    known.note_refused()
    client = open_client(script, known)
    found = client.fetch_first(QUERIES[:3], 4)
    client.close()
    assert [item is not None and item.complete for item in found] == [True, False, True]


def test_a_server_that_is_down_is_an_error(script: Script) -> None:
    script.then(Reply(503))
    client = open_client(script, Abilities())
    with pytest.raises(FhirError):
        client.fetch_first(QUERIES, 4)
    client.close()


def test_further_pages_are_followed(script: Script) -> None:
    page = bundle(encounter("e1"))
    page["link"] = [{"relation": "next", "url": f"{script.base}/Encounter?page=2"}]

    def answer(asked: Asked) -> Reply:
        if asked.method == "POST":
            return Reply(405)
        return Reply(200, bundle(encounter("e2")) if "page=2" in asked.path else page)

    script.answer = answer
    client = open_client(script, Abilities())
    found = client.fetch_first(["Encounter?patient=Patient/p1"], 2)
    client.close()
    assert found[0] is not None
    assert [item["id"] for item in found[0].resources] == ["e1", "e2"]


LONG = tuple(f"Encounter/e{number}" for number in range(200))


def sizes(script: Script) -> list[int]:
    return [len(asked.json["entry"]) for asked in script.asked if asked.json]


def test_long_lists_are_split_and_batches_grow_where_the_server_is_quick(
    script: Script,
) -> None:
    script.answer = batch
    client = open_client(script, Abilities(quick=float("inf")))
    assert names(client.fetch_many(LONG)) == [f"e{number}" for number in range(200)]
    client.close()
    assert sizes(script) == [FEW, 2 * FEW, 80]


def test_batches_stay_small_where_the_server_takes_its_time(script: Script) -> None:
    script.answer = batch
    client = open_client(script, Abilities(quick=-1.0))
    assert names(client.fetch_many(LONG)) == [f"e{number}" for number in range(200)]
    client.close()
    assert sizes(script) == [FEW] * 5


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_batch_that_is_too_large_is_followed_by_smaller_ones(
    script: Script, status: int
) -> None:
    def answer(asked: Asked) -> Reply:
        return batch(asked) if len(asked.json["entry"]) <= FEW else Reply(status)

    script.answer = answer
    client = open_client(script, Abilities(quick=float("inf")))
    assert names(client.fetch_many(LONG)) == [f"e{number}" for number in range(200)]
    client.close()
    assert sizes(script) == [FEW, 2 * FEW, FEW, FEW, FEW, FEW]


def test_a_batch_grows_so_far_and_shrinks_once_it_is_slow() -> None:
    known = Abilities()
    for _ in range(5):
        known.note_taken(known.entries, 0.0)
    assert known.entries == MOST
    known.note_taken(3, SLOW_SECONDS + 1)
    assert known.entries == FEW
    # A batch that was not full says nothing about a larger one.
    known.note_taken(3, 0.0)
    assert known.entries == FEW


def test_a_server_that_does_not_answer_is_asked_for_less(script: Script) -> None:
    known = Abilities(quick=float("inf"))
    known.note_taken(FEW, 0.0)
    script.answer = lambda _: Reply(503)
    client = open_client(script, known)
    with pytest.raises(FhirError):
        client.fetch_many(LONG)
    client.close()
    assert known.entries == FEW


def test_a_large_batch_is_tried_again_after_a_while() -> None:
    known = Abilities(again=0.0)
    known.note_taken(FEW, 0.0)
    known.note_odd(2 * FEW)
    assert (known.batches, known.entries) == (True, FEW)
    known.note_taken(FEW, 0.0)
    assert known.entries == 2 * FEW
