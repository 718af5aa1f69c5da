"""Recording a new answer about being contacted; an answer is never switched or edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flask import Request, Response, abort

from mappings.errors import BadInputError
from middleware.desk.editing.clashes import Clash
from middleware.desk.editing.fields import Fields, refill
from middleware.desk.editing.questions import (
    Asked,
    find_asked,
    read_answer,
    write_answer_form,
)
from middleware.desk.editing.saving import ChangedElsewhereError, RefusedError
from middleware.desk.viewer import mark
from middleware.desk.views import View
from smart_app.entering import enter, sent_of
from smart_app.pages import tell_saved
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

CHANGED = mark(
    "Another answer was recorded while the form was open. Nothing of yours is saved "
    "yet: choose which of the two is the newest."
)


class Answers:
    """The form of ``/l/<lid>/answers``."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def ask(self, request: Request, lid: str) -> Response:
        """Answer the form for a topic, and a person beside the patient or none."""
        session, view = enter(self._ports, request, lid, edit=True)
        return self._form(session, view, self._asked(view, request.args))

    def save(self, request: Request, lid: str) -> Response:
        """Record the answer, or show the form again with what stands in the way."""
        session, view = enter(self._ports, request, lid, form=True)
        asked = self._asked(view, request.form)
        given = request.form.to_dict(flat=False)
        desk = self._ports.desk
        try:
            answer = read_answer(view, asked, given)
            desk.editor.save_answer(view, sent_of(request, session), answer)
        except ChangedElsewhereError:
            fresh = desk.editor.refresh_view(view)
            clash = desk.editor.write_answer_clash(fresh, answer)
            return self._form(session, fresh, asked, given, CHANGED, 409, clash)
        except (BadInputError, RefusedError) as error:
            said = (error.message, 422, None, error.field)
            return self._form(session, view, asked, given, *said)
        came = (request, session, view)
        return tell_saved(self._ports, self._pages, came, "answer", "topics")

    def fill(self, session: Session, view: View, given: Fields) -> Response:
        """Answer the form, filled in as it was."""
        about = {name: "".join(given.get(name, ())) for name in ("topic", "person")}
        return self._form(session, view, self._asked(view, about), given)

    def _asked(self, view: View, given: Mapping[str, str]) -> Asked:
        topic, person = given.get("topic", "*"), given.get("person", "")
        found = find_asked(view, topic, person)
        if found is None:
            abort(404)
        return found

    def _form(
        self,
        session: Session,
        view: View,
        asked: Asked,
        given: Fields | None = None,
        error: str = "",
        status: int = 200,
        clash: Clash | None = None,
        wrong: str = "",
    ) -> Response:
        form = write_answer_form(view, asked)
        fields = form.fields if given is None else refill(form.fields, given)
        # What stands now is seen where it is shown beside; else what stood then was.
        seen = "" if given is None or clash else "".join(given.get("version", ()))
        form = replace(form, version=seen or form.version)
        return self._pages.show(
            "smart/answer.html",
            session,
            status,
            page=self._ports.desk.write_page(view),
            form=form,
            fields=fields,
            error=error,
            clash=clash,
            wrong=wrong if wrong in {item.name for item in fields} else "",
        )
