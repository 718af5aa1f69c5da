"""How far back news may lie: judged by a thing's own dates, before a chart is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.content import load_shipped
from mappings.event import EventKind
from mappings.plan import Library
from middleware.decisions.reach import SLACK, is_past, reach, told_instant
from middleware.decisions.transitions import match_transitions

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIBRARY = load_shipped({})
NONE = Library(plans=(), wordings=(), value_sets={}, dispositions={})


def stay(**fields: Any) -> dict[str, Any]:
    return {"resourceType": "Encounter", "id": "x", "status": "finished", **fields}


def told(resource: dict[str, Any], *, seen: bool = False) -> datetime | None:
    return told_instant(resource, NOW, seen=seen)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (stay(period={"start": "2019", "end": "2020-02-03"}), "2020-02-04"),
        (stay(actualPeriod={"end": "2020-02-03T10:00:00Z"}), "2020-02-03T10:00"),
        (stay(period={"start": "2020-02-03"}), "2020-02-04"),
        (stay(), None),
        (stay(period={"end": "soon"}), None),
        (stay(_deleted=True), None),
        ({"resourceType": "Appointment", "start": "2020-02-03"}, "2020-02-04"),
        ({"resourceType": "Appointment"}, "now"),
        ({"resourceType": "CarePlan", "period": {"start": "2020-02-03"}}, "2020-02-04"),
        ({"resourceType": "CarePlan"}, "now"),
        (
            {
                "resourceType": "CarePlan",
                "period": {"end": "2020"},
                "activity": [
                    {"detail": {"scheduledTiming": {"event": ["2021-05-01"]}}},
                    {"detail": {"scheduledString": "on 2022-06-01, fasting"}},
                ],
            },
            "2022-06-02",
        ),
        (
            {
                "resourceType": "CarePlan",
                "period": {"start": "2020-02-03"},
                "activity": [
                    {
                        "detail": {
                            "scheduledPeriod": {
                                "start": "2022-05-31T09:00:00-05:00",
                                "end": "2022-06-01T17:00:00-05:00",
                            }
                        }
                    },
                ],
            },
            "2022-06-02",
        ),
        (
            {
                "resourceType": "CarePlan",
                "activity": [{"plannedActivityReference": {"reference": "Task/1"}}],
            },
            "now",
        ),
        (
            {
                "resourceType": "CarePlan",
                "period": {"end": "2020-02-03"},
                "activity": [{"reference": {"reference": "Task/1"}}],
            },
            "2020-02-04",
        ),
    ],
)
def test_a_thing_tells_of_its_own_last_day(
    resource: dict[str, Any], expected: str | None
) -> None:
    wanted = NOW if expected == "now" else expected and _utc(expected)
    assert told(resource) == wanted


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_end_of_a_stay_that_was_seen_needs_no_date() -> None:
    assert told(stay(), seen=True) == NOW
    assert told(stay(period={"end": "2020-02-03"}), seen=True) == _utc("2020-02-04")


def test_each_kind_reaches_as_far_as_its_longest_plan() -> None:
    windows = {kind: reach(LIBRARY, kind) for kind in EventKind}
    discharge = windows[EventKind.ENCOUNTER_DISCHARGED]
    assert windows[EventKind.ENCOUNTER_CORRECTED] == discharge
    assert discharge == timedelta(hours=672 + 48) + SLACK
    assert windows[EventKind.APPOINTMENT_BOOKED] < timedelta(0) + SLACK
    assert windows[EventKind.ENCOUNTER_ADMITTED] == max(windows.values())
    assert reach(NONE, EventKind.ENCOUNTER_DISCHARGED) == SLACK


def test_no_plan_ever_sends_after_its_reach() -> None:
    """Whatever is planned for a kind expires before the kind is past."""
    for plan in LIBRARY.plans:
        for trigger in plan.triggers:
            for action in plan.actions:
                timing = action.timing
                last = timedelta(hours=timing.offset_hours + timing.window_hours)
                assert reach(LIBRARY, EventKind(trigger)) >= last + SLACK


def test_past_is_what_lies_further_back_or_says_nothing() -> None:
    ended = stay(period={"end": "2026-11-20T11:00:00Z"})
    (found,), _ = match_transitions(None, [ended])
    span = reach(LIBRARY, found.kind)
    assert not is_past(found, LIBRARY, NOW)
    assert found.tells_of is not None
    assert not is_past(found, LIBRARY, found.tells_of + span)
    assert is_past(found, LIBRARY, found.tells_of + span + timedelta(seconds=1))
    assert is_past(replace(found, tells_of=None), LIBRARY, NOW)
