"""The controller of desired state: what to do next about one Subscription, and why.

Pure: what is wanted, what we remember and what the server holds go in; one action with
a sentence comes out. Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from subscriptions.case import (
    CHECK_EVERY,
    FIRST_BACKOFF,
    POLL_FOR,
    Action,
    Case,
    Found,
    Missing,
    Step,
    Unreachable,
    is_due,
    make_step,
    not_before,
)
from subscriptions.comparing import compare
from subscriptions.memory import Memory
from subscriptions.standing import (
    judge_active,
    judge_failed,
    judge_off,
    judge_requested,
    judge_unknown,
)


def decide(case: Case, now: datetime) -> Step:
    """Return the next action for one Subscription."""
    sight, memory = case.sight, case.memory
    if isinstance(sight, Unreachable):
        return _unreachable(case, sight, now)
    if case.retired:
        return _retire(case, sight, now)
    if case.asked is None:
        return _poll(case, now)
    if isinstance(sight, Missing):
        return _missing(case, sight, now)
    identifier = str(sight.resource.get("id"))
    if case.server_id != identifier:
        since = memory.asked_at or now
        kept = replace(memory, asked_at=since, granted_at=since, begun=True)
        reason = "The server already has our Subscription; it is taken over."
        return make_step(case, Action.ADOPT, reason, kept, now)
    differences = compare(case.asked, sight.resource)
    judge = {
        "active": judge_active,
        "requested": judge_requested,
        "error": judge_failed,
        "off": judge_off,
    }
    look = judge.get(str(sight.resource.get("status")), judge_unknown)
    step = look(case, sight.resource, differences, now)
    return replace(step, differences=differences)


def _unreachable(case: Case, sight: Unreachable, now: datetime) -> Step:
    memory = case.memory
    if sight.refused:
        reason = f"The server does not let us look at Subscriptions: {sight.said}"
        later = now + CHECK_EVERY
        return make_step(case, Action.WAIT, reason, memory, later, alert=True)
    reason = f"The server could not be asked: {sight.said}"
    return make_step(case, Action.WAIT, reason, memory, now + FIRST_BACKOFF)


def _retire(case: Case, sight: Found | Missing, now: datetime) -> Step:
    if isinstance(sight, Missing):
        reason = "The server holds no such Subscription (any more)."
        return make_step(case, Action.DONE, reason, case.memory, now, alert=False)
    reason = "It is not wanted any more, so the server is asked to delete it."
    return make_step(case, Action.DELETE, reason, case.memory, now)


def _poll(case: Case, now: datetime) -> Step:
    """Poll alone, and begin anew with the first way when its time has come."""
    memory = case.memory
    if isinstance(case.sight, Found):
        reason = "No form of it is left to ask for, so the server's is deleted."
        return make_step(case, Action.DELETE, reason, memory, now)
    if case.ways and memory.action == Action.POLL and is_due(memory, now):
        fresh = Memory(tries=memory.tries, abandoned=memory.abandoned)
        reason = "Polling for now; Subscriptions are asked for once more."
        return make_step(case, Action.WAIT, reason, fresh, now)
    if memory.action == Action.POLL and not is_due(memory, now):
        return Step(Action.POLL, memory.reason, memory)
    said = case.note or memory.reason or "no form of Subscription fits this server"
    told = f"Polling only: {said.rstrip('.')}."
    reason = memory.reason if memory.action == Action.POLL else told
    later = now + (POLL_FOR if case.ways else 2 * POLL_FOR)
    return make_step(case, Action.POLL, reason, memory, later)


def _missing(case: Case, sight: Missing, now: datetime) -> Step:
    memory = case.memory
    if not sight.searched and memory.begun and case.server_id is None:
        reason = (
            "A create may have gone out before a stop, and this server's Subscriptions "
            "cannot be searched; no second one is made. Look for it at the server."
        )
        return make_step(case, Action.WAIT, reason, memory, now + POLL_FOR, alert=True)
    wait = not_before(memory, now)
    if wait is not None:
        reason = "It is asked for again after a pause."
        return make_step(case, Action.WAIT, reason, memory, wait)
    lost = case.server_id is not None
    fresh = Memory(
        way=memory.way,
        heartbeat=memory.heartbeat,
        begun=True,
        asked_at=now,
        tries=memory.tries + lost,
        drop_old_at=memory.drop_old_at,
        abandoned=memory.abandoned,
    )
    reason = (
        "The server has lost or deleted it, so it is created anew."
        if lost
        else "The server has none for us yet, so it is created."
    )
    return make_step(case, Action.CREATE, reason, fresh, now)
