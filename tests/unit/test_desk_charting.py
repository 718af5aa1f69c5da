"""A chart of a server without batches: what may turn the verdict, and all at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from mappings.content import load_shipped
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.desk.charting import MOST_READS, TURNING, Within, read_charts
from middleware.fhir.abilities import Abilities
from middleware.fhir.client import FhirClient
from middleware.fhir.transport import Limits
from tests.unit.fhir.scripted import NOW, Asked, Reply, Script, bundle, send_last, serve

LIBRARY = load_shipped()
PATIENCE = 20
PATIENT = {"resourceType": "Patient", "id": "p1"}


@pytest.fixture
def script() -> Iterator[Script]:
    with serve() as scripted:
        yield scripted


@pytest.fixture
def client(script: Script) -> Iterator[FhirClient]:
    known = Abilities()
    known.note_refused()
    limits = Limits(attempts=1, workers=32)
    clock = FixedClock(NOW)
    made = FhirClient(
        script.base, lambda: Secret("t"), clock=clock, limits=limits, abilities=known
    )
    yield made
    made.close()


def type_asked(asked: Asked) -> str:
    return asked.path.partition("?")[0].split("/")[2]


def test_the_rest_is_asked_beside_what_may_turn_the_verdict_and_not_waited_for(
    client: FhirClient, script: Script
) -> None:
    rest_asked, verdict_shown = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Reply:
        kind = type_asked(asked)
        body = PATIENT if kind == "Patient" else bundle()
        if len(script.asked) <= MOST_READS:
            return Reply(200, body)
        if kind not in TURNING:
            rest_asked.set()
        waited = rest_asked if kind in TURNING else verdict_shown

        def late(handler: BaseHTTPRequestHandler) -> None:
            if waited.wait(PATIENCE):
                send_last(handler, body)

        return Reply(raw=late)

    script.answer = answer
    readings = read_charts(client, LIBRARY, "Patient/p1", [], NOW, within=Within())
    first = next(readings)
    assert len(script.asked) == MOST_READS
    assert first.unread & TURNING
    second = next(readings)
    assert second.unread
    assert not second.unread & TURNING
    verdict_shown.set()
    (last,) = readings
    assert not last.unread
    assert not last.chart.incomplete


def test_nothing_more_is_asked_once_nobody_takes_it(
    client: FhirClient, script: Script
) -> None:
    script.answer = lambda asked: Reply(
        200, PATIENT if type_asked(asked) == "Patient" else bundle()
    )
    readings = read_charts(client, LIBRARY, "Patient/p1", [], NOW, within=Within())
    next(readings)
    readings.close()  # type: ignore[attr-defined]
    assert len(script.asked) == MOST_READS
