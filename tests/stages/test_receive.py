"""The real receiver over HTTP: what is refused, what is set aside, what is one event."""

from __future__ import annotations

import random
from typing import Any

import orjson
import psycopg
import pytest
from werkzeug.test import Client

from middleware.storage.intake import IntakeDatabase
from subscriptions.receiver import LARGEST_BODY
from tests.databases import with_name
from tests.stages.listening import FHIR, SECRET, listen, post, subscribe
from tests.stages.world import ENDPOINT, World, appointment, encounter

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


@pytest.fixture
def hook(world: World, intake: IntakeDatabase) -> Client:
    """The receiver of a subscription whose hook is ``hook-1``."""
    subscribe(world)
    return listen(world, intake)


def notification(number: int, *focuses: str, resource: Any = None) -> bytes:
    """A backport event-notification about these focuses."""
    events = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {
                    "name": "focus",
                    "valueReference": {"reference": f"{ENDPOINT.fhir_base}/{focus}"},
                },
            ],
        }
        for focus in focuses
    ]
    status = {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{BACKPORT}/backport-subscription-status-r4"]},
        "parameter": [
            {
                "name": "subscription",
                "valueReference": {"reference": f"{ENDPOINT.fhir_base}/Subscription/1"},
            },
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {
                "name": "events-since-subscription-start",
                "valueString": str(number),
            },
            *events,
        ],
    }
    entries = [{"resource": status, "request": {"method": "GET", "url": "x"}}]
    if resource is not None:
        full = f"{ENDPOINT.fhir_base}/{focuses[0]}"
        entries.append({"fullUrl": full, "resource": resource})
    return orjson.dumps({"resourceType": "Bundle", "type": "history", "entry": entries})


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-CareCue-Secret": "wrong"}, {"Authorization": "Bearer wrong"}],
)
def test_a_wrong_secret_is_refused_and_nothing_is_kept(
    hook: Client, world: World, headers: dict[str, str]
) -> None:
    answer = post(hook, notification(1, "Encounter/stay"), headers=headers)
    assert answer.status_code == 401
    assert answer.json["resourceType"] == "OperationOutcome"
    assert world.rows("SELECT 1 FROM notification UNION ALL SELECT 1 FROM inbox") == []


def test_an_unknown_hook_is_refused_alike(hook: Client) -> None:
    answer = hook.post("/hooks/none", data=b"{}", content_type=FHIR, headers=SECRET)
    assert answer.status_code == 401


def test_the_secret_before_the_rotation_still_counts(hook: Client) -> None:
    headers = {"Authorization": "Bearer old"}
    assert (
        post(hook, notification(1, "Encounter/x"), headers=headers).status_code == 200
    )


@pytest.mark.parametrize(
    "body", [b'{"resourceType": "Bundle", "entry": [', b"\xff\xfe", b"[]"]
)
def test_malformed_json_is_set_aside_and_accepted(
    hook: Client, world: World, body: bytes
) -> None:
    answer = post(hook, body)
    rows = world.rows("SELECT state, error, body FROM notification")
    if answer.status_code == 200:
        assert [row["state"] for row in rows] == ["quarantined"]
        assert bytes(rows[0]["body"]) == body
        assert rows[0]["error"]
    else:
        assert 400 <= answer.status_code < 500
        assert rows == []
    assert world.rows("SELECT 1 FROM inbox") == []


def test_broken_json_of_ours_is_quarantined_with_200(
    hook: Client, world: World
) -> None:
    body = notification(1, "Encounter/stay")[:-5]
    answer = post(hook, body)
    assert answer.status_code == 200
    assert world.one("SELECT state FROM notification") == "quarantined"


def test_an_oversized_body_is_refused(hook: Client, world: World) -> None:
    answer = post(hook, b" " * (LARGEST_BODY + 1))
    assert answer.status_code == 413
    assert world.rows("SELECT 1 FROM notification") == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<html></html>", "text/html"), (b"a=b", "application/x-www-form-urlencoded")],
)
def test_what_is_not_fhir_is_refused_or_set_aside(
    hook: Client, world: World, body: bytes, content_type: str
) -> None:
    answer = hook.post(
        "/hooks/hook-1", data=body, content_type=content_type, headers=SECRET
    )
    assert 400 <= answer.status_code < 500
    assert world.rows("SELECT 1 FROM inbox") == []


def test_a_database_that_is_away_is_told_with_retry_after(
    hook: Client, world: World, database_url: str
) -> None:
    gone = with_name(database_url, "postgres")
    with psycopg.connect(gone, autocommit=True) as connection:
        connection.execute("CREATE DATABASE carecue_without_tables")
    elsewhere = IntakeDatabase(with_name(database_url, "carecue_without_tables"))
    try:
        answer = post(listen(world, elsewhere), notification(1, "Encounter/stay"))
        closed = IntakeDatabase(database_url)
        closed.close()
        other = post(listen(world, closed), notification(1, "Encounter/stay"))
    finally:
        elsewhere.close()
        with psycopg.connect(gone, autocommit=True) as connection:
            connection.execute("DROP DATABASE carecue_without_tables WITH (FORCE)")
    for told in (answer, other):
        assert told.status_code == 503
        assert int(told.headers["Retry-After"]) > 0
    assert world.rows("SELECT 1 FROM notification") == []
    assert hook is not None


def test_a_focus_under_another_base_is_never_read(hook: Client, world: World) -> None:
    body = notification(1, "Encounter/stay").replace(
        f"{ENDPOINT.fhir_base}/Encounter".encode(), b"http://evil.test/fhir/Encounter"
    )
    assert post(hook, body).status_code == 200
    assert world.rows("SELECT 1 FROM inbox WHERE focus IS NOT NULL") == []


def test_the_answer_is_exactly_what_every_server_takes(hook: Client) -> None:
    answer = post(hook, notification(1, "Encounter/stay"))
    assert answer.status_code == 200
    assert answer.content_type == FHIR
    assert answer.json == {"resourceType": "Bundle", "type": "transaction-response"}


def story(world: World) -> list[tuple[str, bytes]]:
    """Deliveries in all shapes about one stay and one visit, as a server sent them."""
    stay = world.fhir.put(encounter(status="in-progress", hospitalization=...))
    first = world.fhir.versions[stay][-1]
    world.fhir.put(encounter())
    visit = world.fhir.put(appointment())
    latest = world.fhir.versions[visit][-1]
    return [
        ("POST", notification(1, stay, resource=first)),
        ("POST", notification(2, stay, resource=world.fhir.versions[stay][-1])),
        ("POST", notification(3, stay)),
        ("POST", notification(4, visit, resource=latest)),
        (f"PUT {visit}", orjson.dumps(latest)),
        ("POST", b""),
    ]


def play(hook: Client, deliveries: list[tuple[str, bytes]]) -> None:
    for what, body in deliveries:
        method, _, focus = what.partition(" ")
        path = f"/hooks/hook-1/{focus}" if focus else "/hooks/hook-1"
        answer = hook.open(
            path, method=method, data=body, content_type=FHIR, headers=SECRET
        )
        assert answer.status_code == 200


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_deliveries_three_times_shuffled_are_the_same_events(
    hook: Client, world: World, seed: int
) -> None:
    told = story(world) * 3
    random.Random(seed).shuffle(told)
    for start in range(0, len(told), 5):
        play(hook, told[start : start + 5])
        world.run()
    kinds = world.rows("SELECT focus, kind FROM event ORDER BY focus, kind")
    assert [f"{row['focus']} {row['kind']}" for row in kinds] == [
        "Appointment/visit appointment-booked",
        "Encounter/stay encounter-admitted",
        "Encounter/stay encounter-discharged",
    ]
    before = world.snapshot()
    play(hook, told)
    world.run()
    assert world.snapshot() == before
