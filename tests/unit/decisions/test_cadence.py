"""When charts are looked at: evenly spread, and each patient on the same beat."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from middleware.decisions.cadence import APART, PER_MINUTE, next_review

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


@given(st.text(max_size=20), st.floats(0.01, 400), st.integers(0, 10**6))
def test_next_review_comes_within_one_interval(
    patient: str, days: float, minutes: int
) -> None:
    now = NOW + timedelta(minutes=minutes)
    found = next_review("north", patient, days, now)
    assert now < found <= now + timedelta(days=days) + timedelta(seconds=1)


def test_each_patient_keeps_the_same_beat() -> None:
    first = next_review("north", "Patient/rosa", 7, NOW)
    assert next_review("north", "Patient/rosa", 7, first) == first + WEEK
    assert next_review("north", "Patient/rosa", 7, first + WEEK * 2.5) == (
        first + WEEK * 3
    )


def test_patients_of_one_minute_come_spread_over_the_week() -> None:
    hours = Counter(
        (next_review("north", f"Patient/{number}", 7, NOW) - NOW) // timedelta(hours=1)
        for number in range(16_800)
    )
    assert len(hours) == 168
    assert max(hours.values()) < 160


def test_pace_holds_a_hundred_thousand_patients_in_a_week() -> None:
    assert timedelta(minutes=1) == APART * PER_MINUTE
    assert WEEK / APART > 100_000
