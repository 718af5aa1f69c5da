"""One coming message as it stands when somebody changes it: open, skipped, gone or over.

A change locks the patient as the gate does: a message that the gate has let go by then
is on its way, and nobody is told that it was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mappings.delivery import Delivery
from mappings.nudge import OPEN_STATES, REASONS, Nudge, NudgeState
from middleware.decisions.deciding import Candidate
from middleware.decisions.unread import decide_read
from middleware.desk.coming import write_coming
from middleware.desk.editing.clashes import Clash, write_recorded
from middleware.desk.editing.fields import Sent
from middleware.desk.editing.saving import ChangedElsewhereError, RefusedError
from middleware.desk.formats import write_instant, zone_name
from middleware.desk.values import Coming
from middleware.desk.views import View
from middleware.stages.context import StageContext
from middleware.storage import deliveries, gate, nudges
from middleware.storage.connecting import Tx

# Of these a person may still change the one who was faster; the others are over.
CHANGEABLE = frozenset({*OPEN_STATES, NudgeState.SKIPPED})
# What stands in the way at one time says nothing of another.
TIMED = frozenset(
    {"not-yet", "outside-hours", "same-topic", "limit-reached", "skipped-by-staff"}
)


class ClosedError(RefusedError):
    """The message has gone out or ended meanwhile; nothing was changed."""


@dataclass(frozen=True)
class Message:
    """A message of this patient with what a fresh look says of it.

    ``sent`` is what was handed to a channel of it, oldest first.
    """

    nudge: Nudge
    candidate: Candidate
    coming: Coming
    sent: tuple[Delivery, ...]

    @property
    def is_open(self) -> bool:
        """Tell whether it is still planned or held."""
        return self.nudge.state in OPEN_STATES


def find_message(context: StageContext, view: View, nudge_id: str) -> Message | None:
    """Return a message of this patient as it stands now; None where there is none."""
    now = context.clock.now()
    with context.database.tx() as tx:
        nudge = nudges.get_nudge(tx, nudge_id)
        if nudge is None or not _is_message(view, nudge):
            return None
        sent = tuple(deliveries.list_nudge_deliveries(tx, nudge.id))
    parts = (view.chart, view.own, view.library, view.endpoint, now)
    candidate = decide_read(nudge, *parts)
    return Message(nudge, candidate, write_coming(view, nudge, candidate), sent)


def lock_message(tx: Tx, view: View, nudge_id: str, version: str) -> Nudge:
    """Lock the patient and return the message that was seen as ``version`` says.

    Raises ClosedError where it has gone out or ended, and ChangedElsewhereError where
    somebody moved or skipped it since.
    """
    gate.lock_patient(tx, view.endpoint.id, view.patient)
    nudge = nudges.get_nudge(tx, nudge_id)
    if nudge is None or not _is_message(view, nudge) or nudge.state not in CHANGEABLE:
        raise ClosedError(view.say("This message has gone out or ended meanwhile."))
    if write_mark(nudge) != version:
        raise ChangedElsewhereError
    return nudge


def is_repeated(
    context: StageContext, nudge_id: str, word: str, change: dict[str, str]
) -> bool:
    """Tell whether a message still stands as this very form left it: it was sent twice.

    ``word`` is what was done, ``moved`` or ``skipped``; who fills the form in anew and
    sends it again says something else.
    """
    with context.database.tx() as tx:
        nudge = nudges.get_nudge(tx, nudge_id)
    if nudge is None or (nudge.state is NudgeState.SKIPPED) != (word == "skipped"):
        return False
    note = nudge.detail.get(word) or {}
    if change.get("to") == "":
        # To be at its own time is the same whoever put it there.
        return not note
    said = {name: value for name, value in change.items() if name not in ("by", "at")}
    known = bool(change["form"] and change["user"])
    return known and all(note.get(name) == value for name, value in said.items())


def put_to(nudge: Nudge, due_at: datetime, detail: dict[str, Any]) -> Nudge:
    """Return a message as it would stand at another time, free of what its own held."""
    reason = "due" if nudge.reason in TIMED else nudge.reason
    return replace(nudge, due_at=due_at, detail=detail, reason=reason)


def write_mark(nudge: Nudge) -> str:
    """Return the mark of a message's time and state, for the check of a change."""
    mark = nudge.due_at.astimezone(UTC).isoformat()
    return mark if nudge.state in OPEN_STATES else f"{mark} {_skipped(nudge).get('at')}"


def note_change(sent: Sent, now: datetime, why: str) -> dict[str, str]:
    """Return who changed a message, when and why, as the message keeps it."""
    return {
        "by": sent.actor.name,
        "user": sent.actor.user,
        "form": sent.form.id,
        "at": now.isoformat(),
        "why": why,
    }


def write_message_clash(view: View, message: Message, mine: str) -> Clash:
    """Return how a message stands now beside what was tried.

    Where it has gone out or ended nothing can be saved over it: no ``version``.
    """
    nudge = message.nudge
    if nudge.state is NudgeState.SKIPPED:
        note = _skipped(nudge)
        theirs = view.say("Skipped: %(why)s", why=view.say(str(note.get("why") or "")))
        return Clash(theirs, _who(view, note), mine, write_mark(nudge))
    if nudge.state not in OPEN_STATES:
        return Clash(_write_end(view, nudge, message.sent), "", mine, "")
    note = nudge.detail.get("moved") or {}
    source = _who(view, note) or view.say("The time that its plan gives it")
    return Clash(write_time_of(view, nudge.due_at), source, mine, write_mark(nudge))


def write_time_of(view: View, moment: datetime) -> str:
    """Return a time of a message, in the patient's zone."""
    when = write_instant(view.viewer, moment, view.zone)
    return f"{when.day}, {when.time}"


def _is_message(view: View, nudge: Nudge) -> bool:
    """Tell whether it is a message of this patient: no step of staff, nobody else's."""
    theirs = (nudge.endpoint_id, nudge.patient) == (view.endpoint.id, view.patient)
    return theirs and not nudge.is_task


def _skipped(nudge: Nudge) -> dict[str, Any]:
    return nudge.detail.get("skipped") or {}


def _who(view: View, note: dict[str, Any]) -> str:
    if not note.get("at"):
        return ""
    return write_recorded(view, note.get("by"), datetime.fromisoformat(note["at"]))


def _write_end(view: View, nudge: Nudge, sent: Sequence[Delivery]) -> str:
    """Return what became of a message that is not open any more, and when."""
    when = _at(view, sent[-1]) if sent else ""
    if nudge.state is NudgeState.SENDING:
        since = view.say("It is being sent since %(when)s.", when=when)
        return since if when else view.say("It is being sent now.")
    if nudge.state is NudgeState.SENT:
        at = view.say("It was already sent at %(when)s.", when=when)
        return at if when else view.say("It was already sent.")
    reason = view.say(REASONS[nudge.reason].sentence)
    if nudge.state is NudgeState.FAILED:
        return view.say("It failed: %(why)s", why=reason)
    return view.say("It was cancelled: %(why)s", why=reason)


def _at(view: View, last: Delivery) -> str:
    when = write_time_of(view, last.sent_at or last.sending_at)
    if not view.zone_id:
        return when
    zone = zone_name(view.viewer, view.zone_id, view.now)
    return f"{when}, {zone}"
