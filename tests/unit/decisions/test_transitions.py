"""Transitions: from versions in whatever order and portions they arrive."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.event import EventKind, FocusState
from middleware.decisions.transitions import match_transitions

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def version(number: int, kind: str = "Encounter", **fields: Any) -> dict[str, Any]:
    moment = (START + timedelta(minutes=number)).isoformat()
    return {
        "resourceType": kind,
        "id": "x",
        "meta": {"versionId": str(number), "lastUpdated": moment},
        **fields,
    }


def stay(number: int, status: str, **fields: Any) -> dict[str, Any]:
    made = version(number, status=status, **fields)
    return made | {"class": {"code": "IMP"}}


def r5_stay(number: int, status: str, code: str, **fields: Any) -> dict[str, Any]:
    """An R5 Encounter: class is a list of CodeableConcepts, a local code beside it."""
    local = {"system": "http://ward.example.org", "code": "W3"}
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"}
    classes = [{"coding": [local, coding | {"code": code}]}]
    return version(number, status=status, **fields) | {"class": classes}


def r5_plan(number: int, progress: str) -> dict[str, Any]:
    planned = {"reference": "ServiceRequest/1"}
    step = {"plannedActivityReference": planned, "progress": [{"text": progress}]}
    return version(number, "CarePlan", status="active", activity=[step])


def visit(number: int, status: str, start: str = "2026-12-01T15:00:00Z") -> Any:
    return version(number, "Appointment", status=status, start=start)


def plan(number: int, status: str, *days: str) -> dict[str, Any]:
    activity = [{"detail": {"scheduledPeriod": {"end": day}}} for day in days]
    return version(number, "CarePlan", status=status, activity=activity)


def deleted(number: int, kind: str = "Encounter") -> dict[str, Any]:
    return version(number, kind) | {"_deleted": True}


def kinds(*versions: dict[str, Any]) -> list[str]:
    return [item.kind.value for item in match_transitions(None, versions)[0]]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([stay(1, "planned")], []),
        ([stay(1, "planned"), stay(2, "in-progress")], ["encounter-admitted"]),
        (
            [stay(1, "arrived"), stay(2, "in-progress"), stay(3, "finished")],
            ["encounter-admitted", "encounter-discharged"],
        ),
        ([stay(1, "finished")], ["encounter-discharged"]),
        ([stay(1, "finished"), stay(2, "finished")], ["encounter-discharged"]),
        ([stay(1, "completed")], ["encounter-discharged"]),
        ([stay(1, "discharged"), stay(2, "completed")], ["encounter-discharged"]),
        (
            [stay(1, "finished"), stay(2, "finished", period={"end": "2026-11-20"})],
            ["encounter-discharged", "encounter-corrected"],
        ),
        (
            [stay(1, "finished"), stay(2, "in-progress"), stay(3, "finished")],
            ["encounter-discharged", "encounter-admitted", "encounter-discharged"],
        ),
        ([stay(1, "cancelled")], ["encounter-cancelled"]),
        (
            [stay(1, "finished"), stay(2, "entered-in-error")],
            ["encounter-discharged", "encounter-entered-in-error"],
        ),
        (
            [stay(1, "finished"), deleted(2)],
            ["encounter-discharged", "resource-deleted"],
        ),
        ([deleted(1)], []),
        ([stay(1, "unknown")], []),
        (
            [stay(1, "finished"), stay(2, "unknown"), stay(3, "finished")],
            ["encounter-discharged"],
        ),
        ([stay(1, "discontinued")], ["encounter-cancelled"]),
        ([stay(1, "on-hold"), stay(2, "onleave")], ["encounter-admitted"]),
        (
            [
                r5_stay(1, "in-progress", "EMER"),
                r5_stay(2, "in-progress", "IMP"),
                r5_stay(3, "in-progress", "OBSENC"),
                r5_stay(4, "in-progress", "EMER"),
                r5_stay(5, "in-progress", "IMP"),
            ],
            [
                "encounter-admitted",
                "encounter-admitted",
                "encounter-corrected",
                "encounter-admitted",
            ],
        ),
        (
            [
                r5_stay(1, "in-progress", "IMP"),
                r5_stay(2, "discharged", "IMP"),
                r5_stay(3, "completed", "IMP"),
            ],
            ["encounter-admitted", "encounter-discharged"],
        ),
        (
            [
                r5_stay(1, "discharged", "OBSENC"),
                r5_stay(2, "completed", "OBSENC", actualPeriod={"end": "2026-11-20"}),
                r5_stay(3, "completed", "IMP", actualPeriod={"end": "2026-11-20"}),
            ],
            ["encounter-discharged", "encounter-corrected", "encounter-corrected"],
        ),
        ([visit(1, "proposed"), visit(2, "booked")], ["appointment-booked"]),
        (
            [visit(1, "booked"), visit(2, "booked", "2026-12-02T15:00:00Z")],
            ["appointment-booked", "appointment-rescheduled"],
        ),
        ([visit(1, "booked"), visit(2, "booked")], ["appointment-booked"]),
        (
            [visit(1, "booked"), visit(2, "cancelled"), visit(3, "booked")],
            ["appointment-booked", "appointment-cancelled", "appointment-booked"],
        ),
        (
            [
                visit(1, "booked"),
                visit(2, "arrived"),
                visit(3, "checked-in"),
                visit(4, "fulfilled"),
            ],
            ["appointment-booked", "appointment-arrived", "appointment-fulfilled"],
        ),
        ([visit(1, "noshow")], ["appointment-noshow"]),
        ([visit(1, "waitlist"), visit(2, "pending")], ["appointment-waitlisted"]),
        (
            [visit(1, "pending"), visit(2, "waitlist"), visit(3, "booked")],
            ["appointment-waitlisted", "appointment-booked"],
        ),
        (
            [visit(1, "booked"), visit(2, "waitlist"), visit(3, "booked")],
            ["appointment-booked", "appointment-unbooked", "appointment-booked"],
        ),
        ([visit(1, "entered-in-error")], ["appointment-entered-in-error"]),
        (
            [plan(1, "draft"), plan(2, "active", "2026-12-01")],
            ["careplan-activated"],
        ),
        (
            [plan(1, "active", "2026-12-01"), plan(2, "active", "2026-12-02")],
            ["careplan-activated", "careplan-changed"],
        ),
        (
            [plan(1, "active"), plan(2, "on-hold"), plan(3, "active")],
            ["careplan-activated", "careplan-ended", "careplan-activated"],
        ),
        ([plan(1, "completed")], []),
        (
            [plan(1, "active"), plan(2, "unknown"), plan(3, "active")],
            ["careplan-activated"],
        ),
        (
            [plan(1, "active"), plan(2, "on-hold"), plan(3, "revoked")],
            ["careplan-activated", "careplan-ended"],
        ),
        (
            [r5_plan(1, "not-started"), r5_plan(2, "not-started")],
            ["careplan-activated"],
        ),
        (
            [r5_plan(1, "not-started"), r5_plan(2, "done")],
            ["careplan-activated", "careplan-changed"],
        ),
        ([version(1, "Observation", status="final")], []),
    ],
)
def test_versions_show_their_transitions(
    versions: list[dict[str, Any]], expected: list[str]
) -> None:
    assert kinds(*versions) == expected


def test_every_order_of_a_history_gives_the_same() -> None:
    history = [
        visit(1, "proposed"),
        visit(2, "booked"),
        visit(9, "booked", "2026-12-02T15:00:00Z"),
        visit(10, "cancelled", "2026-12-02T15:00:00Z"),
    ]
    wanted = match_transitions(None, history)
    for order in itertools.permutations(history):
        assert match_transitions(None, order) == wanted
    assert len(wanted[0]) == 3


@settings(max_examples=100, deadline=None)
@given(
    statuses=st.lists(
        st.sampled_from(["booked", "cancelled", "noshow", "arrived", "pending"]),
        min_size=1,
        max_size=7,
    ),
    cuts=st.sets(st.integers(1, 6)),
    again=st.booleans(),
)
def test_portions_and_repeats_give_the_same_as_all_at_once(
    statuses: list[str], cuts: set[int], again: bool
) -> None:
    history = [visit(number, status) for number, status in enumerate(statuses, 1)]
    wanted, last = match_transitions(None, history)
    state: FocusState | None = None
    found = []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(history)]):
        portion = history[:end] if again else history[start:end]
        more, state = match_transitions(state, portion)
        found.extend(more)
    assert (found, state) == (wanted, last)


def test_an_old_version_never_undoes_a_newer_one() -> None:
    _, state = match_transitions(None, [visit(5, "cancelled")])
    assert match_transitions(state, [visit(4, "booked")]) == ([], state)


def test_same_instant_is_ordered_by_version_number() -> None:
    first, second = visit(9, "booked"), visit(10, "cancelled")
    second["meta"]["lastUpdated"] = first["meta"]["lastUpdated"]
    assert kinds(second, first) == ["appointment-booked", "appointment-cancelled"]


def test_no_version_and_no_state_is_nothing() -> None:
    assert match_transitions(None, []) == ([], None)


def test_a_deletion_that_only_says_gone_is_seen_once() -> None:
    gone = {"resourceType": "Encounter", "id": "x", "_deleted": True}
    _, state = match_transitions(None, [stay(1, "finished")])
    found, after = match_transitions(state, [gone])
    assert [item.kind for item in found] == [EventKind.RESOURCE_DELETED]
    assert match_transitions(after, [gone]) == ([], after)


def test_discharge_happened_when_the_stay_ended() -> None:
    ended = stay(1, "finished", period={"end": "2026-11-19T10:00:00-06:00"})
    (found,), _ = match_transitions(None, [ended])
    assert found.occurred_at == datetime(2026, 11, 19, 16, tzinfo=UTC)
    (found,), _ = match_transitions(None, [stay(1, "finished")])
    assert found.occurred_at == START + timedelta(minutes=1)


def test_server_without_versions_or_times_is_still_told_apart() -> None:
    first = {"resourceType": "Appointment", "id": "x", "status": "booked"}
    first["start"] = "2026-12-01T15:00:00Z"
    found, state = match_transitions(None, [first])
    assert [item.kind for item in found] == [EventKind.APPOINTMENT_BOOKED]
    assert match_transitions(state, [first])[0] == []
    moved = first | {"start": "2026-12-02T15:00:00Z"}
    found, _ = match_transitions(state, [moved])
    assert [item.kind for item in found] == [EventKind.APPOINTMENT_RESCHEDULED]


def test_a_stay_moved_to_another_chart_is_a_discharge_of_its_own() -> None:
    first = stay(1, "finished", subject={"reference": "Patient/a"})
    second = stay(2, "finished", subject={"reference": "Patient/b"})
    found, state = match_transitions(None, [first])
    assert [item.kind for item in found] == [EventKind.ENCOUNTER_DISCHARGED]
    again, _ = match_transitions(state, [first, second])
    assert [(item.kind, item.version, item.patient) for item in again] == [
        (EventKind.RESOURCE_MOVED, "2", "Patient/a"),
        (EventKind.ENCOUNTER_DISCHARGED, "2", "Patient/b"),
    ]


def set_back(made: dict[str, Any], minutes: int) -> dict[str, Any]:
    moment = (START - timedelta(minutes=minutes)).isoformat()
    return {**made, "meta": {**made["meta"], "lastUpdated": moment}}


@pytest.mark.parametrize("portions", [(1, 2, 3), (3,), (2, 3)])
def test_an_ehr_whose_clock_was_set_back_loses_no_discharge(
    portions: tuple[int, ...],
) -> None:
    """Version 3 was stored after version 2 by a clock that shows an earlier hour."""
    versions = [
        stay(1, "planned"),
        stay(2, "in-progress"),
        set_back(stay(3, "finished"), 60),
    ]
    state: FocusState | None = None
    kinds: list[EventKind] = []
    for count in portions:
        found, state = match_transitions(state, versions[:count])
        kinds += [item.kind for item in found]
    assert kinds == [EventKind.ENCOUNTER_ADMITTED, EventKind.ENCOUNTER_DISCHARGED]
    assert state is not None
    assert (state.version, match_transitions(state, versions)[0]) == ("3", [])


def test_a_resource_made_again_after_a_purge_is_news() -> None:
    _, state = match_transitions(None, [stay(7, "in-progress")])
    made = stay(1, "finished")
    made["meta"]["lastUpdated"] = (START + timedelta(days=1)).isoformat()
    found, after = match_transitions(state, [made])
    assert [item.kind for item in found] == [EventKind.ENCOUNTER_DISCHARGED]
    assert after is not None
    assert match_transitions(after, [made])[0] == []
