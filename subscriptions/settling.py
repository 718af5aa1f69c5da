"""What is written to the server for a step, and what its answer means for the next.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from subscriptions.case import (
    ALERT_AFTER,
    FIRST_BACKOFF,
    POLL_FOR,
    Action,
    Step,
    backoff,
)
from subscriptions.memory import NO_WAY, Memory
from subscriptions.refusing import Refusal

_LATER = {Refusal.BUSY, Refusal.UNSURE}
_REPLACED = {Action.REACTIVATE, Action.ACCEPT, Action.DELETE}
OLD_SECRET_FOR = timedelta(hours=2)


@dataclass(frozen=True)
class Refused:
    """The server refused, or did not answer; ``heartbeat``: one was asked for."""

    refusal: Refusal
    said: str


def write_change(
    action: Action, asked: Mapping[str, Any], held: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the resource of an update.

    A repair writes all that we want; every other one writes what the server holds, so
    that its accepted adjustments stand, with our status, end and secret.
    """
    identified = {"id": held["id"], "status": "requested"}
    if action is Action.REPAIR:
        return {**asked, **identified}
    written = {**held, **identified}
    written.pop("error", None)
    if action is Action.ACCEPT:
        return written
    written["end"] = asked["end"]
    if "parameter" in asked:
        return {**written, "parameter": asked["parameter"]}
    if "header" in asked.get("channel", ()):
        channel = held.get("channel")
        kept = dict(channel) if isinstance(channel, Mapping) else {}
        written["channel"] = {**kept, "header": asked["channel"]["header"]}
    if "extension" in asked:
        written["extension"] = asked["extension"]
    return written


def settle_done(step: Step, now: datetime) -> Memory:
    """Return the memory after the server did what was asked."""
    memory = replace(step.after or step.memory, next_at=now)
    if step.action not in {Action.DELETE, Action.ACCEPT}:
        memory = replace(memory, granted_at=now)
    if step.action is Action.ROTATE:
        return replace(memory, rotating=False, drop_old_at=now + OLD_SECRET_FOR)
    return memory


def settle_refused(
    step: Step, refused: Refused, now: datetime, held_id: str | None = None
) -> Memory:
    """Return the memory after a refusal: another try, another way, or a person.

    ``held_id`` is the Subscription that was to be changed or deleted. One that a server
    lets nobody change is left behind, once it does not send any more.
    """
    memory, said = step.memory, refused.said
    if refused.refusal in _LATER:
        unsure = refused.refusal is Refusal.UNSURE
        kept = replace(memory, begun=memory.begun and (unsure or held_id is not None))
        return _later(kept, f"The server did not take it: {said}", now)
    if refused.refusal is Refusal.CONFLICT:
        reason = "It was changed meanwhile, so it is read again."
        return replace(memory, reason=reason, next_at=now)
    if step.action is Action.CREATE:
        return _refused_create(memory, refused, now)
    done = step.after or memory
    if refused.refusal is Refusal.GONE:
        return replace(done, next_at=now)
    if refused.refusal is Refusal.ABSENT and step.action in _REPLACED and held_id:
        left = (*memory.abandoned, held_id)
        return replace(done, abandoned=left, begun=False, next_at=now)
    reason = f"The server refused to {step.action.value} it: {said}"
    return replace(_later(memory, reason, now), alert=True)


def _refused_create(memory: Memory, refused: Refused, now: datetime) -> Memory:
    kept = replace(memory, begun=False, asked_at=None, next_at=now)
    if refused.refusal is Refusal.HEARTBEAT and memory.heartbeat:
        reason = "The server refuses heartbeats, so it is asked for without them."
        return replace(kept, heartbeat=False, reason=reason)
    if refused.refusal in {Refusal.FORM, Refusal.HEARTBEAT}:
        reason = f"The server refused this form: {refused.said}"
        return replace(kept, way=memory.way + 1, heartbeat=True, reason=reason)
    why = {
        Refusal.ENDPOINT: "the server refuses our address",
        Refusal.RIGHTS: "our client may not create Subscriptions",
        Refusal.ABSENT: "the server has no Subscriptions",
    }.get(refused.refusal, "the server refuses")
    return replace(
        kept,
        action=Action.POLL.value,
        reason=f"Polling only: {why} ({refused.said.rstrip('.')}).",
        next_at=now + POLL_FOR,
        way=NO_WAY,
        alert=refused.refusal is not Refusal.ABSENT,
    )


def _later(memory: Memory, reason: str, now: datetime) -> Memory:
    tries = memory.tries + 1
    return replace(
        memory,
        tries=tries,
        asked_at=now,
        reason=reason,
        next_at=now + max(backoff(tries), FIRST_BACKOFF),
        alert=tries >= ALERT_AFTER,
    )
