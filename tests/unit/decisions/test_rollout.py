"""Plans that are switched on step by step, and pause when people object."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.errors import BadInputError
from mappings.plan import Plan
from middleware.decisions.rollout import (
    check_step,
    check_trial,
    objects_too_much,
    place_of,
    why_not,
)
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    NOW,
    SITE,
    chart,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    reason_of,
)

ROSA = "Patient/rosa"
PLAN = next(item for item in LIBRARY.plans if item.id == "post-discharge")
QUIET = replace(PLAN, default_on=False)
PLACE = place_of("post-discharge", ROSA)


@pytest.mark.parametrize(
    ("plan", "site", "where", "expected"),
    [
        (PLAN, {}, {}, ""),
        (PLAN, {"plans_off": (PLAN.id,)}, {}, "plan-off"),
        (PLAN, {}, {"governed": True}, "plan-off"),
        (PLAN, {}, {"governed": True, "rollout": {PLAN.id: 100}}, ""),
        (PLAN, {}, {"rollout": {PLAN.id: 0}}, "plan-off"),
        (
            PLAN,
            {},
            {"rollout": {PLAN.id: PLACE}},
            "not-in-stage" if PLACE else "plan-off",
        ),
        (PLAN, {}, {"rollout": {PLAN.id: PLACE + 1}}, ""),
        (PLAN, {"plans_off": (PLAN.id,)}, {"rollout": {PLAN.id: 100}}, "plan-off"),
        (QUIET, {}, {}, "plan-off"),
        (QUIET, {"plans_on": (PLAN.id,)}, {}, ""),
        (QUIET, {"plans_on": (PLAN.url,)}, {}, ""),
        (QUIET, {"plans_on": (PLAN.id,)}, {"governed": True}, "plan-off"),
        (QUIET, {}, {"governed": True, "rollout": {PLAN.id: 100}}, ""),
    ],
)
def test_a_plan_speaks_only_where_it_is_on(
    plan: Plan, site: dict[str, Any], where: dict[str, Any], expected: str
) -> None:
    here = endpoint(site=replace(SITE, **site), **where)
    assert why_not(plan, here, ROSA, NOW) == expected


def test_who_is_in_stays_in_and_the_shares_are_right() -> None:
    places = [place_of("colorectal", f"Patient/{n}") for n in range(10_000)]
    assert places == [place_of("colorectal", f"Patient/{n}") for n in range(10_000)]
    for percent in (5, 25):
        share = sum(place < percent for place in places) / len(places)
        assert abs(share * 100 - percent) < 1.5
    others = [place_of("no-show", f"Patient/{n}") for n in range(10_000)]
    both = sum(a < 25 and b < 25 for a, b in zip(places, others, strict=True))
    assert both < 900, "the first patients of one plan are not those of another"


def test_a_patient_outside_the_stage_is_told_apart_from_a_plan_that_is_off() -> None:
    here = endpoint(rollout={PLAN.id: PLACE}, governed=True)
    found = decide(DISCHARGED, chart(encounter()), where=here)
    assert reason_of(found["post-discharge/check-in"]) == "cancel: not-in-stage"
    assert reason_of(found["ed-followup/ed-followup-1"]) == "cancel: plan-off"


def test_what_is_planned_ends_when_its_plan_is_switched_off() -> None:
    nudge = nudge_of(decide(DISCHARGED, chart(encounter()))["post-discharge/check-in"])
    off = endpoint(rollout={PLAN.id: 0})
    again = look_again(nudge, chart(encounter()), where=off)
    assert reason_of(again) == "cancel: plan-off"


@pytest.mark.parametrize(("present", "wanted"), [(0, 5), (5, 25), (25, 100), (100, 5)])
def test_the_next_step_may_be_taken(present: int, wanted: int) -> None:
    check_step(present, wanted)


@pytest.mark.parametrize(
    ("present", "wanted", "fault"),
    [
        (0, 25, "is 5 percent"),
        (0, 100, "is 5"),
        (5, 100, "is 25"),
        (5, 50, "5, 25, 100"),
    ],
)
def test_no_step_is_left_out(present: int, wanted: int, fault: str) -> None:
    with pytest.raises(BadInputError, match=fault):
        check_step(present, wanted)


def test_a_trial_counts_for_thirty_days() -> None:
    check_trial(NOW - timedelta(days=30), NOW)
    for tried in (None, NOW - timedelta(days=30, seconds=1)):
        with pytest.raises(BadInputError, match="dry-run first"):
            check_trial(tried, NOW)


@pytest.mark.parametrize(
    ("told", "objected", "expected"),
    [(19, 19, False), (20, 0, False), (100, 3, False), (100, 4, True), (20, 1, True)],
)
def test_a_plan_pauses_beyond_its_limit(
    told: int, objected: int, expected: bool
) -> None:
    assert objects_too_much(told, objected, 3) is expected
