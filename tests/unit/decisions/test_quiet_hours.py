"""Whatever the zones, the night and the backlog: nothing goes at the wrong hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.nudge import Outcome
from middleware.decisions.timing import holiday_dates
from tests.unit.decisions.story import (
    BOOKED,
    DISCHARGED,
    SITE,
    appointment,
    chart,
    consent,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    own,
    patient,
    reason_of,
)

# Area codes of Chicago, New York, Los Angeles, Denver and Honolulu.
NUMBERS = ("+13125550142", "+12125550142", "+13105550142", "+13035550142")
FAR = "+18085550142"
PLACES: list[dict[str, Any]] = [
    {"state": "IL"},
    {"state": "NY"},
    {"state": "TN"},
    {"state": "AZ", "postalCode": "86033"},
    {"state": "OR"},
    {"state": "HI"},
]
WINDOW = (9, 20)


def person(number: str, place: dict[str, Any]) -> dict[str, Any]:
    point = {"system": "sms", "value": number, "use": "mobile", "rank": 1}
    return patient(telecom=[point], address=[place])


def permitted(number: str) -> Any:
    return own(consents=(consent(value=number),))


def shown(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone))


moments = st.one_of(
    st.datetimes(
        datetime(2026, 11, 20, 18), datetime(2026, 11, 29), timezones=st.just(UTC)
    ),
    # Around both nights in which the clock changes.
    st.datetimes(
        datetime(2027, 3, 13, 20), datetime(2027, 3, 15), timezones=st.just(UTC)
    ),
    st.datetimes(
        datetime(2027, 11, 6, 20), datetime(2027, 11, 8), timezones=st.just(UTC)
    ),
)


@settings(max_examples=120, deadline=None)
@given(
    left=moments,
    backlog=st.timedeltas(timedelta(0), timedelta(days=6)),
    number=st.sampled_from((*NUMBERS, FAR)),
    place=st.sampled_from(PLACES),
)
def test_after_any_backlog_a_message_goes_in_hours_and_in_time_or_not_at_all(
    left: datetime, backlog: timedelta, number: str, place: dict[str, Any]
) -> None:
    """The worker was away from the due time on; what it does then is right."""
    stay = encounter(period={"start": "2026-11-01", "end": left.isoformat()})
    who, mine = person(number, place), permitted(number)
    what = replace(DISCHARGED, occurred_at=left, received_at=left)
    read = chart(stay, person=who, read_at=left)
    candidate = decide(what, read, mine, at=left)["post-discharge/check-in"]
    if candidate.verdict.outcome is not Outcome.SEND:
        assert reason_of(candidate) in (
            "hold: hours-never-meet",
            "cancel: window-passed",
        )
        return
    now = candidate.due_at + backlog
    nudge = nudge_of(candidate, created_at=left)
    found = look_again(nudge, read, mine, at=now)
    zones = [fact.value for fact in candidate.verdict.facts if "address" in fact.path]
    assert zones
    if found.verdict.outcome is Outcome.SEND:
        assert nudge.due_at <= now < nudge.expires_at
        for zone in zones[0].split(", "):
            local = shown(now, zone)
            first, last = (12, 18) if local.weekday() == 6 else WINDOW
            assert first <= local.hour < last
            assert local.date() not in holiday_dates("US", local.year)
    elif found.verdict.outcome is Outcome.HOLD:
        assert found.verdict.until is not None
        assert now < found.verdict.until < nudge.expires_at
    else:
        assert found.verdict.reason == "window-passed"


def test_number_and_address_far_apart_mean_the_hours_that_both_allow() -> None:
    who = person("+18085550142", {"state": "NY"})
    found = decide(
        DISCHARGED, chart(encounter(), person=who), permitted("+18085550142")
    )["post-discharge/check-in"]
    assert reason_of(found) == "send: due"
    # Saturday 16:30 in Chicago is 17:30 in New York and 12:30 in Honolulu.
    assert shown(found.due_at, "America/New_York").hour == 17


def test_hours_that_never_meet_are_held_for_a_person() -> None:
    who = person("+16715550142", {"state": "NY"})  # a number of Guam
    mine = permitted("+16715550142")
    site = endpoint(site=replace(SITE, window=(10, 16)))
    read = chart(encounter(), person=who)
    found = decide(DISCHARGED, read, mine, where=site)["post-discharge/check-in"]
    assert reason_of(found) == "hold: hours-never-meet"
    assert found.task is not None
    assert "time zones" in found.task.text


def test_no_discretionary_message_on_a_public_holiday_unless_the_site_says_so() -> None:
    left = datetime(2026, 11, 25, 20, tzinfo=UTC)  # the day before Thanksgiving
    stay = encounter(period={"end": left.isoformat()})
    what = replace(DISCHARGED, occurred_at=left, received_at=left)
    read = chart(stay, read_at=left)
    closed = decide(what, read, at=left)["post-discharge/check-in"]
    assert shown(closed.due_at, "America/Chicago").isoformat() == (
        "2026-11-27T09:00:00-06:00"
    )
    works = endpoint(site=replace(SITE, holiday_messages=True))
    opened = decide(what, read, at=left, where=works)["post-discharge/check-in"]
    assert opened.due_at == left + timedelta(days=1)


def test_a_visit_reminder_goes_on_a_holiday_too() -> None:
    visit = appointment(start="2026-11-27T10:00:00-06:00")
    found = decide(BOOKED, chart(visit))
    reminder = next(item for name, item in found.items() if name.endswith("/one-day"))
    assert shown(reminder.due_at, "America/Chicago").date().isoformat() == "2026-11-26"


@pytest.mark.parametrize(
    ("windows", "expected"),
    [({}, "2026-11-21T16:30"), ({"sat": (10, 14)}, "2026-11-22T12:00")],
)
def test_site_may_allow_less_on_a_weekday(windows: Any, expected: str) -> None:
    where = endpoint(site=replace(SITE, windows=windows))
    found = decide(DISCHARGED, chart(encounter()), where=where)
    due = found["post-discharge/check-in"].due_at
    assert shown(due, "America/Chicago").isoformat().startswith(expected)
