"""The controller's decisions that no server needs to play along for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.case import (
    LONGEST_BACKOFF,
    Action,
    Case,
    Found,
    Missing,
    Unreachable,
    backoff,
)
from subscriptions.controller import decide
from subscriptions.memory import NO_WAY, Memory, dump_memory, load_memory
from subscriptions.refusing import Refusal
from subscriptions.settling import Refused, settle_refused, write_change
from subscriptions.wanting import Way, write_way

NOW = datetime(2026, 11, 16, 15, 0, tzinfo=UTC)
URL = "https://listener.example.org/hooks/abc"
SECRET = "0123456789abcdef0123456789abcdef"
WAY = Way("backport", "http://e.org/t", filters=(("status", "a"),))
ASKED = write_way(WAY, "Encounter", URL, SECRET, NOW + timedelta(days=90))
HELD = {**ASKED, "id": "1", "status": "active", "meta": {"versionId": "3"}}
ACTIVE = Memory(begun=True, was_active=True, accepted=(), asked_at=NOW, granted_at=NOW)
CASE = Case(asked=ASKED, ways=2, memory=ACTIVE, sight=Found(HELD), server_id="1")


def held(**changes: Any) -> Found:
    return Found({**HELD, **changes})


def act(case: Case, now: datetime = NOW) -> Action:
    return decide(case, now).action


def test_it_says_what_it_does_in_one_sentence() -> None:
    step = decide(replace(CASE, sight=Missing(), server_id=None, memory=Memory()), NOW)
    assert step.action is Action.CREATE
    assert step.memory.reason == "The server has none for us yet, so it is created."
    assert step.memory.begun


def test_one_that_is_there_already_is_taken_over() -> None:
    step = decide(replace(CASE, server_id=None, memory=Memory()), NOW)
    assert (step.action, step.memory.next_at) == (Action.ADOPT, NOW)


@pytest.mark.parametrize("status", ["entered-in-error", "x" * 99, None])
def test_a_status_that_says_nothing_is_left_to_a_person(status: Any) -> None:
    step = decide(replace(CASE, sight=held(status=status)), NOW)
    assert (step.action, step.memory.alert) == (Action.WAIT, True)
    assert len(step.memory.reason) < 90


def test_an_unreachable_server_is_waited_for() -> None:
    step = decide(replace(CASE, sight=Unreachable("no answer")), NOW)
    assert (step.action, step.memory.alert) == (Action.WAIT, False)
    refused = decide(replace(CASE, sight=Unreachable("403", refused=True)), NOW)
    assert (refused.action, refused.memory.alert) == (Action.WAIT, True)
    retired = replace(CASE, retired=True, sight=Unreachable("no answer"))
    assert act(retired) is Action.WAIT


def test_what_is_not_wanted_is_deleted_and_then_done() -> None:
    assert act(replace(CASE, retired=True)) is Action.DELETE
    assert act(replace(CASE, retired=True, sight=Missing())) is Action.DONE


def test_a_server_without_subscriptions_is_polled_with_its_reason() -> None:
    none = Case(
        asked=None, ways=0, memory=Memory(), sight=Missing(), note="it has none."
    )
    step = decide(none, NOW)
    assert (step.action, step.memory.reason) == (
        Action.POLL,
        "Polling only: it has none.",
    )
    later = replace(none, memory=step.memory)
    again = decide(later, NOW + timedelta(days=2))
    assert (again.action, again.memory.reason) == (Action.POLL, step.memory.reason)


def test_polling_alone_deletes_what_is_left_at_the_server() -> None:
    case = replace(CASE, asked=None, memory=Memory(way=NO_WAY))
    assert act(case) is Action.DELETE


def test_a_shorter_life_is_renewed_at_its_half() -> None:
    end = (NOW + timedelta(days=2)).isoformat()
    case = replace(CASE, sight=held(end=end))
    step = decide(case, NOW)
    assert (step.action, step.memory.next_at) == (
        Action.KEEP,
        NOW + timedelta(minutes=10),
    )
    assert act(case, NOW + timedelta(hours=23)) is Action.KEEP
    assert act(case, NOW + timedelta(hours=24)) is Action.RENEW


@pytest.mark.parametrize("end", [None, "", "soon", 7])
def test_a_life_without_an_end_is_not_renewed(end: Any) -> None:
    case = replace(CASE, sight=held(end=end))
    assert act(case, NOW + timedelta(days=400)) is Action.KEEP


def test_an_end_in_the_past_does_not_make_it_write_all_the_time() -> None:
    case = replace(CASE, sight=held(end=(NOW - timedelta(days=1)).isoformat()))
    assert act(case, NOW + timedelta(minutes=30)) is Action.KEEP
    assert act(case, NOW + timedelta(hours=1)) is Action.RENEW


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
@pytest.mark.parametrize("recovered", [None, NOW - timedelta(seconds=1)])
def test_nothing_is_asked_back_before_it_is_recovered(
    recovered: datetime | None,
) -> None:
    case = replace(
        CASE,
        sight=held(status="error"),
        trouble="error",
        trouble_at=NOW,
        recovered_at=recovered,
    )
    assert act(case) is Action.WAIT
    assert act(replace(case, recovered_at=NOW)) is Action.REACTIVATE


def test_a_trouble_of_another_kind_is_left_to_recovery() -> None:
    for trouble in ("gap", "reset", "tail-loss"):
        case = replace(CASE, trouble=trouble, trouble_at=NOW, recovered_at=NOW)
        step = decide(case, NOW)
        assert (step.action, step.clear_trouble) == (Action.KEEP, False)


@pytest.mark.parametrize("trouble", ["error", "off"])
def test_a_server_that_mended_itself_ends_the_trouble(trouble: str) -> None:
    case = replace(CASE, trouble=trouble, trouble_at=NOW)
    assert not decide(case, NOW).clear_trouble
    assert decide(replace(case, recovered_at=NOW), NOW).clear_trouble


@given(st.integers(0, 10_000))
def test_pauses_grow_to_six_hours(tries: int) -> None:
    assert backoff(tries) <= backoff(tries + 1) <= LONGEST_BACKOFF


def test_an_update_keeps_what_the_server_adjusted() -> None:
    adjusted = {**HELD, "_criteria": {}, "error": "x", "status": "error"}
    written = write_change(Action.RENEW, ASKED, adjusted)
    assert written["_criteria"] == {}
    assert (written["status"], written["id"]) == ("requested", "1")
    assert "error" not in written
    assert written["channel"]["header"] == ASKED["channel"]["header"]
    repaired = write_change(Action.REPAIR, ASKED, adjusted)
    assert repaired["_criteria"] == ASKED["_criteria"]
    assert write_change(Action.ACCEPT, ASKED, adjusted)["_criteria"] == {}


@pytest.mark.parametrize(
    ("refusal", "way", "begun"),
    [
        (Refusal.UNSURE, 0, True),
        (Refusal.BUSY, 0, False),
        (Refusal.FORM, 1, False),
        (Refusal.ENDPOINT, NO_WAY, False),
        (Refusal.RIGHTS, NO_WAY, False),
        (Refusal.ABSENT, NO_WAY, False),
    ],
)
def test_what_a_refused_create_leads_to(
    refusal: Refusal, way: int, *, begun: bool
) -> None:
    case = replace(CASE, sight=Missing(), server_id=None, memory=Memory())
    step = decide(case, NOW)
    memory = settle_refused(step, Refused(refusal, "no"), NOW)
    assert (memory.way, memory.begun) == (way, begun)


instants = st.none() | st.datetimes(
    datetime(2026, 1, 1),
    datetime(2027, 1, 1),
).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))


@given(
    st.builds(
        Memory,
        way=st.integers(0, 3),
        accepted=st.none() | st.lists(st.text()).map(tuple),
        asked_at=instants,
        granted_at=instants,
        next_at=instants,
        abandoned=st.lists(st.text()).map(tuple),
        reason=st.text(),
    )
)
def test_memory_is_kept_as_json(memory: Memory) -> None:
    assert load_memory(json.loads(json.dumps(dump_memory(memory)))) == memory


statuses = st.sampled_from(["requested", "active", "error", "off", "odd"])


@given(
    statuses,
    st.booleans(),
    st.booleans(),
    st.integers(0, 9),
    instants,
    instants,
    st.integers(0, 10**7),
)
def test_every_situation_has_a_next_look_that_is_not_missed(
    status: str,
    rotating: bool,
    was_active: bool,
    tries: int,
    trouble_at: datetime | None,
    recovered_at: datetime | None,
    seconds: int,
) -> None:
    memory = replace(ACTIVE, rotating=rotating, was_active=was_active, tries=tries)
    case = replace(
        CASE,
        memory=memory,
        sight=held(status=status),
        trouble="silent" if trouble_at else None,
        trouble_at=trouble_at,
        recovered_at=recovered_at,
    )
    now = NOW + timedelta(seconds=seconds)
    step = decide(case, now)
    assert step.memory.reason
    assert step.memory.next_at is not None
    assert step.memory.next_at <= now + timedelta(days=1)
    waits = step.action in {Action.WAIT, Action.KEEP, Action.POLL}
    assert waits == (step.memory.next_at > now)
