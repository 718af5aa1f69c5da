"""Moving a coming message to another day and time, or back to its own."""

from __future__ import annotations

from flask import Request, Response

from mappings.errors import BadInputError, LaunchError
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.moving import ClosedError
from middleware.desk.editing.saving import ChangedElsewhereError, RefusedError
from middleware.desk.viewer import mark
from middleware.desk.views import View
from smart_app.entering import actor_of, enter, go_back
from smart_app.forms import WHY_MOVE, read_move
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

GONE = "This message has gone out or ended meanwhile, so there is nothing left to move."
CHANGED = mark(
    "Not saved: this message was given another time while the form was open. This is "
    "how it stands now; your choice is still filled in."
)


class Moves:
    """The form of ``/l/<lid>/messages/<id>/move``."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def ask(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the form."""
        session, view = enter(self._ports, request, lid, edit=True)
        return self._form(session, view, nudge_id)

    def move(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Move the message, or show the form again with what stands in the way."""
        session, view = enter(self._ports, request, lid, form=True)
        desk, given = self._ports.desk, request.form
        filled = (given.get("day", ""), given.get("time", ""), given.get("why", ""))
        try:
            chosen = read_move(request)
            moment = None
            if not chosen.back:
                moment = desk.read_moment(view, chosen.day, chosen.time)
            desk.save_move(
                view,
                actor_of(session),
                nudge_id,
                moment,
                why=chosen.why,
                version=given.get("version", ""),
            )
        except ClosedError as error:
            raise LaunchError(error.message, code="F4", status=409) from error
        except ChangedElsewhereError:
            return self._form(session, view, nudge_id, filled, CHANGED, 409)
        except (BadInputError, RefusedError) as error:
            return self._form(session, view, nudge_id, filled, error.message, 422)
        return go_back(self._ports, session, "back" if chosen.back else "move")

    def fill(
        self, session: Session, view: View, nudge_id: str, given: Fields
    ) -> Response:
        """Answer the form, filled in as it was."""
        day, time, why = ("".join(given.get(n, ())) for n in ("day", "time", "why"))
        return self._form(session, view, nudge_id, (day, time, why))

    def _form(
        self,
        session: Session,
        view: View,
        nudge_id: str,
        filled: tuple[str, str, str] | None = None,
        error: str = "",
        status: int = 200,
    ) -> Response:
        desk = self._ports.desk
        page = desk.write_page(view)
        form = desk.write_move_form(view, nudge_id)
        coming = next((item for item in page.coming if item.id == nudge_id), None)
        if form is None or coming is None:
            raise LaunchError(GONE, code="F4", status=404)
        day, time, why = filled or (form.day, form.time, "")
        return self._pages.show(
            "smart/move.html",
            session,
            status,
            page=page,
            coming=coming,
            form=form,
            day=day,
            time=time,
            why=why,
            whys=WHY_MOVE,
            error=error,
        )
