"""The nudge that a candidate becomes when it is planned."""

from __future__ import annotations

from datetime import datetime

from mappings.event import Event
from mappings.nudge import Nudge, NudgeState, Outcome
from middleware.decisions.candidate import Candidate


def nudge_of(
    identifier: str, event: Event, candidate: Candidate, now: datetime
) -> Nudge:
    """Make the nudge that a candidate asks for."""
    held = candidate.verdict.outcome is Outcome.HOLD
    return Nudge(
        id=identifier,
        key=f"{event.endpoint_id}|{candidate.key}",
        endpoint_id=event.endpoint_id,
        event_id=event.id,
        patient=event.patient,
        shard=event.shard,
        plan=candidate.plan.url,
        plan_version=candidate.plan.version,
        action=candidate.action.id,
        topic=candidate.plan.topic,
        focus=candidate.focus,
        occasion=candidate.occasion,
        recipient=candidate.recipient,
        state=NudgeState.HELD if held else NudgeState.PLANNED,
        reason=candidate.verdict.reason,
        due_at=candidate.due_at,
        expires_at=candidate.expires_at,
        created_at=now,
        channel=candidate.channel,
        address=candidate.address,
        language=candidate.language,
        title=candidate.title,
        why=candidate.why,
        stops=candidate.stops,
        priority=candidate.plan.priority,
        detail={"kind": "task"} if candidate.kind == "task" else {},
    )
