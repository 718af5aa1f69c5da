"""`$status`, `$events` and the counts, over HTTP, as a client sees them."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from tests.unit.sandbox.listening import Listener
from tests.unit.sandbox.notifying import number, topical

FHIR = "application/fhir+json"


class Client:
    def __init__(self, sandbox: Running) -> None:
        self.base = sandbox.base_url
        token = requests.post(f"{self.base}/sandbox/token", timeout=30).json()
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}

    def fhir(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"{self.base}/fhir/{path}",
            json=body,
            headers={**self.headers, "Content-Type": FHIR},
            timeout=10,
        )

    def quiet(self) -> dict[str, int]:
        url = f"{self.base}/sandbox/notifier?wait=20"
        counts: dict[str, int] = requests.get(url, timeout=30).json()
        assert counts["pending"] == 0
        return counts


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with Running(Options(base_url="", people=False)) as running:
        yield running


@pytest.fixture
def client(sandbox) -> Client:
    return Client(sandbox)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def create(client: Client, listener: Listener, events: int = 3) -> str:
    subscription = topical(listener.url)
    created = client.fhir("POST", "Subscription", subscription)
    assert (created.status_code, created.json()["status"]) == (201, "requested")
    client.quiet()
    for index in range(events):
        encounter = {
            "resourceType": "Encounter",
            "id": f"e{index}",
            "status": "finished",
            "class": {"code": "IMP"},
        }
        assert client.fhir("PUT", f"Encounter/e{index}", encounter).ok
    client.quiet()
    return str(created.json()["id"])


def test_status_answers_a_searchset(client, listener):
    id_ = create(client, listener)
    answer = client.fhir("GET", f"Subscription/{id_}/$status")
    assert answer.headers["Content-Type"] == FHIR
    bundle = answer.json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    status = bundle["entry"][0]["resource"]
    values = {
        p["name"]: p.get("valueCode") or p.get("valueString")
        for p in status["parameter"]
    }
    assert values["type"] == "query-status"
    assert values["status"] == "active"
    assert values["events-since-subscription-start"] == "3"
    assert client.fhir("POST", f"Subscription/{id_}/$status").json() == bundle
    read = client.fhir("GET", f"Subscription/{id_}").json()
    assert read["status"] == "active"


def test_status_of_all_is_narrowed_by_id_and_status(client, listener):
    first = create(client, listener, 0)
    second = create(client, listener, 0)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "id", "valueId": second}],
    }
    for method, path, body, total in (
        ("GET", "Subscription/$status", None, 2),
        ("GET", f"Subscription/$status?id={first}", None, 1),
        ("GET", "Subscription/$status?status=error", None, 0),
        ("POST", "Subscription/$status", parameters, 1),
    ):
        assert client.fhir(method, path, body).json()["total"] == total


def test_events_are_answered_from_and_until_both_included(client, listener):
    id_ = create(client, listener)
    path = f"Subscription/{id_}/$events"
    query = "eventsSinceNumber=2&eventsUntilNumber=3"
    bundle = client.fhir("GET", f"{path}?{query}").json()
    assert (bundle["type"], number(bundle)) == ("history", ["2", "3"])
    kind = bundle["entry"][0]["resource"]["parameter"][3]
    assert kind == {"name": "type", "valueCode": "query-event"}
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "eventsSinceNumber", "valueString": "3"},
            {"name": "content", "valueCode": "full-resource"},
        ],
    }
    posted = client.fhir("POST", path, parameters).json()
    assert number(posted) == ["3"]
    assert posted["entry"][1]["resource"]["id"] == "e2"
    assert number(client.fhir("GET", path).json()) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Subscription/none/$status", 404),
        ("Subscription/none/$events", 404),
        ("Subscription/{id}/$events?eventsSinceNumber=x", 400),
        ("Subscription/{id}/$events?content=all", 400),
    ],
)
def test_wrong_questions_get_an_outcome(client, listener, path, status):
    id_ = create(client, listener, 0)
    answer = client.fhir("GET", path.replace("{id}", id_))
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_operations_need_a_token(client, listener):
    id_ = create(client, listener, 0)
    for path in (f"{id_}/$status", "$status", f"{id_}/$events"):
        url = f"{client.base}/fhir/Subscription/{path}"
        assert requests.get(url, timeout=30).status_code == 401


def test_counts_say_what_became_of_the_events(client, listener):
    create(client, listener)
    assert client.quiet() == {
        "pending": 0,
        "sent": 3,
        "dropped": 0,
        "duplicated": 0,
        "failed": 0,
        "reordered": 0,
        "handshakes": 1,
        "heartbeats": 0,
    }
