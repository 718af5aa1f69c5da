"""Going on with what was filled in when the session ended, or letting it go."""

from __future__ import annotations

from flask import Request, Response, abort

from middleware.desk.views import View
from smart_app.answers import Answers
from smart_app.drafts import Draft, drop_draft, find_draft
from smart_app.entering import enter, go_on, read_form
from smart_app.groups import GroupEdits
from smart_app.messages import Messages
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.saving import PatientEdits
from smart_app.session import Session


class Drafts:
    """The form of a draft, on whichever path it was filled in."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._edits = PatientEdits(ports, pages)
        self._messages = Messages(ports, pages)
        self._groups = GroupEdits(ports, pages)
        self._answers = Answers(ports, pages)

    def resume(self, request: Request, lid: str) -> Response:
        """Answer the form, filled in as it was and made from what was seen then."""
        session, view = enter(self._ports, request, lid, edit=True)
        draft = find_draft(self._ports, session)
        if draft is None:
            abort(404)
        return self._form(request, session, view, draft)

    def discard(self, request: Request, lid: str) -> Response:
        """Let it go."""
        session, _ = enter(self._ports, request, lid, form=True)
        drop_draft(self._ports, session, request.form.get("draft", ""))
        return Response(status=303, headers={"Location": f"/l/{lid}/"})

    def _form(
        self, request: Request, session: Session, view: View, draft: Draft
    ) -> Response:
        kind, _, rest = draft.path.partition("/")
        given = draft.fields
        session = go_on(session, read_form(given))
        if kind == "preferences":
            return self._groups.fill(request, session, view, rest, given)
        if kind == "answers":
            return self._answers.fill(session, view, given)
        if kind == "pause":
            return self._edits.fill_pause(session, view, given)
        nudge_id, _, act = rest.partition("/")
        if kind == "messages" and act == "move":
            return self._messages.fill_move(session, view, nudge_id, given)
        if kind == "messages" and act == "skip":
            return self._messages.fill_skip(session, view, nudge_id, given)
        return abort(404)
