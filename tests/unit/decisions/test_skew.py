"""An EHR's clock may be ahead of ours; what has arrived has happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.nudge import Outcome
from tests.unit.decisions.story import BOOKED, appointment, chart, decide

NAME = "appointment-reminder/one-day"


def test_a_visit_stored_by_a_fast_clock_is_still_reminded_of() -> None:
    ahead = replace(BOOKED, occurred_at=BOOKED.received_at + timedelta(days=300))
    found = decide(ahead, chart(appointment()))[NAME]
    assert found.verdict == decide(BOOKED, chart(appointment()))[NAME].verdict
    assert found.verdict.outcome is Outcome.SEND
