"""Hours in every candidate zone, business days, daylight saving."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import ConfigurationError
from mappings.plan import Timing
from middleware.decisions.timing import (
    Hours,
    business_day_end,
    due_instant,
    is_open,
    never_meet,
    next_close,
    next_open,
    site_windows,
    within_legal,
)
from tests.unit.decisions.story import SITE

CHICAGO = "America/Chicago"
ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Phoenix",
    "America/Los_Angeles",
    "Pacific/Honolulu",
    "Europe/Dublin",
    "Australia/Lord_Howe",
)


def hours(*zones: str, window: tuple[int, int] = (9, 20), **more: object) -> Hours:
    return Hours(zones or (CHICAGO,), window, {6: (12, 18)}, **more)  # type: ignore[arg-type]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("2026-11-20T16:30-06:00", date(2026, 11, 24)),  # Friday
        ("2026-11-25T11:00-06:00", date(2026, 11, 30)),  # before Thanksgiving
        ("2026-11-21T11:00-06:00", date(2026, 11, 24)),  # Saturday
        ("2026-12-23T11:00-06:00", date(2026, 12, 28)),  # before Christmas
        ("2026-11-23T23:30-06:00", date(2026, 11, 25)),  # late on Monday
    ],
)
def test_two_business_days_after_discharge(left: str, expected: date) -> None:
    found = business_day_end(at(left), 2, CHICAGO, "US")
    local = found.astimezone(ZoneInfo(CHICAGO))
    assert (local.date(), local.hour) == (expected, 17)


def test_business_days_know_a_subdivision_and_refuse_an_unknown_country() -> None:
    seward = at("2026-03-27T12:00-08:00")  # Seward's Day is Monday 30 March in Alaska
    alaska = business_day_end(seward, 1, "America/Anchorage", "US-AK")
    assert alaska.astimezone(ZoneInfo("America/Anchorage")).date() == date(2026, 3, 31)
    with pytest.raises(ConfigurationError):
        business_day_end(seward, 1, CHICAGO, "XX")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T08:59-06:00", "2026-11-20T09:00-06:00"),
        ("2026-11-20T09:00-06:00", "2026-11-20T09:00-06:00"),
        ("2026-11-20T19:59-06:00", "2026-11-20T19:59-06:00"),
        ("2026-11-20T20:00-06:00", "2026-11-21T09:00-06:00"),
        ("2026-11-21T21:00-06:00", "2026-11-22T12:00-06:00"),  # to Sunday noon
        ("2026-11-22T18:00-06:00", "2026-11-23T09:00-06:00"),
        ("2026-10-31T21:00-05:00", "2026-11-01T12:00-06:00"),  # clocks go back
        ("2026-03-07T21:00-06:00", "2026-03-08T12:00-05:00"),  # clocks go forward
    ],
)
def test_next_open_moves_into_hours(moment: str, expected: str) -> None:
    assert next_open(at(moment), hours()) == at(expected)


def test_next_open_two_zones_need_both() -> None:
    both = hours("America/Los_Angeles", "America/New_York")
    assert next_open(at("2026-11-20T09:30-05:00"), both) == at("2026-11-20T12:00-05:00")
    assert next_open(at("2026-11-20T20:30-05:00"), both) == at("2026-11-21T12:00-05:00")


def test_next_open_zones_that_never_agree_have_none() -> None:
    never = hours("America/New_York", "Asia/Tokyo", window=(9, 11))
    assert next_open(at("2026-11-20T09:30-05:00"), never) is None


def test_next_open_keeps_to_allowed_days() -> None:
    tuesdays = hours(days=frozenset({1}))
    assert next_open(at("2026-11-20T12:00-06:00"), tuesdays) == at(
        "2026-11-24T09:00-06:00"
    )


def test_patient_window_stays_within_the_lawful_one() -> None:
    assert within_legal((6, 23)) == (8, 21)
    assert within_legal((22, 23)) == (22, 22)


@settings(max_examples=150, deadline=None)
@given(
    moment=st.datetimes(
        datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)
    ),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True),
    window=st.tuples(st.integers(0, 95), st.integers(1, 96)).filter(
        lambda pair: pair[0] < pair[1]
    ),
    holidays=st.sampled_from(["", "US", "US-CA"]),
)
def test_next_open_is_the_first_open_minute(
    moment: datetime, zones: list[str], window: tuple[int, int], holidays: str
) -> None:
    quarters = window[0] / 4, window[1] / 4
    when = Hours(tuple(zones), quarters, holidays=holidays)
    found = next_open(moment, when)
    if found is None:
        step = timedelta(minutes=30)
        tries = (moment + step * count for count in range(8 * 48))
        assert not any(is_open(item, when) for item in tries)
        return
    assert is_open(found, when)
    assert found >= moment
    if found > moment:
        assert not is_open(moment, when)
        assert not is_open(found - timedelta(seconds=1), when)
        gap = found - moment
        assert not any(is_open(moment + gap * part / 23, when) for part in range(23))


# The night in which the clock goes forward, and the one in which it goes back.
NIGHTS = {
    "America/New_York": ("2026-03-08T07:00+00:00", "2026-11-01T06:00+00:00"),
    "America/Los_Angeles": ("2026-03-08T10:00+00:00", "2026-11-01T09:00+00:00"),
    "Australia/Lord_Howe": ("2026-10-03T15:30+00:00", "2026-04-04T15:00+00:00"),
}


@pytest.mark.parametrize("zone", sorted(NIGHTS))
@pytest.mark.parametrize("window", [(1, 3), (1.25, 2), (1.5, 2.5), (2, 3), (2.25, 4)])
def test_each_minute_of_a_changing_night_is_judged_by_the_clock_on_the_wall(
    zone: str, window: tuple[float, float]
) -> None:
    info = ZoneInfo(zone)
    for change in NIGHTS[zone]:
        when, start = Hours((zone,), window), at(change) - timedelta(hours=3)
        minutes = [start + timedelta(minutes=count) for count in range(6 * 60)]
        shown = [moment.astimezone(info) for moment in minutes]
        on_the_wall = [
            window[0] <= local.hour + local.minute / 60 < window[1] for local in shown
        ]
        assert [is_open(moment, when) for moment in minutes] == on_the_wall
        following = None
        for moment, allowed in reversed(list(zip(minutes, on_the_wall, strict=True))):
            following = moment if allowed else following
            if following is not None:
                assert next_open(moment, when) == following


def test_hours_that_the_clock_jumps_over_begin_where_it_lands() -> None:
    night = Hours(("America/New_York",), (2.5, 4))
    assert next_open(at("2026-03-08T01:00-05:00"), night) == at(
        "2026-03-08T03:00-04:00"
    )


def test_site_windows_of_single_weekdays_and_half_hours() -> None:
    site = replace(SITE, windows={"sat": (10, 14), "sun": (0, 0), "xyz": (0, 24)})
    half = Hours((CHICAGO,), (8.5, 17), site_windows(site))
    friday = at("2026-11-20T17:00-06:00")
    assert next_open(friday, half) == at("2026-11-21T10:00-06:00")
    assert next_open(at("2026-11-21T14:00-06:00"), half) == at("2026-11-23T08:30-06:00")


def test_hours_on_holidays_wait_for_the_next_day_that_is_none() -> None:
    closed = hours(holidays="US")
    assert next_open(at("2026-11-26T12:00-06:00"), closed) == at(
        "2026-11-27T09:00-06:00"
    )
    thursdays = hours(days=frozenset({3}), holidays="US")
    eve = at("2026-12-24T20:30-06:00")
    assert next_open(eve, thursdays) == at("2026-12-31T09:00-06:00")
    fridays = hours(days=frozenset({4}), holidays="US")  # Christmas, then New Year
    assert next_open(eve, fridays) == at("2027-01-08T09:00-06:00")


def test_hours_that_never_meet_are_known_from_those_that_wait_for_a_holiday() -> None:
    assert never_meet(hours("America/New_York", "Pacific/Guam", window=(9, 17)))
    assert never_meet(hours(window=(9, 9)))
    assert not never_meet(hours("America/New_York", "Pacific/Honolulu"))
    assert not never_meet(hours(days=frozenset({3}), holidays="US"))


@settings(max_examples=60, deadline=None)
@given(
    start=st.datetimes(
        datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)
    ),
    zone=st.sampled_from(ZONES),
)
def test_reminder_a_day_before_keeps_the_local_time(start: datetime, zone: str) -> None:
    due = due_instant(
        Timing("focus-start", -24, 22),
        event=start,
        start=start,
        activity_day=None,
        zones=(zone,),
        holidays="US",
    )
    assert due is not None
    info = ZoneInfo(zone)
    there, then = due.astimezone(info), start.astimezone(info)
    assert there.date() == then.date() - timedelta(days=1)
    shifted = abs((there.hour * 60 + there.minute) - (then.hour * 60 + then.minute))
    assert shifted in (0, 30, 60)  # moved only where that hour did not exist


def test_due_without_its_anchor_is_none() -> None:
    for anchor in ("focus-start", "activity-due"):
        found = due_instant(
            Timing(anchor, -24, 22),
            event=at("2026-11-20T09:30-05:00"),
            start=None,
            activity_day=None,
            zones=(CHICAGO,),
            holidays="US",
        )
        assert found is None


@pytest.mark.parametrize(
    ("moment", "close"),
    [
        ("2026-11-24T12:00-06:00", "2026-11-24T17:00-06:00"),
        ("2026-11-24T17:00-06:00", "2026-11-24T17:00-06:00"),
        ("2026-11-25T18:00-06:00", "2026-11-27T17:00-06:00"),
        ("2026-11-28T09:00-06:00", "2026-11-30T17:00-06:00"),
        ("2027-03-13T09:00-06:00", "2027-03-15T17:00-05:00"),
    ],
)
def test_next_close_is_that_of_a_business_day(moment: str, close: str) -> None:
    found = next_close(datetime.fromisoformat(moment), "America/Chicago", "US")
    assert found == datetime.fromisoformat(close)
