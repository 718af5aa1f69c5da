"""Every order, portion and repetition of a history tells the same story."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.event import EventKind, FocusState, Transition
from middleware.decisions.transitions import match_transitions

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
KIND = EventKind
ENCOUNTER = {
    KIND.ENCOUNTER_ADMITTED: {
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "on-hold",
    },
    KIND.ENCOUNTER_DISCHARGED: {"finished", "discharged", "completed"},
    KIND.ENCOUNTER_CORRECTED: {
        "finished",
        "discharged",
        "completed",
        "arrived",
        "triaged",
        "in-progress",
        "onleave",
        "on-hold",
    },
    KIND.ENCOUNTER_CANCELLED: {"cancelled", "discontinued"},
    KIND.ENCOUNTER_UNDONE: {"entered-in-error"},
}
APPOINTMENT = {
    KIND.APPOINTMENT_BOOKED: {"booked"},
    KIND.APPOINTMENT_RESCHEDULED: {"booked"},
    KIND.APPOINTMENT_UNBOOKED: {"proposed", "pending", "waitlist"},
    KIND.APPOINTMENT_WAITLISTED: {"waitlist"},
    KIND.APPOINTMENT_CANCELLED: {"cancelled"},
    KIND.APPOINTMENT_NOSHOW: {"noshow"},
    KIND.APPOINTMENT_ARRIVED: {"arrived", "checked-in"},
    KIND.APPOINTMENT_FULFILLED: {"fulfilled"},
    KIND.APPOINTMENT_UNDONE: {"entered-in-error"},
}
CARE_PLAN = {
    KIND.CAREPLAN_ACTIVATED: {"active"},
    KIND.CAREPLAN_CHANGED: {"active"},
    KIND.CAREPLAN_ENDED: {"on-hold", "revoked", "completed"},
    KIND.CAREPLAN_UNDONE: {"entered-in-error"},
}
# Published codes of R4, R4B and R5: which event a version of each status may show.
MAY_SHOW = {"Encounter": ENCOUNTER, "Appointment": APPOINTMENT, "CarePlan": CARE_PLAN}
STATUSES = {
    "Encounter": sorted({*itertools.chain(*ENCOUNTER.values()), "planned", "unknown"}),
    "Appointment": sorted(set(itertools.chain(*APPOINTMENT.values()))),
    "CarePlan": sorted({*itertools.chain(*CARE_PLAN.values()), "draft", "unknown"}),
}
NUMBERED, TIMED, SAME_SECOND = "numbered", "timed", "numbered in one second"


def make(kind: str, number: int, drawn: tuple[Any, ...], style: str) -> dict[str, Any]:
    status, word, patient, gone = drawn
    seconds = 0 if style == SAME_SECOND else number
    meta = {"lastUpdated": (START + timedelta(seconds=seconds)).isoformat()}
    # Opaque ids that do not sort as the versions do.
    meta["versionId"] = f"{(number * 37) % 101:x}z" if style == TIMED else str(number)
    found = {"resourceType": kind, "id": "x", "meta": meta}
    if gone:
        return found | {"_deleted": True}
    found |= {"status": status, "subject": {"reference": f"Patient/{patient}"}}
    if kind == "Encounter":
        return found | {"class": {"code": ["IMP", "EMER", "OBSENC"][word]}}
    if kind == "Appointment":
        return found | {"start": f"2026-12-0{word + 1}T15:00:00Z"}
    detail = {"scheduledPeriod": {"end": f"2026-12-0{word + 1}"}}
    return found | {"activity": [{"detail": detail}]}


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(STATUSES)))
    style = draw(st.sampled_from([NUMBERED, TIMED, SAME_SECOND]))
    one = st.tuples(
        st.sampled_from(STATUSES[kind]),
        st.integers(0, 2),
        st.sampled_from("aaab"),
        st.sampled_from([False, False, False, False, True]),
    )
    drawn = draw(st.lists(one, min_size=1, max_size=7))
    return [make(kind, number, item, style) for number, item in enumerate(drawn, 1)]


def fold(
    portions: list[list[dict[str, Any]]],
) -> tuple[list[Transition], FocusState | None]:
    state: FocusState | None = None
    found: list[Transition] = []
    for portion in portions:
        more, state = match_transitions(state, portion)
        found.extend(more)
    return found, state


@settings(max_examples=300, deadline=None)
@given(history=histories(), data=st.data())
def test_orders_portions_and_repeats_change_nothing(
    history: list[dict[str, Any]], data: st.DataObject
) -> None:
    """The history that is read reaches some way further each time, in any order.

    A replica that lags behind shows less than was seen before.
    """
    wanted = match_transitions(None, history)
    length = len(history)
    reached = data.draw(st.lists(st.integers(1, length), max_size=5))
    portions = []
    for upto in [*reached, length, *data.draw(st.lists(st.integers(1, length)))]:
        again = data.draw(st.lists(st.sampled_from(history[:upto]), max_size=3))
        portions.append(data.draw(st.permutations([*history[:upto], *again])))
    assert fold(portions) == wanted


@settings(max_examples=300, deadline=None)
@given(history=histories(), data=st.data())
def test_versions_alone_give_the_same_as_the_whole_history(
    history: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Each version by itself, in order: what a server without history shows."""
    kept = data.draw(st.lists(st.sampled_from(history)))
    repeated = sorted([*history, *kept], key=history.index)
    assert fold([[item] for item in repeated]) == match_transitions(None, history)


@settings(max_examples=300, deadline=None)
@given(history=histories(), data=st.data())
def test_what_was_missed_makes_no_transition_up(
    history: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Only some versions were ever readable: less is seen, nothing else is.

    Whatever comes late and out of order afterwards undoes nothing.
    """
    seen = data.draw(st.sets(st.integers(0, len(history) - 1)))
    kept = sorted(seen | {len(history) - 1})
    late = data.draw(st.permutations(sorted(set(range(len(history))) - set(kept))))
    found, state = fold([[history[index]] for index in [*kept, *late]])
    _, whole = match_transitions(None, history)
    told = {
        KIND.RESOURCE_DELETED,
        KIND.RESOURCE_MOVED,
    }
    versions = {item["meta"]["versionId"]: item for item in history}
    may_show = MAY_SHOW[history[0]["resourceType"]]
    for item in found:
        version = versions[item.version]
        if item.kind in told:
            moved = version.get("subject") != {"reference": item.patient}
            assert version.get("_deleted") or moved
        elif version["status"] != "unknown":
            assert version["status"] in may_show[item.kind]
            assert version["subject"] == {"reference": item.patient}
    assert state is not None
    assert whole is not None
    assert state.version == whole.version
    if history[-1].get("status", "unknown") != "unknown":
        assert state == whole


@pytest.mark.parametrize("kind", sorted(STATUSES))
def test_a_late_old_version_undoes_nothing(kind: str) -> None:
    """Every pair of published statuses, the older one told after the newer one."""
    for first, second in itertools.product(STATUSES[kind], repeat=2):
        older = make(kind, 1, (first, 0, "a", False), NUMBERED)
        newer = make(kind, 2, (second, 0, "a", False), NUMBERED)
        _, state = match_transitions(None, [newer])
        assert match_transitions(state, [older]) == ([], state)
        assert match_transitions(state, [newer, older]) == ([], state)
