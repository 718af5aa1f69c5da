"""A coming message that a person skips, with a reason."""

from __future__ import annotations

from mappings.nudge import NudgeState, Outcome, Verdict
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.messages import is_repeated, lock_message, note_change
from middleware.desk.editing.saving import ChangedElsewhereError, write_audit
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.storage import nudges
from middleware.storage.decision_log import DESK, insert_nudge_decision

REASON = "skipped-by-staff"


def save_skip(
    context: StageContext, view: View, sent: Sent, nudge_id: str, why: str
) -> None:
    """Skip one message of this patient. Raises ClosedError, ChangedElsewhereError."""
    now = context.clock.now()
    note = note_change(sent, now, why)
    try:
        with context.database.tx() as tx:
            nudge = lock_message(tx, view, nudge_id, sent.version)
            nudges.note_nudge(tx, nudge, nudge.due_at, skipped=note)
            nudges.set_nudge(tx, nudge.id, NudgeState.SKIPPED, REASON, now)
            insert_nudge_decision(
                tx,
                nudge,
                Verdict(Outcome.SKIP, REASON, detail=why),
                id=context.ids.new(),
                stage=DESK,
                decided_at=now,
            )
            about = (nudge.id, {"why": why})
            write_audit(tx, view, sent.actor, "nudge-skipped", about=about, now=now)
    except ChangedElsewhereError:
        if not is_repeated(context, nudge_id, "skipped", note):
            raise
