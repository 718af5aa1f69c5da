"""The pause of all messages to a patient, and its end.

Every save goes through the desk; a form that is not taken comes back as it was filled
in, with the reason, and beside what stands where somebody else was faster.
"""

from __future__ import annotations

from dataclasses import replace

from flask import Request, Response

from mappings.errors import BadInputError
from mappings.instants import find_instant
from middleware.desk.editing.clashes import Clash, write_pause
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.saving import ChangedElsewhereError
from middleware.desk.page import write_pause_effect
from middleware.desk.viewer import mark
from middleware.desk.views import View
from smart_app.entering import enter, sent_of
from smart_app.forms import (
    WHY_PAUSE,
    PauseForm,
    fill_pause,
    offer_reasons,
    pause_days,
    read_pause,
)
from smart_app.pages import tell_saved
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

CHANGED = mark(
    "Somebody changed this while the form was open. Nothing of yours is saved yet: "
    "choose which of the two holds."
)


class PatientEdits:
    """The forms of ``/l/<lid>/`` over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def ask_pause(self, request: Request, lid: str) -> Response:
        """Answer the pause form."""
        session, view = enter(self._ports, request, lid, edit=True)
        first = pause_days(view)[0].value
        form = PauseForm(first, "", "asked", view.version("pause"))
        return self._pause_form(session, view, form)

    def pause(self, request: Request, lid: str) -> Response:
        """Save a pause, or show the form again with what is missing."""
        session, view = enter(self._ports, request, lid, form=True)
        raw = fill_pause(request.form.to_dict(flat=False))
        try:
            form = read_pause(raw, view.today)
        except BadInputError as error:
            return self._pause_form(
                session, view, raw, error.message, 422, wrong=error.field
            )
        editor = self._ports.desk.editor
        try:
            made = sent_of(request, session)
            editor.save_pause(view, made, last=form.last, why=form.reason)
        except ChangedElsewhereError:
            clash = editor.write_pause_clash(
                view, write_pause(view, form.last, form.reason)
            )
            again = replace(form, version=clash.version)
            return self._pause_form(session, view, again, CHANGED, 409, clash)
        # What the gate had let go before the pause was saved was not stopped by it.
        seen, sent = find_instant(form.seen), editor.refresh_view(view).sent
        late = bool(seen and sent and sent[0].at > seen)
        told = "pause-late" if late else "pause"
        return tell_saved(self._ports, self._pages, (request, session, view), told)

    def resume(self, request: Request, lid: str) -> Response:
        """Turn messages on again."""
        session, view = enter(self._ports, request, lid, form=True)
        editor = self._ports.desk.editor
        try:
            editor.save_resume(view, sent_of(request, session))
        except ChangedElsewhereError:
            return self._pages.show(
                "smart/clash.html",
                session,
                409,
                page=self._ports.desk.write_page(view),
                title=mark("Turn messages back on"),
                action="resume",
                error=CHANGED,
                clash=editor.write_pause_clash(view, view.say("Messages are on")),
            )
        return tell_saved(self._ports, self._pages, (request, session, view), "resume")

    def fill_pause(self, session: Session, view: View, given: Fields) -> Response:
        """Answer the pause form, filled in as it was and in sight of what stood then."""
        form = fill_pause(given)
        form = replace(form, version=form.version or view.version("pause"))
        return self._pause_form(session, view, form)

    def _pause_form(
        self,
        session: Session,
        view: View,
        form: PauseForm,
        error: str = "",
        status: int = 200,
        clash: Clash | None = None,
        wrong: str = "",
    ) -> Response:
        return self._pages.show(
            "smart/pause.html",
            session,
            status,
            page=self._ports.desk.write_page(view),
            form=form,
            error=error,
            wrong=wrong,
            clash=clash,
            untils=pause_days(view),
            whys=offer_reasons(view, WHY_PAUSE),
            today=view.today.isoformat(),
            seen=view.now.isoformat(),
            effect=write_pause_effect(view),
        )
