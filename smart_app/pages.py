"""The pages of an open launch: one patient, seen by one practitioner.

Everything that is shown comes from the desk; what is saved goes by
:mod:`smart_app.editing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Request, Response, abort

from mappings.errors import LaunchError
from middleware.desk.charting import Within
from middleware.desk.editing.messages import write_time_of
from middleware.desk.editing.questions import list_people
from middleware.desk.opened import read_opened
from middleware.desk.viewer import LANGUAGES, mark, viewer_of
from middleware.desk.views import View
from middleware.ports import Patience
from smart_app.drafts import find_draft, settle_draft
from smart_app.entering import actor_of, enter, go_back, is_partial
from smart_app.naming import keep_names
from smart_app.own_forms import check_origin
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session, note_use, open_session
from smart_app.streaming import HTML, stream_page

# The page leaves by then, with what the EHR has answered.
PAGE_SECONDS = 20.0
NO_LANGUAGE = mark("This page is not written in that language. Nothing was changed.")
WHOLE = {"HX-Retarget": "#main", "HX-Reselect": "#main", "HX-Reswap": "outerMorph"}
SAVED = {
    "pause": mark("Saved. Messages are paused from now on."),
    "resume": mark("Saved. Messages are on again."),
    "skip": mark("Saved. The message is skipped."),
    "move": mark("Saved. The message is moved."),
    "back": mark("Saved. The message is back at its own time."),
    "group": mark("Saved. It takes effect at once."),
    "taken-back": mark("Taken back. The other answer holds again."),
    "undo": mark("Undone. What stood before holds again."),
    "answer": mark("Saved. The answer takes effect at once."),
}


def list_parts(ports: SmartPorts, session: Session, view: View) -> dict[str, Any]:
    """Return what the patient's page shows beside the page: what can be changed."""
    return {
        "groups": ports.desk.editor.write_groups(view, actor_of(session)),
        "people": list_people(view),
        "draft": find_draft(ports, session),
    }


def tell_saved(
    ports: SmartPorts,
    pages: Pages,
    came: tuple[Request, Session, View],
    told: str,
    part: str = "",
) -> Response:
    """Answer a save: the page, which says so; to htmx in place of what it shows.

    All of a page follows from what was saved: the answer, what is coming.
    """
    request, session, view = came
    if not is_partial(request):
        return go_back(ports, request, session, told, part)
    settle_draft(ports, session, request)
    fresh = ports.desk.editor.refresh_view(view)
    page = ports.desk.write_page(fresh)
    ports.desk.note_page(fresh, page, session.launch)
    answer = pages.show(
        "smart/page.html",
        session,
        piece="",
        page=page,
        saved=_say_saved(fresh, told),
        **list_parts(ports, session, fresh),
    )
    answer.headers.update(WHOLE)
    return answer


class PatientPages:
    """The views of ``/l/<lid>/`` over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def show(self, request: Request, lid: str) -> Response:
        """Answer the patient's page as it comes; to htmx, which waits for all, whole."""
        part = is_partial(request)
        patience = Patience(PAGE_SECONDS)
        session = open_session(
            self._ports, request, lid, quiet=True, looks=not part, patience=patience
        )
        desk, told = self._ports.desk, request.args.get("saved", "")

        def read(within: Within | None) -> Iterator[View]:
            # Not before the first piece; a page that reads itself again is not in use.
            if not part:
                note_use(self._ports, session)
            about = (session.patient, session.viewer, session.permitted, within)
            opened = read_opened(session.launch, session.endpoint)
            yield from desk.read_views(session.endpoint, session.api, *about, opened)

        def write(view: View, piece: str) -> str:
            keep_names(self._ports, session, view.users)
            page = desk.write_page(view)
            desk.note_page(view, page, session.launch)
            return self._pages.render(
                "smart/page.html",
                session,
                piece=piece,
                page=page,
                saved=_say_saved(view, told),
                **list_parts(self._ports, session, view),
            )

        if part:
            *_, whole = read(None)
            html = write(whole, "")
            return self._pages.address(Response(html, content_type=HTML), session)
        views = read(session.within)
        return stream_page(self._ports, self._pages, session, views, write, patience)

    def history(self, request: Request, lid: str) -> Response:
        """Answer every message of the last weeks."""
        session, view = enter(self._ports, request, lid)
        page = self._ports.desk.write_history(view)
        return self._pages.show("smart/history_page.html", session, page=page)

    def preview(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the exact text of one coming message."""
        session, view = enter(self._ports, request, lid)
        preview = self._ports.desk.write_preview(view, nudge_id)
        if preview is None:
            abort(404)
        page = self._ports.desk.write_page(view)
        return self._pages.show(
            "smart/preview.html", session, page=page, preview=preview
        )

    def choose_language(self, request: Request, lid: str) -> Response:
        """Read this launch in another language from now on."""
        session = open_session(self._ports, request, lid)
        check_origin(self._ports, request, session)
        chosen = request.form.get("language", "")
        if chosen not in LANGUAGES:
            raise LaunchError(NO_LANGUAGE, code="F6", status=422)
        self._ports.launches.set_language(lid, viewer_of(chosen).tag)
        return Response(status=303, headers={"Location": f"/l/{lid}/"})


def _say_saved(view: View, told: str) -> str:
    """Return what was saved; a pause may have come too late for one message."""
    if told == "pause-late" and view.sent:
        return view.say(
            "%(saved)s One had already gone out at %(when)s.",
            saved=view.say(SAVED["pause"]),
            when=write_time_of(view, view.sent[0].at),
        )
    return SAVED.get(told, "")
