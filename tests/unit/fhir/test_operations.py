"""Operations that change nothing: by GET, by POST where a server wants that."""

from __future__ import annotations

import pytest

from mappings.errors import FhirError, ReferenceRefusedError
from middleware.fhir.client import FhirClient
from subscriptions.recovery import write_range
from tests.unit.fhir.scripted import Reply, Script, bundle, outcome

EVENTS, STATUS = "Subscription/s1/$events", "Subscription/s1/$status"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@85")
def test_an_operation_is_asked_by_get(script: Script, client: FhirClient) -> None:
    script.then(Reply(200, bundle()))
    assert client.fetch_operation(EVENTS, write_range(3, 9)) == bundle()
    assert client.fetch_operation(STATUS) == bundle()
    assert script.lines == [
        f"GET /fhir/{EVENTS}?eventsSinceNumber=3&eventsUntilNumber=9&content=id-only",
        f"GET /fhir/{STATUS}",
    ]


@pytest.mark.parametrize("status", [400, 404, 405, 422, 501])
def test_an_operation_that_is_refused_by_get_is_posted(
    script: Script, client: FhirClient, status: int
) -> None:
    script.then(Reply(status, outcome()), Reply(200, bundle()))
    assert client.fetch_operation(EVENTS, write_range(3, 9)) == bundle()
    assert script.asked[1].method == "POST"
    assert script.asked[1].json == {
        "resourceType": "Parameters",
        "parameter": write_range(3, 9),
    }


def test_an_operation_that_nobody_knows_is_an_error(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(404, outcome()))
    with pytest.raises(FhirError, match=r"operation \$events") as caught:
        client.fetch_operation(EVENTS)
    assert caught.value.status == 404
    assert len(script.asked) == 2


def test_an_operation_that_we_may_not_ask_is_not_asked_again(
    script: Script, client: FhirClient
) -> None:
    script.then(Reply(403, outcome("forbidden")))
    with pytest.raises(FhirError):
        client.fetch_operation(STATUS)
    assert len(script.asked) == 1


def test_an_empty_answer_is_an_error(script: Script, client: FhirClient) -> None:
    script.then(Reply(200))
    with pytest.raises(FhirError, match="empty"):
        client.fetch_operation(STATUS)


def test_an_operation_elsewhere_is_not_asked(client: FhirClient) -> None:
    with pytest.raises(ReferenceRefusedError):
        client.fetch_operation("http://evil.example/fhir/Subscription/s1/$status")


@pytest.mark.parametrize(
    ("date", "shown"),
    [("Mon, 02 Mar 2026 09:00:00 GMT", "2026-03-02T09:00:00+00:00"), ("soon", None)],
)
def test_a_search_tells_the_servers_time(
    script: Script, client: FhirClient, date: str, shown: str | None
) -> None:
    def answer(handler) -> None:
        text = b'{"resourceType":"Bundle","type":"searchset"}'
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nDate: "
            + date.encode()
            + b"\r\nContent-Length: %d\r\n\r\n" % len(text)
            + text
        )

    script.then(Reply(raw=answer))
    found = client.fetch_search("Encounter?status=finished").server_time
    assert (found.isoformat() if found else None) == shown
