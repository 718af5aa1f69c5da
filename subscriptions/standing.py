"""What each status of a Subscription at its server asks for.

Pure. Sources: FHIR R4 Subscription (a client may submit requested or off only);
Subscriptions R5 Backport IG 1.1, errors; US Core, patient data feed (negotiation).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mappings.instants import find_instant
from subscriptions.case import (
    ALERT_AFTER,
    CHECK_EVERY,
    PAUSE,
    SOON,
    Action,
    Case,
    Step,
    asking,
    backoff,
    is_over,
    is_recovered,
    make_step,
    not_before,
)
from subscriptions.comparing import Difference, is_acceptable
from subscriptions.memory import Memory


def judge_active(
    case: Case,
    held: dict[str, Any],
    differences: tuple[Difference, ...],
    now: datetime,
) -> Step:
    """Keep an active one: rotate, compare, repair, renew, else leave it alone."""
    memory = replace(case.memory, was_active=True)
    if memory.rotating:
        reason = "The new secret is written; both are accepted meanwhile."
        return asking(case, Action.ROTATE, reason, memory, now)
    sentences = tuple(item.sentence for item in differences)
    if memory.accepted is None and not is_acceptable(differences):
        return _fall_back(case, memory, differences, now)
    fresh = [item for item in sentences if item not in (memory.accepted or ())]
    if memory.accepted is not None and fresh:
        reason = f"Somebody changed it, so it is written again. {fresh[0]}"
        step = asking(case, Action.REPAIR, reason, memory, now)
        return replace(step, after=replace(step.memory, accepted=None))
    silent = case.trouble == "silent" and is_recovered(case)
    if silent and not is_over(case):
        return _reactivate(case, memory, "It is active and yet silent", now)
    half = _half_life(held, memory)
    if half is not None and now >= half:
        reason = "Half of its life is over, so its end is renewed."
        return asking(case, Action.RENEW, reason, memory, now)
    kept = replace(memory, accepted=sentences, tries=0)
    reason = "Active, as asked."
    if sentences:
        reason = f"Active; accepted with differences: {' '.join(sentences)}"
    due = min(now + CHECK_EVERY, half) if half is not None else now + CHECK_EVERY
    step = make_step(case, Action.KEEP, reason, kept, due)
    return replace(step, clear_trouble=is_over(case))


def judge_requested(
    case: Case,
    held: dict[str, Any],  # noqa: ARG001 -- each status is judged by the same call
    differences: tuple[Difference, ...],  # noqa: ARG001
    now: datetime,
) -> Step:
    """Wait for activation, and ask again once it took too long."""
    memory = replace(case.memory, asked_at=case.memory.asked_at or now)
    asked_at = memory.asked_at or now
    late = asked_at + case.patience
    if now < late:
        pause = SOON if now - asked_at < timedelta(minutes=1) else PAUSE
        reason = "The server has it and has not activated it yet."
        return make_step(case, Action.WAIT, reason, memory, min(now + pause, late))
    again = late + backoff(memory.tries + 1)
    if now < again:
        minutes = int(case.patience.total_seconds() // 60)
        reason = f"Not active after {minutes} minutes; polling alone until then."
        alert = memory.tries + 1 >= ALERT_AFTER
        return make_step(case, Action.WAIT, reason, memory, again, alert=alert)
    kept = replace(memory, tries=memory.tries + 1)
    reason = "Activation is asked for once more."
    return asking(case, Action.REACTIVATE, reason, kept, now)


def judge_failed(
    case: Case,
    held: dict[str, Any],
    differences: tuple[Difference, ...],
    now: datetime,
) -> Step:
    """Accept or refuse what the server adjusted, else recover and ask back."""
    memory = case.memory
    adjusted = any("filter" in item.sentence for item in differences)
    if adjusted and memory.accepted is None:
        if not is_acceptable(differences):
            return _fall_back(case, memory, differences, now)
        kept = replace(memory, accepted=tuple(item.sentence for item in differences))
        reason = (
            "The server adjusted the filters and asks whether that will do; it is "
            f"still what we need, so it is accepted. {differences[0].sentence}"
        )
        return asking(case, Action.ACCEPT, reason, kept, now)
    why = "The server reports an error" + (" at its end" if held.get("error") else "")
    if not memory.was_active:
        return _reactivate(case, memory, f"It could not be activated. {why}", now)
    return _recover_first(case, memory, why, "error", now)


def judge_off(
    case: Case,
    held: dict[str, Any],
    differences: tuple[Difference, ...],  # noqa: ARG001 -- see above
    now: datetime,
) -> Step:
    """Ask an expired or switched-off one back, after recovery."""
    end = _end(held)
    why = "It has expired" if end and end <= now else "The server switched it off"
    return _recover_first(case, case.memory, why, "off", now)


def judge_unknown(
    case: Case,
    held: dict[str, Any],
    differences: tuple[Difference, ...],  # noqa: ARG001 -- see above
    now: datetime,
) -> Step:
    """Leave a status that says nothing to a person."""
    reason = f"Its status is {str(held.get('status'))[:20]!r}, which says nothing."
    return make_step(
        case, Action.WAIT, reason, case.memory, now + CHECK_EVERY, alert=True
    )


def _recover_first(
    case: Case, memory: Memory, why: str, trouble: str, now: datetime
) -> Step:
    if not is_recovered(case):
        reason = f"{why}. What may be missing is read again before it is asked back."
        return make_step(
            case, Action.WAIT, reason, memory, now + PAUSE, trouble=trouble
        )
    return _reactivate(case, memory, why, now)


def _reactivate(case: Case, memory: Memory, why: str, now: datetime) -> Step:
    wait = not_before(memory, now)
    if wait is not None:
        reason = f"{why}. It is asked back after a pause."
        return make_step(case, Action.WAIT, reason, memory, wait)
    kept = replace(memory, tries=memory.tries + 1, reactivated_at=now)
    return asking(
        case, Action.REACTIVATE, f"{why}. It is asked to be active again.", kept, now
    )


def _fall_back(
    case: Case, memory: Memory, differences: tuple[Difference, ...], now: datetime
) -> Step:
    reason = f"It is not what we need and is deleted. {differences[0].sentence}"
    step = make_step(case, Action.DELETE, reason, memory, now)
    after = Memory(
        way=memory.way + 1,
        tries=memory.tries,
        abandoned=memory.abandoned,
        drop_old_at=memory.drop_old_at,
        action=Action.DELETE.value,
        reason=reason,
    )
    return replace(step, after=after)


def _half_life(held: dict[str, Any], memory: Memory) -> datetime | None:
    end, began = _end(held), memory.granted_at
    if end is None or began is None:
        return None
    return max(began + (end - began) / 2, began + timedelta(hours=1))


def _end(held: dict[str, Any]) -> datetime | None:
    return find_instant(held.get("end"))
