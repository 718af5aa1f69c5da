"""The authorization endpoint: a launch from a chart, or a person who signs in.

It may not issue tokens, only codes. A chart's launch carries its user and patient
with it and asks nobody; a standalone one asks who signs in and for which patient.
Source: SMART App Launch 2.2, "Obtain authorization code"; RFC 9207.
"""

from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.datastructures import MultiDict

from middleware.sandbox.authentication import FORM, read_once
from middleware.sandbox.authority import (
    Authority,
    Pending,
    read_authority,
    wants_encounter,
)
from middleware.sandbox.authorization import (
    AuthorizationFault,
    Request,
    extend,
    read_request,
)
from middleware.sandbox.ehr_chart import (
    PatientRow,
    list_patients,
    read_current_encounter,
)
from middleware.sandbox.ehr_page import answer_page, send_on
from middleware.sandbox.ehr_users import find_user, list_users
from middleware.sandbox.launches import Context
from middleware.sandbox.oauth_fault import OAuthFault
from middleware.sandbox.store import Store

routes = Blueprint("authorize", __name__, url_prefix="/oauth")


@routes.route("/authorize", methods=["GET", "POST"])
def authorize() -> Response:
    """Answer a redirect to the app with a code, a log-in page, or a refusal."""
    authority = read_authority()
    try:
        asked = read_request(_params(), authority.clients, authority.issuer)
        if asked.launch is not None:
            return _finish(authority, asked, _launched(authority, asked))
    except AuthorizationFault as fault:
        return _refuse(authority, fault)
    except OAuthFault as fault:
        return _show_fault(fault)
    return _ask_user(authority, Pending(asked))


@routes.post("/login")
def sign_in() -> Response:
    """Answer the page after the log-in: for which patient, and with which scopes."""
    authority = read_authority()
    pending = authority.pending.take(request.form.get("pending", ""))
    if pending is None:
        return _show_gone()
    user = find_user(_store(), request.form.get("user", ""))
    if user is None:
        return _ask_user(authority, pending)
    return _ask_patient(authority, Pending(pending.request, user.reference))


@routes.post("/allow")
def allow() -> Response:
    """Answer the redirect to the app with a code, or with access_denied."""
    authority = read_authority()
    pending = authority.pending.take(request.form.get("pending", ""))
    if pending is None or pending.user is None:
        return _show_gone()
    asked = pending.request
    if request.form.get("decision") != "allow":
        return _refuse(authority, _fault(asked, "access_denied", "the user said no"))
    patient = request.form.get("patient") or None
    if asked.wants_patient:
        known = {row.id for row in _choices(pending.user)}
        if patient not in known:
            return _ask_patient(authority, pending)
    encounter = None
    if patient is not None and wants_encounter(asked.scopes):
        encounter = read_current_encounter(_store(), patient)
    context = Context(pending.user, patient if asked.wants_patient else None, encounter)
    return _finish(authority, asked, context)


def _launched(authority: Authority, asked: Request) -> Context:
    launch = authority.launches.take(asked.launch or "")
    if launch is None:
        raise _fault(asked, "invalid_request", "launch is unknown, used or expired")
    if launch.client_id not in (None, asked.client.client_id):
        raise _fault(asked, "invalid_request", "launch was made for another app")
    return Context(
        launch.user, launch.patient, launch.encounter, need_patient_banner=False
    )


def _finish(authority: Authority, asked: Request, context: Context) -> Response:
    code = authority.grant_code(asked, context)
    return send_on(
        extend(asked.redirect_uri, code=code, state=asked.state, iss=authority.issuer)
    )


def _refuse(authority: Authority, fault: AuthorizationFault) -> Response:
    if fault.redirect_uri is None:
        return _show_fault(fault)
    return send_on(
        extend(
            fault.redirect_uri,
            error=fault.error,
            error_description=fault.description,
            state=fault.state,
            iss=authority.issuer,
        )
    )


def _fault(asked: Request, error: str, description: str) -> AuthorizationFault:
    return AuthorizationFault(error, description, asked.redirect_uri, asked.state)


def _show_fault(fault: OAuthFault) -> Response:
    return answer_page("ehr_error.html", 400, framed=True, fault=fault)


def _show_gone() -> Response:
    return _show_fault(
        OAuthFault("invalid_request", "This sign-in has ended. Start it in the app.")
    )


def _ask_user(authority: Authority, pending: Pending) -> Response:
    return answer_page(
        "ehr_login.html",
        form_origins=_origins(pending),
        pending=authority.pending.put(pending),
        client=pending.request.client,
        users=list_users(_store()),
    )


def _ask_patient(authority: Authority, pending: Pending) -> Response:
    user = find_user(_store(), pending.user or "")
    asked = pending.request
    return answer_page(
        "ehr_allow.html",
        form_origins=_origins(pending),
        pending=authority.pending.put(pending),
        client=asked.client,
        user=user,
        scopes=asked.scopes,
        patients=_choices(pending.user or "") if asked.wants_patient else None,
    )


def _choices(user: str) -> list[PatientRow]:
    options = current_app.extensions["options"]
    now = current_app.extensions["clock"].now()
    rows = list_patients(_store(), now, options.site_zone)
    type_, _, id_ = user.partition("/")
    return [row for row in rows if type_ != "Patient" or row.id == id_]


def _origins(pending: Pending) -> tuple[str, ...]:
    # Browsers hold a form's redirects to form-action as well.
    parts = urlsplit(pending.request.redirect_uri)
    return (f"{parts.scheme}://{parts.netloc}",)


def _params() -> dict[str, str]:
    values: MultiDict[str, str] = request.args
    if request.method == "POST":
        if request.mimetype != FORM or request.args:
            raise OAuthFault("invalid_request", f"a POST carries {FORM}")
        values = request.form
    return read_once(values)


def _store() -> Store:
    store: Store = current_app.extensions["store"]
    return store


def register(app: Flask) -> None:
    """Mount the endpoint and its pages."""
    app.register_blueprint(routes)
