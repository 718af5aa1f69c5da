"""The budget per day and week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.preference import SentMessage
from middleware.decisions.fatigue import next_allowed
from tests.unit.decisions.story import NOW

CHICAGO = "America/Chicago"


def allowed(
    *sent: SentMessage,
    topic: str = "post-discharge",
    counts: bool = True,
    week: int = 3,
    now: datetime = NOW,
) -> datetime | None:
    return next_allowed(
        sent,
        topic=topic,
        counts=counts,
        zone=CHICAGO,
        max_per_day=1,
        max_per_week=week,
        now=now,
    )


def ago(hours: float, topic: str = "care-plan") -> SentMessage:
    return SentMessage(NOW - timedelta(hours=hours), topic, "sms")


def test_nothing_sent_is_allowed_now() -> None:
    assert allowed() is None


def test_second_of_a_day_waits_for_local_midnight() -> None:
    assert allowed(ago(2)) == datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert allowed(ago(20)) is None


def test_fourth_of_a_week_waits_until_the_first_is_a_week_old() -> None:
    sent = (ago(160), ago(100), ago(50))
    assert allowed(*sent) == NOW + timedelta(hours=8)
    assert allowed(*sent, week=4) is None
    assert allowed(ago(169), ago(100), ago(50)) is None


def test_visit_messages_count_but_are_not_held_by_others() -> None:
    assert allowed(ago(2), topic="appointment", counts=False) is None
    assert allowed(ago(2, "appointment")) is not None


def test_one_visit_reminder_per_day() -> None:
    sent = ago(2, "appointment")
    assert allowed(sent, topic="appointment", counts=False) == datetime(
        2026, 11, 21, 6, tzinfo=UTC
    )


def test_answers_to_the_patient_do_not_count() -> None:
    assert allowed(ago(1, "reply"), ago(2, "safety")) is None
    assert allowed(ago(1), topic="reply") is None


def test_limit_of_zero_holds() -> None:
    assert allowed(week=0) == NOW + timedelta(days=7)


@settings(max_examples=200, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 20 * 24 * 60), max_size=12),
    week=st.integers(1, 5),
)
def test_what_is_allowed_never_breaks_the_budget(offsets: list[int], week: int) -> None:
    sent = [ago(minutes / 60) for minutes in offsets]
    found = allowed(*sent, week=week)
    moment = found or NOW
    recent = [
        item
        for item in sent
        if timedelta(0) <= moment - item.sent_at < timedelta(days=7)
    ]
    assert len(recent) < week or len(sent) == 0
    if found is not None:
        assert found > NOW
        assert allowed(*sent, week=week, now=found) is None
