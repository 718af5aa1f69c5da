"""One budget across plans and channels, and the more valuable message first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.preference import ComingMessage, SentMessage
from middleware.decisions.fatigue import (
    ORDER,
    RANKS,
    UNBLOCKED,
    WEEK,
    YEAR,
    Budget,
    Wait,
    is_discretionary,
    next_allowed,
    rank_of,
)
from tests.unit.decisions.story import NOW

CHICAGO = "America/Chicago"
STAY = ("post-discharge", "Encounter/stay")
MIDNIGHT = datetime(2026, 11, 21, 6, tzinfo=UTC)
TOPICS = [topic for line in ORDER for topic in line]


def wait(
    *sent: SentMessage,
    coming: tuple[ComingMessage, ...] = (),
    now: datetime = NOW,
    budget: Budget | None = None,
    **changes: Any,
) -> Wait | None:
    values: dict[str, Any] = {
        "topic": "post-discharge",
        "priority": 20,
        "journey": STAY,
        "counts": True,
    }
    limits = budget or Budget(CHICAGO)
    return next_allowed(sent, coming, now=now, budget=limits, **(values | changes))


def until(*sent: SentMessage, **changes: Any) -> datetime | None:
    found = wait(*sent, **changes)
    return found.until if found else None


def ago(
    hours: float,
    topic: str = "care-plan",
    about: tuple[str, str, str] | None = None,
    channel: str = "sms",
) -> SentMessage:
    return SentMessage(NOW - timedelta(hours=hours), topic, channel, about=about)


def ahead(hours: float, topic: str, priority: int = 50) -> ComingMessage:
    due = NOW + timedelta(hours=hours)
    return ComingMessage(f"n{hours}{topic}", due, topic, priority)


def test_nothing_sent_is_allowed_now() -> None:
    assert wait() is None


def test_second_of_a_day_waits_for_local_midnight() -> None:
    assert until(ago(2)) == MIDNIGHT
    assert until(ago(20)) is None


def test_fourth_of_a_week_waits_until_the_first_is_a_week_old() -> None:
    sent = (ago(160), ago(100), ago(50))
    assert until(*sent) == NOW + timedelta(hours=8)
    assert until(*sent, budget=Budget(CHICAGO, per_week=4)) is None
    assert until(ago(169), ago(100), ago(50)) is None


def test_visit_and_safety_messages_count_and_are_not_held_by_others() -> None:
    full = (ago(2), ago(30), ago(60), ago(90))
    for topic in ("appointment", "safety"):
        assert wait(*full, topic=topic, priority=10, counts=False) is None
        assert until(ago(2, topic)) == MIDNIGHT
        assert until(ago(100, topic), ago(60, topic), ago(30, topic)) is not None


def test_a_visit_plan_says_a_thing_once_a_day() -> None:
    reminder = ("https://x.example/PlanDefinition/reminder", "Appointment/a", "1")
    values: dict[str, Any] = {"topic": "appointment", "priority": 10, "counts": False}
    said = ago(2, "appointment", reminder)
    assert until(said, journey=("reminder", "Appointment/b"), **values) == MIDNIGHT
    assert wait(said, journey=("moved", "Appointment/a"), **values) is None
    assert wait(
        ago(24, "appointment", reminder), journey=("reminder", ""), **values
    ) is (None)


def test_a_visit_message_of_another_system_is_not_said_again_that_day() -> None:
    values: dict[str, Any] = {"topic": "appointment", "priority": 10, "counts": False}
    assert until(ago(2, "appointment"), **values) == MIDNIGHT


def test_answers_to_the_patient_do_not_count() -> None:
    assert wait(ago(1, "reply")) is None
    assert wait(ago(1), topic="reply") is None


def test_limit_of_zero_holds() -> None:
    found = wait(budget=Budget(CHICAGO, per_week=0))
    assert found is not None
    assert found.until == NOW + timedelta(days=7)


def test_tenth_discretionary_text_of_twelve_months_waits_for_the_first_to_age() -> None:
    sent = [ago(24 * days, "education") for days in range(30, 300, 30)]
    found = wait(*sent)
    assert len(sent) == 9
    assert found is not None
    assert found.until == NOW - timedelta(days=270) + YEAR
    assert wait(*sent[:8]) is None
    assert wait(*[ago(24 * days, "appointment") for days in range(30, 330, 30)]) is None
    assert wait(*sent, topic="appointment", priority=10, counts=False) is None


def test_one_automated_call_in_twelve_months_and_texts_beside_it() -> None:
    call = ago(24 * 200, "survey", channel="voice")
    found = wait(call, channel="voice")
    assert found is not None
    assert found.until == call.sent_at + YEAR
    assert wait(call, channel="sms") is None
    assert (
        wait(*[ago(24 * 30 * n, "education") for n in range(1, 10)], channel="voice")
        is None
    )


@pytest.mark.parametrize("hours", [0.5, 4, 5.9])
def test_what_is_more_urgent_and_planned_today_keeps_its_place(hours: float) -> None:
    urgent = ahead(hours, "post-discharge", 20)
    found = wait(coming=(urgent,), topic="preventive", priority=60)
    assert found is not None
    assert (found.until, found.coming, found.because) == (MIDNIGHT, True, urgent.due_at)
    same = (ahead(hours, "preventive", 60), ahead(hours, "education", 80))
    assert wait(coming=same, topic="preventive", priority=60) is None


def test_what_is_overdue_and_more_urgent_goes_first() -> None:
    urgent = ahead(-5, "post-discharge", 20)
    assert until(coming=(urgent,), topic="survey", priority=70) == MIDNIGHT


def test_three_planned_for_the_week_leave_no_place_for_less() -> None:
    coming = tuple(ahead(24 * days, "post-discharge", 20) for days in (1, 3, 6))
    found = wait(coming=coming, topic="education", priority=80)
    assert found is not None
    assert found.until == coming[0].due_at + WEEK
    assert wait(coming=coming[:2], topic="education", priority=80) is None


def test_reminders_to_come_keep_the_ceiling_though_nothing_holds_them() -> None:
    coming = tuple(ahead(24 * days, "appointment", 10) for days in (1, 2, 3))
    assert wait(coming=coming, topic="education", priority=80) is not None


def test_order_of_topics_is_not_turned_by_a_plans_own_number() -> None:
    urgent = ahead(2, "post-discharge", 99)
    assert until(coming=(urgent,), topic="marketing", priority=1) == MIDNIGHT
    ranks = [rank_of(topic, 50) for topic in TOPICS]
    assert ranks == sorted(ranks)
    assert rank_of("of-the-site", 50) < rank_of("social", 1)


def test_same_topic_within_a_week_waits_unless_it_is_one_journey() -> None:
    visit = ("https://x.example/PlanDefinition/colorectal", "Patient/rosa", "2026")
    said = ago(48, "preventive", visit)
    values: dict[str, Any] = {"topic": "preventive", "priority": 60}
    found = wait(said, journey=("breast", "Patient/rosa"), **values)
    assert found is not None
    assert (found.reason, found.until) == ("same-topic", said.sent_at + WEEK)
    assert wait(said, journey=("colorectal", "Patient/rosa"), **values) is None
    bundled = wait(
        said, journey=("breast", "Patient/rosa"), beside=("colorectal",), **values
    )
    assert bundled is None
    assert wait(said, topic="survey", priority=70) is None
    assert wait(
        ago(24 * 7, "preventive", visit), journey=("b", "Patient/r"), **values
    ) is (None)


def test_plans_about_one_stay_are_one_journey_and_another_stay_is_not() -> None:
    said = ago(30, "post-discharge", ("check-in", "Encounter/stay", "once"))
    assert wait(said, journey=("book-visit", "Encounter/stay")) is None
    other = wait(said, journey=("check-in", "Encounter/other"))
    assert other is not None
    assert other.reason == "same-topic"


def test_what_others_sent_about_the_same_matter_counts() -> None:
    found = wait(ago(48, "survey"), topic="survey", priority=70)
    assert found is not None
    assert found.reason == "same-topic"


def test_every_topic_but_safety_and_visits_is_held_by_the_budget() -> None:
    assert {topic for topic in RANKS if not is_discretionary(topic)} == UNBLOCKED


@settings(max_examples=200, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 20 * 24 * 60), max_size=12),
    ahead_of=st.lists(st.integers(0, 9 * 24 * 60), max_size=4),
    week=st.integers(1, 5),
)
def test_what_it_waits_for_is_a_time_at_which_it_may_go(
    offsets: list[int], ahead_of: list[int], week: int
) -> None:
    sent = [ago(minutes / 60) for minutes in offsets]
    coming = tuple(ahead(minutes / 60, "safety", 0) for minutes in ahead_of)
    budget = Budget(CHICAGO, per_week=week)
    found = until(*sent, budget=budget, coming=coming)
    moment = found or NOW
    if found is not None:
        assert found > NOW
        gone = [SentMessage(item.due_at, "safety", "sms") for item in coming]
        past = [item for item in gone if item.sent_at <= found]
        left = tuple(item for item in coming if item.due_at > found)
        assert until(*sent, *past, budget=budget, coming=left, now=found) is None
    recent = [item for item in sent if timedelta(0) <= moment - item.sent_at < WEEK]
    assert len(recent) < week


@dataclass
class Sender:
    """Sends whatever is due and allowed, as the gate does, one at a time."""

    budget: Budget
    sent: list[SentMessage] = field(default_factory=list)
    waiting: list[ComingMessage] = field(default_factory=list)

    def attempt(self, item: ComingMessage, now: datetime) -> bool:
        rest = [other for other in self.waiting if other is not item]
        found = next_allowed(
            self.sent,
            rest,
            topic=item.topic,
            priority=item.priority,
            journey=(item.key, f"Encounter/{item.key}"),
            budget=self.budget,
            now=now,
            counts=item.topic not in UNBLOCKED,
        )
        if found is not None:
            return False
        self.waiting.remove(item)
        about = (item.key, f"Encounter/{item.key}", "")
        self.sent.append(SentMessage(now, item.topic, "sms", about=about))
        return True


def check_ceiling(sent: list[SentMessage], budget: Budget, zone: str) -> None:
    """No discretionary message ever went where the ceiling was reached already."""
    for index, item in enumerate(sent):
        if not is_discretionary(item.topic):
            continue
        before = sent[: index + 1]
        info = ZoneInfo(zone)
        day = item.sent_at.astimezone(info).date()
        same = [one for one in before if one.sent_at.astimezone(info).date() == day]
        week = [one for one in before if item.sent_at - one.sent_at < WEEK]
        year = [
            one
            for one in before
            if item.sent_at - one.sent_at < YEAR and is_discretionary(one.topic)
        ]
        assert len(same) <= budget.per_day
        assert len(week) <= budget.per_week
        assert len(year) <= budget.per_year


events = st.lists(
    st.tuples(
        st.sampled_from(["plan", "plan", "try", "try", "try", "wait", "sweep"]),
        st.integers(0, 30 * 24),
        st.sampled_from(TOPICS),
    ),
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(
    what=events,
    day=st.integers(1, 2),
    week=st.integers(1, 4),
    year=st.integers(1, 9),
    zone=st.sampled_from([CHICAGO, "Pacific/Honolulu", "America/New_York"]),
)
def test_the_ceiling_is_never_exceeded_under_any_order_of_events(
    what: list[tuple[str, int, str]], day: int, week: int, year: int, zone: str
) -> None:
    """Plan, try in any order, wait, sweep: whatever comes, the cap holds."""
    budget = Budget(zone, day, week, year)
    sender, now = Sender(budget), NOW - timedelta(days=20)
    for number, (verb, size, topic) in enumerate(what):
        if verb == "plan":
            due = now + timedelta(hours=size / 3)
            priority = size % 90
            sender.waiting.append(ComingMessage(f"n{number}", due, topic, priority))
        elif verb == "wait":
            now += timedelta(hours=size / 2, minutes=size)
        due_now = [item for item in sender.waiting if item.due_at <= now]
        if verb == "try" and due_now:
            sender.attempt(due_now[size % len(due_now)], now)
        elif verb == "sweep":
            for item in due_now:
                sender.attempt(item, now)
    check_ceiling(sender.sent, budget, zone)


def test_the_most_valuable_of_a_day_goes_whatever_the_order_of_the_attempts() -> None:
    items = [
        ComingMessage("survey", NOW, "survey", 70),
        ComingMessage("check-in", NOW + timedelta(minutes=30), "post-discharge", 20),
        ComingMessage("gap", NOW - timedelta(hours=3), "preventive", 60),
    ]
    for order in permutations(items):
        sender = Sender(Budget(CHICAGO), waiting=list(order))
        for moment in (NOW, NOW + timedelta(minutes=31)):
            for item in order:
                if item in sender.waiting and item.due_at <= moment:
                    sender.attempt(item, moment)
        assert [item.topic for item in sender.sent] == ["post-discharge"]
