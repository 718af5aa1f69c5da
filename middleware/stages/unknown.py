"""Messages of which nobody knows whether they arrived: never again blindly, a person looks."""

from __future__ import annotations

from datetime import datetime

from mappings.endpoint import Endpoint
from mappings.nudge import Nudge, NudgeState
from middleware.stages.context import StageContext
from middleware.stages.staff import ask_person
from middleware.storage import nudges
from middleware.storage.connecting import Tx

UNKNOWN_TEXT = (
    "A message may or may not have reached the patient. It will not be sent again by "
    "itself. Check with the patient before sending anything."
)


def leave_to_person(
    context: StageContext,
    tx: Tx,
    endpoint: Endpoint,
    nudge: Nudge,
    now: datetime,
    *,
    text: str = UNKNOWN_TEXT,
    key: str | None = None,
) -> None:
    """End a nudge that may have been sent, and ask a person about it."""
    nudges.set_nudge(tx, nudge.id, NudgeState.FAILED, "delivery-unknown", now)
    ask_person(
        context,
        tx,
        endpoint,
        nudge.patient,
        nudge_id=nudge.id,
        shard=nudge.shard,
        priority="urgent",
        reason="delivery-unknown",
        text=text,
        now=now,
        key=key,
    )
