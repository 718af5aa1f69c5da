"""Which plans are started and in force: indexed by trigger, on, off and lapsed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mappings.event import EventKind
from mappings.plan import Library, Plan
from middleware.decisions.matching import (
    days_left,
    find_action,
    is_ending,
    is_off,
    match_plans,
)
from tests.unit.decisions.story import (
    DISCHARGED,
    LIBRARY,
    SITE,
    chart,
    decide,
    encounter,
    endpoint,
    look_again,
    nudge_of,
    reason_of,
)

PLAN = next(item for item in LIBRARY.plans if item.id == "post-discharge")


def plan(**changes: Any) -> Plan:
    return replace(PLAN, **changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize("kind", list(EventKind))
def test_index_by_trigger_tells_what_a_look_at_every_plan_would(
    kind: EventKind,
) -> None:
    scanned = [item for item in LIBRARY.plans if kind.value in item.triggers]
    if kind.value not in ("encounter-corrected", "careplan-activity-due"):
        assert list(match_plans(LIBRARY, kind)) == scanned


def test_plans_that_an_event_does_not_start_are_not_looked_at() -> None:
    looks: list[str] = []

    class Looked(Plan):
        @property
        def triggers(self) -> tuple[str, ...]:
            looks.append(self.id)
            return ("appointment-noshow",)

        @triggers.setter
        def triggers(self, value: tuple[str, ...]) -> None:
            """Keep nothing: it is a look that is counted."""

    others = {name: value for name, value in vars(PLAN).items() if name != "id"}
    library = Library(
        (PLAN, *(Looked(**others, id=f"p{n}") for n in range(500))), (), {}, {}
    )
    for _ in range(3):
        found = match_plans(library, EventKind.ENCOUNTER_DISCHARGED)
        assert [item.id for item in found] == ["post-discharge"]
    assert len(looks) == 500


def test_a_step_is_found_by_url_or_id() -> None:
    for name in (PLAN.id, PLAN.url):
        assert find_action(LIBRARY, name, "check-in") == (PLAN, PLAN.actions[0])
    assert find_action(LIBRARY, PLAN.id, "none") is None
    assert find_action(LIBRARY, "none", "check-in") is None


@pytest.mark.parametrize(
    ("now", "off"),
    [
        ("2026-11-01T04:59:59Z", True),  # the evening of 31 October in Chicago
        ("2026-11-01T05:00:00Z", False),
        ("2028-01-01T05:59:59Z", False),
        ("2028-01-01T06:00:00Z", True),
    ],
)
def test_plan_is_in_force_in_its_period_in_the_sites_zone(now: str, off: bool) -> None:
    dated = plan(effective_start="2026-11-01", effective_end="2027-12-31")
    assert is_off(dated, SITE, at(now)) is off


@pytest.mark.parametrize(
    ("end", "now", "off"),
    [
        ("2026-12", "2026-12-31T23:00:00-06:00", False),
        ("2026-12", "2027-01-01T00:00:00-06:00", True),
        ("2026", "2026-12-31T23:00:00-06:00", False),
        ("2026-12-01T12:00:00Z", "2026-12-01T11:59:59Z", False),
        ("2026-12-01T12:00:00Z", "2026-12-01T12:00:00Z", True),
        (None, "2099-01-01T00:00:00Z", False),
    ],
)
def test_end_may_be_a_month_a_year_or_an_instant(
    end: str | None, now: str, off: bool
) -> None:
    assert is_off(plan(effective_end=end), SITE, at(now)) is off


def test_lapsed_plan_plans_nothing_and_ends_what_is_planned() -> None:
    library = replace(LIBRARY, plans=(plan(effective_end="2026-11-20"),))
    planned = decide(DISCHARGED, chart(encounter()), library=library)
    check_in = planned["post-discharge/check-in"]
    assert reason_of(check_in) == "send: due"
    again = look_again(nudge_of(check_in), chart(encounter()), library=library)
    assert reason_of(again) == "cancel: plan-off"


def test_switching_a_plan_off_ends_what_is_planned() -> None:
    planned = decide(DISCHARGED, chart(encounter()))["post-discharge/check-in"]
    off = endpoint(site=replace(SITE, plans_off=("post-discharge",)))
    again = look_again(nudge_of(planned), chart(encounter()), where=off)
    assert reason_of(again) == "cancel: plan-off"


def test_warning_begins_sixty_days_before_the_end() -> None:
    end = at("2028-01-01T00:00:00-06:00")
    zone = SITE.zone
    assert not is_ending(PLAN, zone, end - timedelta(days=60, seconds=1))
    assert is_ending(PLAN, zone, end - timedelta(days=60))
    assert is_ending(PLAN, zone, end + timedelta(days=1))
    assert days_left(PLAN, zone, end - timedelta(days=60)) == 60
    assert days_left(PLAN, zone, end) == 0
    assert days_left(plan(effective_end=None), zone, end) is None
