"""Moving a coming message to another time, or skipping it.

Where somebody was faster, both are shown and one click decides; where the message has
gone out or ended, what became of it is said, and when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Request, Response, abort

from mappings.errors import BadInputError
from middleware.desk.editing.clashes import Clash
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.messages import (
    ClosedError,
    Message,
    write_message_clash,
    write_time_of,
)
from middleware.desk.editing.moving import offer_moments, read_moment
from middleware.desk.editing.saving import ChangedElsewhereError, RefusedError
from middleware.desk.viewer import mark
from middleware.desk.views import View
from smart_app.entering import enter, sent_of
from smart_app.forms import (
    WHY_MOVE,
    WHY_SKIP,
    MoveChoice,
    SkipChoice,
    fill_move,
    fill_skip,
    offer_reasons,
    read_move,
    read_skip,
)
from smart_app.pages import tell_saved
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.saving import CHANGED
from smart_app.session import Session

CLOSED = mark(
    "This message has gone out or ended, so there is nothing left to change. Nothing "
    "was changed now."
)


@dataclass(frozen=True)
class Said:
    """What a form says back: why it was not taken, and both values of a clash."""

    error: str = ""
    status: int = 200
    clash: Clash | None = None
    wrong: str = ""


class Messages:
    """The forms of ``/l/<lid>/messages/<id>/``."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def ask_move(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the form that moves a message."""
        session, view = enter(self._ports, request, lid, edit=True)
        return self._move_form(session, view, nudge_id)

    def move(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Move the message, or show the form again with what stands in the way."""
        session, view = enter(self._ports, request, lid, form=True)
        chosen = fill_move(request.form.to_dict(flat=False))
        try:
            why = read_move(chosen)
            moment = None
            if not chosen.back:
                moment = read_moment(view, chosen.day, chosen.time, chosen.which)
            sent = sent_of(request, session)
            self._ports.desk.editor.save_move(view, sent, nudge_id, moment, why)
        except (ClosedError, ChangedElsewhereError):
            message = self._find(view, nudge_id)
            clash = write_message_clash(view, message, _moved(view, chosen))
            said = Said(CHANGED, 409, clash)
            return self._move_form(session, view, nudge_id, chosen, said)
        except (BadInputError, RefusedError) as error:
            said = Said(error.message, 422, wrong=error.field)
            return self._move_form(session, view, nudge_id, chosen, said)
        told = "back" if chosen.back else "move"
        return tell_saved(self._ports, self._pages, (request, session, view), told)

    def ask_skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the form that skips a message."""
        session, view = enter(self._ports, request, lid, edit=True)
        return self._skip_form(session, view, nudge_id)

    def skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Skip the message, or show the form again with what stands in the way."""
        session, view = enter(self._ports, request, lid, form=True)
        given = fill_skip(request.form.to_dict(flat=False))
        try:
            why, sent = read_skip(given.why), sent_of(request, session)
            self._ports.desk.editor.save_skip(view, sent, nudge_id, why)
        except (ClosedError, ChangedElsewhereError):
            mine = view.say("Skip it: %(why)s", why=view.say(why))
            clash = write_message_clash(view, self._find(view, nudge_id), mine)
            said = Said(CHANGED, 409, clash)
            return self._skip_form(session, view, nudge_id, given, said)
        except BadInputError as error:
            said = Said(error.message, 422, wrong=error.field)
            return self._skip_form(session, view, nudge_id, given, said)
        return tell_saved(self._ports, self._pages, (request, session, view), "skip")

    def fill_move(
        self, session: Session, view: View, nudge_id: str, given: Fields
    ) -> Response:
        """Answer the form that moves a message, filled in as it was."""
        return self._move_form(session, view, nudge_id, fill_move(given))

    def fill_skip(
        self, session: Session, view: View, nudge_id: str, given: Fields
    ) -> Response:
        """Answer the form that skips a message, filled in as it was."""
        return self._skip_form(session, view, nudge_id, fill_skip(given))

    def _find(self, view: View, nudge_id: str) -> Message:
        """Return a message of this patient as it stands now; another's is none."""
        message = self._ports.desk.editor.find_message(view, nudge_id)
        if message is None:
            abort(404)
        return message

    def _move_form(
        self,
        session: Session,
        view: View,
        nudge_id: str,
        chosen: MoveChoice | None = None,
        said: Said | None = None,
    ) -> Response:
        message, said = self._find(view, nudge_id), said or Said()
        if not message.is_open and not (said.clash and said.clash.version):
            return self._closed(session, view, message, said)
        form = self._ports.desk.editor.write_move_form(view, message)
        filled = chosen or MoveChoice(form.day, form.time, form.which, "", back=False)
        form = replace(form, version=_seen(said, filled.version) or form.version)
        return self._show(
            "smart/move.html",
            session,
            view,
            message,
            said,
            form=form,
            filled=filled,
            moments=offer_moments(view, filled.day, filled.time),
            whys=offer_reasons(view, WHY_MOVE),
        )

    def _skip_form(
        self,
        session: Session,
        view: View,
        nudge_id: str,
        given: SkipChoice | None = None,
        said: Said | None = None,
    ) -> Response:
        message, said = self._find(view, nudge_id), said or Said()
        if not message.is_open and not (said.clash and said.clash.version):
            return self._closed(session, view, message, said)
        now, given = write_message_clash(view, message, ""), given or SkipChoice("")
        return self._show(
            "smart/skip.html",
            session,
            view,
            message,
            said,
            version=_seen(said, given.version) or now.version,
            why=given.why,
            whys=offer_reasons(view, WHY_SKIP),
        )

    def _closed(
        self, session: Session, view: View, message: Message, said: Said
    ) -> Response:
        """Answer what became of a message; nothing can be put over it."""
        mine = said.clash.mine if said.clash else ""
        end = write_message_clash(view, message, mine)
        shown = Said(CLOSED, 409, Clash(end.theirs, end.source, end.mine, ""))
        title = mark("This message")
        return self._show(
            "smart/clash.html", session, view, message, shown, title=title
        )

    def _show(
        self,
        template: str,
        session: Session,
        view: View,
        message: Message,
        said: Said,
        **values: object,
    ) -> Response:
        return self._pages.show(
            template,
            session,
            said.status,
            page=self._ports.desk.write_page(view),
            coming=message.coming,
            error=said.error,
            wrong=said.wrong,
            clash=said.clash,
            **values,
        )


def _seen(said: Said, version: str) -> str:
    """Return what a form was made from; empty where what stands now is shown beside it."""
    return "" if said.clash else version


def _moved(view: View, chosen: MoveChoice) -> str:
    """Return in words where a message was to go."""
    if chosen.back:
        return view.say("Back to its own time")
    moment = read_moment(view, chosen.day, chosen.time, chosen.which)
    return view.say("Move it to %(when)s", when=write_time_of(view, moment))
