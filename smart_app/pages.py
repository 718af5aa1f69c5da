"""The pages of an open launch: one patient, seen and changed by one practitioner.

Everything that is shown comes from the desk; every save goes through it. A view never
takes a patient from the request: the launch says whose chart it is.
"""

from __future__ import annotations

from dataclasses import replace

from flask import Request, Response, abort

from mappings.errors import BadInputError, LaunchError
from middleware.desk.edits import ChangedElsewhereError
from middleware.desk.values import Actor, Choice, Page
from middleware.desk.viewer import LANGUAGES, mark, viewer_of
from middleware.desk.views import View
from smart_app.forms import (
    WHO,
    WHY_SKIP,
    OrderForm,
    PauseForm,
    pause_days,
    pause_reasons,
    read_order,
    read_pause,
    read_skip,
)
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session, check_form, open_session

SAVED = {
    "pause": mark("Saved. Messages are paused from now on."),
    "resume": mark("Saved. Messages are on again."),
    "channels": mark("Saved. The new order counts from the next message on."),
    "skip": mark("Saved. The message is skipped."),
}
CHANGED = mark(
    "Not saved: somebody changed this while the form was open. "
    "This is how it stands now."
)
ORDER_EFFECT = mark("The order counts from the next message on.")
OWN_ANSWER = mark(
    "Not saved: this order is the patient’s own answer, and only a new answer of the "
    "patient changes it."
)
CLOSED = mark(
    "This message has gone out or ended meanwhile, so there is nothing left to skip."
)


class PatientPages:
    """The views of ``/l/<lid>/`` over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def show(self, request: Request, lid: str) -> Response:
        """Answer the patient's page."""
        session, view = self._enter(request, lid)
        saved = SAVED.get(request.args.get("saved", ""))
        page = self._ports.desk.write_page(view)
        return self._pages.show("smart/page.html", session, page=page, saved=saved)

    def preview(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the exact text of one coming message."""
        session, view = self._enter(request, lid)
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
        check_form(self._ports, request, session)
        chosen = request.form.get("language", "")
        if chosen in LANGUAGES:
            self._ports.launches.set_language(lid, chosen)
        return Response(status=303, headers={"Location": f"/l/{lid}/"})

    def ask_pause(self, request: Request, lid: str) -> Response:
        """Answer the pause form."""
        session, view = self._enter(request, lid)
        first = pause_days(view)[0].value
        form = PauseForm(first, "", "asked", view.version("pause"))
        return self._pause_form(session, view, form)

    def pause(self, request: Request, lid: str) -> Response:
        """Save a pause, or show the form again with what is missing."""
        session, view = self._enter(request, lid, form=True)
        try:
            form = read_pause(request, view.today)
        except BadInputError as error:
            raw = request.form
            again = PauseForm(
                raw.get("until", ""),
                raw.get("date", ""),
                raw.get("why", ""),
                raw.get("version", ""),
            )
            return self._pause_form(session, view, again, error.message, 422)
        english = replace(view, viewer=viewer_of("en-US"))
        reasons = {item.value: item.text for item in pause_reasons(english)}
        try:
            self._ports.desk.save_pause(
                view,
                _actor(session),
                last=form.last,
                why=reasons[form.why],
                version=form.version,
            )
        except ChangedElsewhereError:
            now = replace(form, version=view.version("pause"))
            return self._pause_form(session, view, now, CHANGED, 409)
        return _back(session, "pause")

    def resume(self, request: Request, lid: str) -> Response:
        """Turn messages on again."""
        session, view = self._enter(request, lid, form=True)
        try:
            version = request.form.get("version", "")
            self._ports.desk.save_resume(view, _actor(session), version)
        except ChangedElsewhereError as error:
            raise LaunchError(CHANGED, code="F3", status=409) from error
        return _back(session, "resume")

    def ask_channels(self, request: Request, lid: str) -> Response:
        """Answer the channel order form."""
        session, view = self._enter(request, lid)
        form = OrderForm(view.order, "patient", view.version("channels"))
        return self._order_form(session, view, form)

    def channels(self, request: Request, lid: str) -> Response:
        """Save the order, or move a row and show the form again."""
        session, view = self._enter(request, lid, form=True)
        try:
            form = read_order(request, view.order)
        except BadInputError as error:
            kept = OrderForm(view.order, "patient", view.version("channels"))
            return self._order_form(session, view, kept, error.message, 422)
        if "save" not in request.form:
            return self._order_form(session, view, form)
        if not view.may_order(form.who):
            return self._order_form(session, view, form, OWN_ANSWER, 422)
        try:
            self._ports.desk.save_channels(
                view,
                _actor(session),
                order=form.order,
                who=form.who,
                version=form.version,
            )
        except ChangedElsewhereError:
            kept = OrderForm(view.order, form.who, view.version("channels"))
            return self._order_form(session, view, kept, CHANGED, 409)
        return _back(session, "channels")

    def ask_skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the skip form of one coming message."""
        session, view = self._enter(request, lid)
        return self._skip_form(session, view, nudge_id)

    def skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Skip one coming message."""
        session, view = self._enter(request, lid, form=True)
        try:
            why = read_skip(request)
        except BadInputError as error:
            return self._skip_form(session, view, nudge_id, error.message, 422)
        actor = _actor(session)
        if not self._ports.desk.save_skip(view, actor, nudge_id, why.text):
            raise LaunchError(CLOSED, code="F4", status=409)
        return _back(session, "skip")

    def _enter(
        self, request: Request, lid: str, *, form: bool = False
    ) -> tuple[Session, View]:
        session = open_session(self._ports, request, lid)
        if form:
            check_form(self._ports, request, session)
        view = self._ports.desk.read_view(
            session.endpoint, session.api, session.patient, session.viewer
        )
        return session, view

    def _pause_form(
        self,
        session: Session,
        view: View,
        form: PauseForm,
        error: str = "",
        status: int = 200,
    ) -> Response:
        page: Page = self._ports.desk.write_page(view)
        return self._pages.show(
            "smart/pause.html",
            session,
            status,
            page=page,
            form=form,
            error=error,
            untils=pause_days(view),
            whys=pause_reasons(view),
            today=view.today.isoformat(),
            effect=self._ports.desk.write_pause_effect(view),
        )

    def _order_form(
        self,
        session: Session,
        view: View,
        form: OrderForm,
        error: str = "",
        status: int = 200,
    ) -> Response:
        page: Page = self._ports.desk.write_page(view)
        words = {row.channel: row.word for row in page.channels}
        return self._pages.show(
            "smart/channels.html",
            session,
            status,
            page=page,
            form=form,
            error=error,
            order=tuple(Choice(name, words[name]) for name in form.order),
            whos=WHO,
            effect=ORDER_EFFECT,
        )

    def _skip_form(
        self,
        session: Session,
        view: View,
        nudge_id: str,
        error: str = "",
        status: int = 200,
    ) -> Response:
        page: Page = self._ports.desk.write_page(view)
        for coming in page.coming:
            if coming.id == nudge_id:
                return self._pages.show(
                    "smart/skip.html",
                    session,
                    status,
                    page=page,
                    coming=coming,
                    whys=WHY_SKIP,
                    form={"why": ""},
                    error=error,
                )
        raise LaunchError(CLOSED, code="F4", status=404)


def _actor(session: Session) -> Actor:
    launch = session.launch
    reference = launch.user_reference or ""
    return Actor(reference, launch.user_name or reference)


def _back(session: Session, saved: str) -> Response:
    where = f"/l/{session.launch.id}/?saved={saved}"
    return Response(status=303, headers={"Location": where})
