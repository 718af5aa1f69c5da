"""What is saved of the pause, the order of channels and the coming messages.

Every save goes through the desk; a form that is not taken comes back as it was filled
in, with the reason.
"""

from __future__ import annotations

from dataclasses import replace

from flask import Request, Response

from mappings.errors import BadInputError, LaunchError
from middleware.desk.editing.fields import Fields
from middleware.desk.editing.saving import ChangedElsewhereError
from middleware.desk.values import Choice, Page
from middleware.desk.viewer import mark, viewer_of
from middleware.desk.views import View
from smart_app.entering import actor_of, enter, go_back
from smart_app.forms import (
    WHY_SKIP,
    OrderForm,
    PauseForm,
    order_speakers,
    pause_days,
    pause_reasons,
    read_order,
    read_pause,
    read_skip,
)
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import Session

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
                actor_of(session),
                last=form.last,
                why=reasons[form.why],
                version=form.version,
            )
        except ChangedElsewhereError:
            now = replace(form, version=view.version("pause"))
            return self._pause_form(session, view, now, CHANGED, 409)
        return go_back(self._ports, session, "pause")

    def resume(self, request: Request, lid: str) -> Response:
        """Turn messages on again."""
        session, view = enter(self._ports, request, lid, form=True)
        try:
            version = request.form.get("version", "")
            self._ports.desk.save_resume(view, actor_of(session), version)
        except ChangedElsewhereError as error:
            raise LaunchError(CHANGED, code="F3", status=409) from error
        return go_back(self._ports, session, "resume")

    def ask_channels(self, request: Request, lid: str) -> Response:
        """Answer the channel order form."""
        session, view = enter(self._ports, request, lid, edit=True)
        form = OrderForm(view.order, "patient", view.version("channels"))
        return self._order_form(session, view, form)

    def channels(self, request: Request, lid: str) -> Response:
        """Save the order, or move a row and show the form again."""
        session, view = enter(self._ports, request, lid, form=True)
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
                actor_of(session),
                order=form.order,
                who=form.who,
                version=form.version,
            )
        except ChangedElsewhereError:
            kept = OrderForm(view.order, form.who, view.version("channels"))
            return self._order_form(session, view, kept, CHANGED, 409)
        return go_back(self._ports, session, "channels")

    def ask_skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Answer the skip form of one coming message."""
        session, view = enter(self._ports, request, lid, edit=True)
        return self._skip_form(session, view, nudge_id)

    def skip(self, request: Request, lid: str, nudge_id: str) -> Response:
        """Skip one coming message."""
        session, view = enter(self._ports, request, lid, form=True)
        try:
            why = read_skip(request)
        except BadInputError as error:
            return self._skip_form(session, view, nudge_id, error.message, 422)
        actor = actor_of(session)
        if not self._ports.desk.save_skip(view, actor, nudge_id, why.text):
            raise LaunchError(CLOSED, code="F4", status=409)
        return go_back(self._ports, session, "skip")

    def fill_pause(self, session: Session, view: View, given: Fields) -> Response:
        """Answer the pause form, filled in as it was."""
        until, day, why = ("".join(given.get(n, ())) for n in ("until", "date", "why"))
        form = PauseForm(until, day, why, view.version("pause"))
        return self._pause_form(session, view, form)

    def fill_channels(self, session: Session, view: View, given: Fields) -> Response:
        """Answer the order form, in the order that was chosen if it still can be."""
        order, who = tuple(given.get("order", ())), "".join(given.get("who", ()))
        known = sorted(order) == sorted(view.order)
        chosen = order if known else view.order
        return self._order_form(
            session, view, OrderForm(chosen, who, view.version("channels"))
        )

    def fill_skip(
        self, session: Session, view: View, nudge_id: str, given: Fields
    ) -> Response:
        """Answer the skip form, filled in as it was."""
        why = "".join(given.get("why", ()))
        return self._skip_form(session, view, nudge_id, why=why)

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
            whos=order_speakers(view),
            effect=ORDER_EFFECT,
        )

    def _skip_form(
        self,
        session: Session,
        view: View,
        nudge_id: str,
        error: str = "",
        status: int = 200,
        why: str = "",
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
                    form={"why": why},
                    error=error,
                )
        raise LaunchError(CLOSED, code="F4", status=404)
