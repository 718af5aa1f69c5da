"""The way into an open launch: the session, then the patient as the token shows them.

A view never takes a patient from the request: the launch says whose chart it is.
"""

from __future__ import annotations

import re
from dataclasses import replace

from flask import Request, Response

from mappings.errors import FhirError, LaunchError
from middleware.desk.editing.fields import Fields, Form, Sent
from middleware.desk.launches import LOCKED
from middleware.desk.opened import read_opened
from middleware.desk.values import Actor
from middleware.desk.viewer import mark
from middleware.desk.views import View
from smart_app.drafts import KEPT, keep_draft, settle_draft
from smart_app.naming import name_user
from smart_app.own_forms import check_form
from smart_app.ports import SmartPorts
from smart_app.session import Session, end_session, open_session

OVER = mark(
    "Nothing was changed. This record is closed, so no message goes out from it. If "
    "that is wrong, correct it in the chart first."
)
FORM = re.compile(r"[0-9A-Za-z-]{1,64}")
TURN = re.compile(r"[0-9]{1,6}")
UNREAD = mark(
    "Not saved: the chart could not be read just now. What you filled in is kept for "
    "10 minutes: open the page again and go on from there."
)


def enter(
    ports: SmartPorts,
    request: Request,
    lid: str,
    *,
    form: bool = False,
    edit: bool = False,
) -> tuple[Session, View]:
    """Return the session and its patient; raises LaunchError or FhirError.

    ``form`` lets only our own form of this launch and patient through, ``edit`` only
    who may change anything (LaunchError F5, 403); nobody changes a closed record (F7,
    403). Who sends a form is known by name where that can be read. Where the session
    has ended, or the chart cannot be read, what a form says is kept as a draft.
    """
    try:
        session = open_session(ports, request, lid)
        if form:
            check_form(ports, request, session)
        if edit:
            _check_role(session)
        if form:
            session = name_user(ports, session)
        return session, _read(ports, session, name_view(request), changes=form or edit)
    except LaunchError as error:
        if form and error.status == 401 and keep_draft(ports, request, lid):
            raise LaunchError(KEPT, code=error.code, status=401) from error
        raise
    except FhirError as error:
        if not form or not keep_draft(ports, request, lid):
            raise
        if error.status == 401:
            end_session(ports, session.launch, LOCKED, "E2")
            raise LaunchError(KEPT, code="S2", status=401) from error
        raise LaunchError(UNREAD, code="E1", status=502) from error


def name_view(request: Request) -> str:
    """Return what the audit calls a view: the name of its route."""
    return (request.endpoint or "").rpartition(".")[2]


def _check_role(session: Session) -> None:
    if not session.may_edit:
        raise LaunchError(session.read_only, code="F5", status=403)


def _read(ports: SmartPorts, session: Session, name: str, *, changes: bool) -> View:
    """Read the chart; that it is seen is audited before anything of it is shown."""
    *_, view = ports.desk.read_views(
        session.endpoint,
        session.api,
        session.patient,
        session.viewer,
        session.permitted,
        opened=read_opened(session.launch, session.endpoint),
    )
    ports.desk.note_view(view, session.launch, name)
    if changes and view.is_over:
        raise LaunchError(OVER, code="F7", status=403)
    return view


def actor_of(session: Session) -> Actor:
    """Return who is saving."""
    launch = session.launch
    return Actor(launch.who, launch.user_name or launch.who, launch.user)


def sent_of(request: Request, session: Session, path: str = "") -> Sent:
    """Return the form that was sent.

    The buttons of one page are forms of one name: their ``path`` tells them apart.
    """
    form = read_form(request.form.to_dict(flat=False))
    if path and form.id:
        form = replace(form, id=f"{form.id} {path}")
    return Sent(actor_of(session), request.form.get("version", ""), form)


def read_form(given: Fields) -> Form:
    """Return which form this was filled in; what is none of ours counts for none."""
    name, turn = ("".join(given.get(item, ())) for item in ("form_id", "turn"))
    if not FORM.fullmatch(name):
        return Form()
    return Form(name, int(turn) if TURN.fullmatch(turn) else 0)


def go_on(session: Session, form: Form) -> Session:
    """Return the session whose answer shows the same form again, under its name."""
    return replace(session, form=form.id) if form.id else session


def is_partial(request: Request) -> bool:
    """Tell whether the page itself asks, to swap a part of it in place."""
    return request.headers.get("HX-Request") == "true"


def go_back(
    ports: SmartPorts, request: Request, session: Session, saved: str, part: str = ""
) -> Response:
    """Send the browser to the page, which says what was saved; no draft is left of it."""
    settle_draft(ports, session, request)
    anchor = f"#{part}" if part else ""
    where = f"/l/{session.launch.id}/?saved={saved}{anchor}"
    return Response(status=303, headers={"Location": where})
