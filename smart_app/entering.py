"""The way into an open launch: the session, then the patient as the token shows them.

A view never takes a patient from the request: the launch says whose chart it is.
"""

from __future__ import annotations

from flask import Request, Response

from mappings.errors import LaunchError
from middleware.desk.values import Actor
from middleware.desk.views import View
from smart_app.ports import SmartPorts
from smart_app.session import Session, check_form, open_session


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
    who may change anything (LaunchError F5, 403).
    """
    session = open_session(ports, request, lid)
    if form:
        check_form(ports, request, session)
    if edit and not session.may_edit:
        raise LaunchError(session.read_only, code="F5", status=403)
    view = ports.desk.read_view(
        session.endpoint, session.api, session.patient, session.viewer
    )
    return session, view


def actor_of(session: Session) -> Actor:
    """Return who is saving."""
    launch = session.launch
    return Actor(launch.who, launch.user_name or launch.who)


def is_partial(request: Request) -> bool:
    """Tell whether the page itself asks, to swap a part of it in place."""
    return request.headers.get("HX-Request") == "true"


def go_back(session: Session, saved: str, part: str = "") -> Response:
    """Send the browser to the page, which says what was saved."""
    anchor = f"#{part}" if part else ""
    where = f"/l/{session.launch.id}/?saved={saved}{anchor}"
    return Response(status=303, headers={"Location": where})
