"""The two nights on which the patient's clock is changed, in the patient's own zone."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from mappings.errors import BadInputError
from middleware.desk.editing.moving import offer_moments, read_moment
from middleware.desk.editing.pausing import end_of_day
from middleware.desk.formats import write_instant
from middleware.desk.sentences import write_last_day
from middleware.desk.viewer import viewer_of
from tests.unit.desk_views import preference, view

# zone, the night and a time in the hour that comes twice, both instants of it
TWICE = [
    ("America/Los_Angeles", "2026-11-01", "01:30", "08:30", "09:30"),
    ("America/New_York", "2026-11-01", "01:00", "05:00", "06:00"),
    ("Europe/Berlin", "2026-10-25", "02:59", "00:59", "01:59"),
    ("America/Havana", "2026-11-01", "00:15", "04:15", "05:15"),
]
NEVER = [
    ("America/Los_Angeles", "2026-03-08", "02:30"),
    ("Europe/Berlin", "2026-03-29", "02:00"),
    ("America/Havana", "2026-03-08", "00:15"),
]
ONCE = [
    ("America/Los_Angeles", "2026-11-01", "00:59", "07:59"),
    ("America/Los_Angeles", "2026-11-01", "02:00", "10:00"),
    ("America/Los_Angeles", "2026-03-08", "03:00", "10:00"),
    ("America/Phoenix", "2026-11-01", "01:30", "08:30"),
]


def at(zone, tag="en-US"):
    found = view(preferences=(preference("zone", zone),))
    return replace(found, viewer=viewer_of(tag))


@pytest.mark.parametrize(("zone", "day", "time", "first", "second"), TWICE)
def test_an_hour_that_comes_twice_is_chosen_and_never_guessed(
    zone, day, time, first, second
):
    with pytest.raises(BadInputError, match="choose which of the two"):
        read_moment(at(zone), day, time)
    with pytest.raises(BadInputError, match="choose which of the two"):
        read_moment(at(zone), day, time, "2")
    for which, clock in (("0", first), ("1", second)):
        moment = read_moment(at(zone), day, time, which)
        assert moment == datetime.fromisoformat(f"{day}T{clock}+00:00")
    assert [item.value for item in offer_moments(at(zone), day, time)] == ["0", "1"]


@pytest.mark.parametrize(("zone", "day", "time"), NEVER)
def test_an_hour_that_does_not_come_is_refused(zone, day, time):
    for which in ("", "0", "1"):
        with pytest.raises(BadInputError, match="that time does not come"):
            read_moment(at(zone), day, time, which)
    assert offer_moments(at(zone), day, time) == ()


@pytest.mark.parametrize(("zone", "day", "time", "instant"), ONCE)
def test_an_hour_beside_it_asks_nothing(zone, day, time, instant):
    moment = read_moment(at(zone), day, time)
    assert moment == datetime.fromisoformat(f"{day}T{instant}+00:00")
    assert offer_moments(at(zone), day, time) == ()


def test_both_are_named_by_their_zone_in_the_viewers_language():
    names = [
        item.text
        for tag in ("en-US", "es-MX")
        for item in offer_moments(at("America/Los_Angeles", tag), "2026-11-01", "01:30")
    ]
    assert names[0].startswith("1:30 AM PDT, before")
    assert names[1].startswith("1:30 AM PST, after")
    assert "GMT-07:00, antes" in names[2]
    assert "GMT-08:00, después" in names[3]


def test_a_time_in_that_hour_says_its_zone_wherever_it_is_shown():
    found = at("America/Los_Angeles")
    times = [
        write_instant(
            found.viewer, datetime(2026, 11, 1, hour, 30, tzinfo=UTC), found.zone
        ).time
        for hour in (7, 8, 9, 10)
    ]
    assert times == ["12:30 AM", "1:30 AM PDT", "1:30 AM PST", "2:30 AM"]


# Midnight is skipped there, comes twice, and is like any other.
NIGHTS = [
    ("Africa/Cairo", date(2027, 4, 29), "Thu, Apr 29, 2027"),
    ("Atlantic/Azores", date(2027, 3, 27), "Sat, Mar 27, 2027"),
    ("America/Havana", date(2027, 11, 6), "Sat, Nov 6, 2027"),
    ("America/Chicago", date(2026, 11, 20), "Fri, Nov 20"),
]


@pytest.mark.parametrize(("zone", "last", "words"), NIGHTS)
def test_a_pause_says_the_last_day_that_was_chosen(zone, last, words):
    one = at(zone)
    until = end_of_day(last, one).astimezone(UTC)
    assert write_last_day(one, until) == words
