"""What a server does wrong, or may do, and what is kept of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.conformance.server import FhirServer
from tests.product import Product

TOPIC = "http://example.org/SubscriptionTopic/encounter-change"


def visit(name: str) -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": name, "status": "in-progress"}


@pytest.fixture
def server(product: Product, serve: Any) -> FhirServer:
    """A server whose subscription is active."""
    return activate(product, serve("r4"))


def activate(
    product: Product, server: FhirServer, content: str = "id-only"
) -> FhirServer:
    product.open_hook(product.connect(server.url), "backport")
    server.subscription = {
        "id": "1",
        "criteria": TOPIC,
        "channel": {
            "endpoint": f"{product.url}/hooks/hook",
            "header": ["Authorization: Bearer 0123456789abcdef0123456789abcdef"],
            "_payload": {"extension": [{"valueCode": content}]},
        },
    }
    assert server.shake_hands().status == 200
    return server


def focuses(product: Product) -> list[str | None]:
    return [row["focus"] for row in product.told()]


def standing(product: Product) -> tuple[str, int | None]:
    product.track()
    (row,) = product.rows("SELECT status, last_number FROM subscription")
    return row["status"], row["last_number"]


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_what_comes_twice_is_one_event(product: Product, server: FhirServer) -> None:
    event = server.happen(visit("e1"))
    answers = [server.tell(event).status for _ in range(3)]

    assert answers == [200, 200, 200]
    assert focuses(product) == ["Encounter/e1"]


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_what_gets_lost_does_not_stop_what_follows(
    product: Product, server: FhirServer
) -> None:
    first, _, third = (server.happen(visit(name)) for name in ("e1", "e2", "e3"))
    server.tell(first)
    server.tell(third)

    assert focuses(product) == ["Encounter/e1", "Encounter/e3"]
    assert standing(product) == ("active", 3)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_what_overtakes_does_not_hide_what_was_before(
    product: Product, server: FhirServer
) -> None:
    first, second = server.happen(visit("e1")), server.happen(visit("e1"))
    server.tell(second)
    server.tell(first)

    assert [row["version"] for row in product.told()] == ["2", "1"]
    assert standing(product) == ("active", 2)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_versions_that_come_together_are_all_told_of(
    product: Product, server: FhirServer
) -> None:
    events = [server.happen(visit("e1")) for _ in range(3)]
    server.tell(events[0])
    server.tell(*events)

    assert [row["version"] for row in product.told()] == ["1", "2", "3"]


@pytest.mark.parametrize("number", [1, 7])
def test_a_wrong_number_hides_no_event(
    product: Product, server: FhirServer, number: int
) -> None:
    for name in ("e1", "e2", "e3"):
        server.tell(server.happen(visit(name)), number=number)

    assert focuses(product) == ["Encounter/e1", "Encounter/e2", "Encounter/e3"]


def test_numbers_that_begin_anew_are_no_repetition(
    product: Product, server: FhirServer
) -> None:
    server.tell(server.happen(visit("e1")))
    server.restart()
    server.shake_hands()
    server.tell(server.happen(visit("e1")))

    told = [(row["version"], row["event_number"]) for row in product.told()]
    assert told == [("1", 1), ("2", 1)]


def test_a_handshake_may_come_again_at_any_time(
    product: Product, server: FhirServer
) -> None:
    server.tell(server.happen(visit("e1")))
    for _ in range(2):
        assert server.shake_hands().status == 200
    server.tell(server.happen(visit("e2")))

    assert focuses(product) == ["Encounter/e1", "Encounter/e2"]
    assert standing(product) == ("active", 2)


@pytest.mark.requirement("hl7.fhir.r5.core_5.0.0@heartbeats")
def test_heartbeats_may_come_as_often_as_the_server_likes(
    product: Product, server: FhirServer
) -> None:
    answers = [server.beat().status for _ in range(10)]

    assert answers == [200] * 10
    assert focuses(product) == []


@pytest.mark.parametrize("kind", ["heartbeat", "handshake"])
def test_events_that_come_along_are_taken_once(
    product: Product, server: FhirServer, kind: Any
) -> None:
    lost = server.happen(visit("e1"))
    assert server.send(kind, [lost]).status == 200
    server.tell(lost)

    assert focuses(product) == ["Encounter/e1"]


def test_a_heartbeat_may_tell_of_an_error(product: Product, server: FhirServer) -> None:
    assert server.beat(status="error").status == 200
    assert standing(product)[0] == "error"


@pytest.mark.parametrize("status", ["requested", "error", "off"])
def test_a_stale_status_keeps_no_event_back(
    product: Product, server: FhirServer, status: str
) -> None:
    assert server.tell(server.happen(visit("e1")), status=status).status == 200
    assert focuses(product) == ["Encounter/e1"]


def test_a_count_that_is_none_is_set_aside_and_accepted(
    product: Product, server: FhirServer
) -> None:
    def spoil(bundle: dict[str, Any]) -> None:
        for part in bundle["entry"][0]["resource"]["parameter"]:
            if part["name"] == "events-since-subscription-start":
                part["valueString"] = "many"

    answer = server.tell(server.happen(visit("e1")), change=spoil)

    assert answer.status == 200
    assert product.kept()[-1]["state"] == "quarantined"
    assert server.tell(server.happen(visit("e2"))).status == 200
    assert focuses(product) == ["Encounter/e2"]


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@beyond-focus")
@pytest.mark.parametrize("left", [1, 2])
def test_nothing_beyond_the_focus_is_needed(
    product: Product, serve: Any, left: int
) -> None:
    server = activate(product, serve("r4"), "full-resource")

    def strip(bundle: dict[str, Any]) -> None:
        del bundle["entry"][left:]
        for entry in bundle["entry"][1:]:
            del entry["resource"]

    assert server.tell(server.happen(visit("e1")), change=strip).status == 200
    assert focuses(product) == ["Encounter/e1"]


def test_a_notification_under_another_authorization_is_refused(
    product: Product, server: FhirServer
) -> None:
    event = server.happen(visit("e1"))
    channel = server.subscription["channel"]
    ours = channel["header"]
    channel["header"] = ["Authorization: Bearer of-somebody-else"]
    refused = server.tell(event)
    channel["header"] = ours

    assert refused.status == 401
    assert orjson.loads(refused.body)["resourceType"] == "OperationOutcome"
    assert [row["type"] for row in product.kept()] == ["handshake"]
    assert server.tell(event).status == 200


@pytest.mark.parametrize("size", [1, 100])
def test_an_answer_comes_in_time_for_every_server(
    product: Product, serve: Any, size: int
) -> None:
    server = activate(product, serve("r4"), "full-resource")
    events = [server.happen(visit(f"e{n}")) for n in range(size)]

    # athenahealth waits two seconds, everybody else longer.
    assert server.tell(*events).seconds < 2.0
    assert len(product.told()) == size


def check_contents(product: Product, server: FhirServer, form: str) -> None:
    """Take a deletion after an update, in whatever content was asked for."""
    server.tell(server.happen(visit("e1")))
    server.tell(server.happen(visit("e1"), "delete"))
    server.beat()

    assert {(row["form"], row["state"]) for row in product.kept()} == {(form, "stored")}
    told = [
        (row["focus"], row["version"], row["interaction"]) for row in product.told()
    ]
    if server.content == "empty":
        assert told == [(None, None, "update")] * 2
    else:
        assert told == [
            ("Encounter/e1", "1", "update"),
            ("Encounter/e1", "2", "delete"),
        ]


@pytest.mark.peer("the tests' own server", "R4 backport: empty, id-only, full-resource")
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_contents_of_r4(product: Product, serve: Any, content: str) -> None:
    check_contents(product, activate(product, serve("r4"), content), "r4-backport")


@pytest.mark.peer("the tests' own server", "R4B: empty, id-only, full-resource")
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_contents_of_r4b(product: Product, serve: Any, content: str) -> None:
    check_contents(product, activate(product, serve("r4b"), content), "r4b")


@pytest.mark.peer("the tests' own server", "R5: empty, id-only, full-resource")
@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_contents_of_r5(product: Product, serve: Any, content: str) -> None:
    check_contents(product, activate(product, serve("r5"), content), "r5")
