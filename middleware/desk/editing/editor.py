"""What people may change of one patient, as one object; a part of the desk.

It composes; the forms, reading them and saving live beside it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from middleware.desk.editing import moving, pausing, settling, skipping
from middleware.desk.editing import preferences as groups
from middleware.desk.editing.answering import save_answer
from middleware.desk.editing.clashes import Clash, write_pause_clash
from middleware.desk.editing.clashing_answers import write_answer_clash
from middleware.desk.editing.fields import Filled, Sent
from middleware.desk.editing.group_views import GroupView, clash_with, write_group
from middleware.desk.editing.groups import GROUPS
from middleware.desk.editing.messages import Message, find_message
from middleware.desk.editing.moving import MoveForm, write_move_form
from middleware.desk.editing.questions import Answer
from middleware.desk.preferring import write_hours
from middleware.desk.values import Actor
from middleware.desk.views import View, refresh_view
from middleware.stages.context import StageContext


class Editor:
    """What is changed of one patient, over the ports of the stages."""

    def __init__(self, context: StageContext) -> None:
        self._context = context

    def refresh_view(self, view: View) -> View:
        """Return the view as it is now: what is ours is read again, the chart is not."""
        return refresh_view(self._context, view)

    # --- the pause -------------------------------------------------------------------

    def save_pause(
        self, view: View, sent: Sent, *, last: date | None, why: str
    ) -> None:
        """Pause to the end of ``last``. Raises ChangedElsewhereError."""
        pausing.save_pause(self._context, view, sent, last=last, why=why)

    def save_resume(self, view: View, sent: Sent) -> None:
        """End the pause. Raises ChangedElsewhereError."""
        pausing.save_resume(self._context, view, sent)

    def write_pause_clash(self, view: View, mine: str) -> Clash:
        """Return both where somebody else paused messages or turned them on."""
        return write_pause_clash(self.refresh_view(view), mine)

    # --- one message -----------------------------------------------------------------

    def find_message(self, view: View, nudge_id: str) -> Message | None:
        """Return a message of this patient as it stands now; None where there is none."""
        return find_message(self._context, view, nudge_id)

    def write_move_form(self, view: View, message: Message) -> MoveForm:
        """Return the form that moves a message."""
        return write_move_form(view, message, write_hours(view, None).text)

    def save_move(
        self, view: View, sent: Sent, nudge_id: str, moment: datetime | None, why: str
    ) -> None:
        """Move a message. Raises as :func:`middleware.desk.editing.moving.save_move`."""
        moving.save_move(self._context, view, sent, nudge_id, moment, why)

    def save_skip(self, view: View, sent: Sent, nudge_id: str, why: str) -> None:
        """Skip a message. Raises ClosedError, ChangedElsewhereError."""
        skipping.save_skip(self._context, view, sent, nudge_id, why)

    # --- groups of preferences -------------------------------------------------------

    def write_groups(self, view: View, actor: Actor) -> dict[str, GroupView]:
        """Return the groups of preferences as they are shown, by name."""
        return {name: write_group(view, name, actor) for name in GROUPS}

    def save_group(self, view: View, actor: Actor, name: str, filled: Filled) -> None:
        """Record a group. Raises as :func:`middleware.desk.editing.preferences.save_group`."""
        groups.save_group(self._context, view, actor, name, filled)

    def undo_group(self, view: View, sent: Sent, name: str) -> None:
        """Put back what stood before this person's last save of a group."""
        groups.undo_group(self._context, view, sent, name)

    def write_undo_clash(self, view: View, sent: Sent, name: str) -> Clash:
        """Return what stands beside what an undo would put back."""
        said = groups.find_undone(self._context, view, sent.actor, name)
        return clash_with(view, name, {item.name: item.value for item in said})

    def write_take_back_clash(self, view: View, _: Sent, name: str) -> Clash:
        """Return what stands beside that what staff said is taken back."""
        mine = view.say("Take back what staff said")
        return replace(clash_with(view, name, {}), mine=mine)

    def take_back(self, view: View, sent: Sent, name: str) -> None:
        """Take back what staff said in a group, so that the other voices hold."""
        groups.take_back(self._context, view, sent, name)

    def settle(self, view: View, sent: Sent, name: str, *, keep: str) -> None:
        """Let ours hold, or the chart's. Raises as :mod:`middleware.desk.editing.settling`."""
        settling.settle(self._context, view, sent, name, keep)

    def write_settle_clash(self, view: View, _: Sent, name: str, *, keep: str) -> Clash:
        """Return what stands beside what was chosen."""
        return settling.write_settle_clash(view, name, keep)

    # --- answers ---------------------------------------------------------------------

    def save_answer(self, view: View, sent: Sent, answer: Answer) -> None:
        """Record an answer. Raises as :func:`middleware.desk.editing.answering.save_answer`."""
        save_answer(self._context, view, sent, answer)

    def write_answer_clash(self, view: View, answer: Answer) -> Clash:
        """Return the answer that came meanwhile beside the one that was not saved."""
        return write_answer_clash(view, answer)
