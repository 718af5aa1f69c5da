"""The budget at the gate: what others sent, what is planned, what the site allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from mappings.preference import ComingMessage, SentMessage
from middleware.decisions.circumstance import Step, open_case
from middleware.decisions.scheduling import choose_time
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
    own,
    reason_of,
)

READ = chart(encounter())
FOUND = decide(DISCHARGED, READ)["post-discharge/check-in"]
NUDGE = nudge_of(FOUND, key=f"north|{FOUND.key}")
DUE = FOUND.due_at


def test_message_of_another_system_today_holds_ours_until_tomorrow() -> None:
    now = DUE + timedelta(minutes=5)
    case = open_case(READ, own(), LIBRARY, endpoint(), now)
    others = (SentMessage(DUE - timedelta(hours=2), "survey", "sms"),)
    told = replace(case, profile=replace(case.profile, others=others))
    plan, action = FOUND.plan, FOUND.action
    step = Step(
        case=told,
        plan=plan,
        action=action,
        reference="Encounter/stay",
        focus=READ.find("Encounter/stay"),
        occasion="once",
        recipient="Patient/rosa",
        event=DUE - timedelta(days=1),
    )
    _, verdict = choose_time(step, DUE, NUDGE.expires_at, at_send=True, channel="sms")
    assert (verdict.reason, verdict.detail) == (
        "limit-reached",
        "as many messages as allowed went out",
    )
    _, free = choose_time(
        replace(step, case=case), DUE, NUDGE.expires_at, at_send=True, channel="sms"
    )
    assert free.reason == "due"


def test_what_is_planned_holds_a_lesser_message_and_names_it() -> None:
    urgent = ComingMessage("north|x", DUE + timedelta(hours=1), "safety", 0)
    held = look_again(NUDGE, READ, own(coming=(urgent,)), at=DUE)
    assert reason_of(held) == "hold: limit-reached"
    (known,) = [fact for fact in held.verdict.facts if fact.reference == "Nudge/next"]
    assert known.value == urgent.due_at.isoformat(timespec="minutes")


def test_its_own_place_among_the_planned_does_not_hold_it() -> None:
    mine = ComingMessage(NUDGE.key, DUE, "safety", 0)
    assert (
        reason_of(look_again(NUDGE, READ, own(coming=(mine,)), at=DUE)) == "send: due"
    )


def test_sites_own_numbers_count() -> None:
    year = [
        SentMessage(DUE - timedelta(days=40 * number), "education", "email")
        for number in range(1, 3)
    ]
    mine = own(sent=tuple(year))
    assert reason_of(look_again(NUDGE, READ, mine, at=DUE)) == "send: due"
    strict = endpoint(site=replace(SITE, max_per_year=2))
    found = look_again(NUDGE, READ, mine, at=DUE, where=strict)
    assert reason_of(found) == "cancel: window-passed"
    assert "as many messages as allowed went out" in found.verdict.detail
