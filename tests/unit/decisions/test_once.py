"""What several plans ask of one chart is looked for once, and comes to the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mappings.chart import Chart
from mappings.content import load_shipped
from mappings.nudge import Outcome
from mappings.preference import OwnRecord
from middleware.cli.bench_charts import MIX, Maker
from middleware.decisions.candidate import Candidate
from middleware.decisions.circumstance import open_case
from middleware.decisions.deciding import decide_event
from middleware.decisions.foresight import look_ahead
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    NOW,
    appointment,
    chart,
    decide,
    encounter,
    endpoint,
    own,
)

EVERYTHING = load_shipped({"es": "a reviewer"})
WHEN = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)


def test_what_is_found_once_is_not_looked_for_again() -> None:
    case = open_case(chart(encounter()), own(), LIBRARY, endpoint(), NOW)
    looked: list[str] = []

    def look() -> int:
        looked.append("looked")
        return len(looked)

    assert [case.once(("one",), look) for _ in range(3)] == [1, 1, 1]
    assert case.once(("other",), look) == 2
    other = open_case(chart(encounter()), own(), LIBRARY, endpoint(), NOW)
    assert other.once(("one",), look) == 3, "another case knows nothing of it"


@pytest.mark.parametrize("number", range(len(MIX)))
def test_a_chart_that_was_decided_on_before_is_decided_on_alike(number: int) -> None:
    """What is kept with a chart (codes, indexes) changes nothing of a later decision."""
    names = tuple(plan.id for plan in EVERYTHING.plans)
    here = endpoint(site=replace(endpoint().site, plans_on=names))
    turn = Maker(EVERYTHING, here.id, WHEN).make(number)

    def look(read: Chart) -> list[Candidate]:
        parts = (read, OwnRecord(), EVERYTHING, here)
        found = decide_event(turn.event, *parts, WHEN)
        goes = (item for item in found if item.verdict.outcome is Outcome.SEND)
        gates = (look_ahead(item, *parts) for item in goes if item.kind == "message")
        return [*found, *gates]

    warm = look(turn.chart)
    fresh = Chart(turn.chart.patient, turn.chart.resources, turn.chart.read_at)
    assert look(turn.chart) == warm == look(fresh)
    assert warm


def test_only_what_waits_or_goes_has_sentences_for_staff() -> None:
    found = decide(DISCHARGED, chart(encounter(), appointment(start="2026-11-24")))
    for item in found.values():
        lasting = item.verdict.outcome in (Outcome.SEND, Outcome.HOLD)
        assert bool(item.why) is lasting, item.verdict
    assert len({item.verdict.outcome for item in found.values()}) > 1
