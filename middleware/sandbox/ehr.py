"""The sandbox EHR's own pages: its patients, a chart, and the apps in the chart.

It may not hold clinical logic; ehr_chart.py reads and ehr_actions.py writes.
No patient's name is ever in an address: searching happens in the page.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, jsonify
from flask import request as http

from middleware.sandbox.authority import read_authority
from middleware.sandbox.authorization import extend
from middleware.sandbox.cds import CdsClient
from middleware.sandbox.clients import Client
from middleware.sandbox.ehr_actions import (
    BOOKINGS,
    admit,
    book_visit,
    cancel_visit,
    choose_start,
    discharge_home,
    mark_no_show,
)
from middleware.sandbox.ehr_chart import Reader, list_patients, read_current_encounter
from middleware.sandbox.ehr_page import (
    answer_page,
    send_on,
    write_said,
    write_short,
)
from middleware.sandbox.ehr_reading import Resource, write_when
from middleware.sandbox.ehr_users import User, list_practitioners
from middleware.sandbox.launches import Launch
from middleware.sandbox.store import Store

COOKIE = "ehr_user"
UNREGISTERED = "default"
DONE = {
    "admit": "Admitted to hospital.",
    "discharge": "Discharged home.",
    "book": "Visit booked.",
    "cancel": "Visit cancelled.",
    "no-show": "Visit marked as no-show.",
}
# What apps may take over from the EHR's looks; the names are SMART's.
STYLE = {
    "color_background": "#eef2f6",
    "color_error": "#b3261e",
    "color_highlight": "#1d5fa8",
    "color_modal_backdrop": "",
    "color_success": "#1e7b4f",
    "color_text": "#17212b",
    "dim_border_radius": "6px",
    "dim_font_size": "14px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, 'Segoe UI', Roboto, Arial, sans-serif",
    "font_family_heading": "system-ui, 'Segoe UI', Roboto, Arial, sans-serif",
}

routes = Blueprint("ehr", __name__, url_prefix="/ehr")


@routes.before_request
def refuse_other_sites() -> None:
    """Stop a form that another site sent: an app in a frame is another site."""
    if http.method == "POST":
        origin = http.headers.get("Origin")
        if origin is not None and origin != _options().base_url:
            abort(403)


@routes.get("/")
def patients() -> Response:
    """Answer the patient list."""
    rows = list_patients(_store(), _now(), _options().site_zone)
    return answer_page("ehr_patients.html", rows=rows, **_frame())


@routes.post("/user")
def switch_user() -> Response:
    """Sign another practitioner in; the choice is the EHR's cookie."""
    wanted = http.form.get("user", "")
    if wanted not in {user.reference for user in list_practitioners(_store())}:
        abort(400)
    back = http.form.get("back", "/ehr/")
    response = send_on(back if back.startswith("/ehr/") else "/ehr/")
    response.set_cookie(COOKIE, wanted, path="/ehr", httponly=True, samesite="Lax")
    return response


@routes.get("/patient/<id_>")
def chart(id_: str) -> Response:
    """Answer a patient's chart; `done` names what was just done."""
    return _show_chart(id_, done=DONE.get(http.args.get("done", "")))


@routes.get("/patient/<id_>/cards")
def cards(id_: str) -> Response:
    """Answer the cards of decision support: a part of the chart that comes later."""
    encounter = read_current_encounter(_store(), id_)
    admitted = _reader().chart(_patient(id_)).admitted
    client: CdsClient = current_app.extensions["cds"]
    user = _signed_in().reference
    hooks = ("patient-view", "encounter-discharge") if admitted else ("patient-view",)
    found = [card for hook in hooks for card in client.ask(hook, id_, encounter, user)]
    at = f"/ehr/patient/{id_}"
    return answer_page("ehr_cards.html", cards=found, apps=_apps(), at=at)


@routes.get("/patient/<id_>/app/<key>")
def launch(id_: str, key: str) -> Response:
    """Answer the chart with an app in it: each time a new launch, a new frame."""
    patient = _patient(id_)
    app = next((each for each in _apps() if each["key"] == key), None)
    frame = _frame()
    if app is None or frame["user"] is None:
        abort(404)
    authority = read_authority()
    code = authority.launches.put(
        Launch(
            app["client_id"],
            id_,
            read_current_encounter(_store(), id_),
            frame["user"].reference,
        )
    )
    return answer_page(
        "ehr_app.html",
        frames=True,
        chart=_reader().chart(patient),
        app=app,
        src=extend(app["launch_uri"], iss=authority.issuer, launch=code),
        **frame,
    )


@routes.post("/patient/<id_>/<any(admit, discharge, book):action>")
def act(id_: str, action: str) -> Response:
    """Do what staff do to a chart, then show the chart."""
    store, now, zone = _store(), _now(), _options().site_zone
    user = _signed_in()

    def admitted() -> Resource:
        return admit(store, id_, user, now)

    def discharged() -> Resource:
        return discharge_home(store, id_, now)

    def booked() -> Resource:
        start = choose_start(http.form.get("when", ""), now, zone)
        return book_visit(store, id_, user, start, now)

    chosen = {"admit": admitted, "discharge": discharged, "book": booked}[action]
    return _do(id_, action, chosen)


@routes.post("/patient/<id_>/visit/<visit>/<any(cancel, 'no-show'):action>")
def close_visit(id_: str, visit: str, action: str) -> Response:
    """Cancel a visit or mark it as missed, then show the chart."""
    _signed_in()

    def cancelled() -> Resource:
        return cancel_visit(_store(), id_, visit)

    def missed() -> Resource:
        return mark_no_show(_store(), id_, visit, _now())

    return _do(id_, action, cancelled if action == "cancel" else missed)


@routes.get("/smart-style.json")
def style() -> Response:
    """Answer the looks that apps may take over (`smart_style_url`)."""
    response = jsonify(STYLE)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _do(id_: str, action: str, write: Callable[[], Resource]) -> Response:
    _patient(id_)
    try:
        write()
    except ValueError as error:
        return _show_chart(id_, status=409, problem=str(error))
    return send_on(f"/ehr/patient/{id_}?done={action}")


def _show_chart(
    id_: str,
    status: int = 200,
    done: str | None = None,
    problem: str | None = None,
) -> Response:
    return answer_page(
        "ehr_chart.html",
        status,
        chart=_reader().chart(_patient(id_)),
        asks=bool(current_app.extensions["cds"].url),
        bookings={key: words for key, (words, _) in BOOKINGS.items()},
        done=done,
        problem=problem,
        **_frame(),
    )


def _frame() -> dict[str, Any]:
    """Answer what every page of the EHR shows around its content."""
    users = list_practitioners(_store())
    return {
        "user": _read_user(users),
        "users": users,
        "now": write_when(_now().isoformat(), _options().site_zone),
        "zone": _options().site_zone.key.rpartition("/")[2].replace("_", " "),
        "apps": _apps(),
        "back": http.path if http.method == "GET" else "/ehr/",
    }


def _apps() -> list[dict[str, Any]]:
    clients: list[Client] = current_app.extensions["clients"].launchable()
    found = [
        {
            "key": client.client_id,
            "client_id": client.client_id,
            "name": client.client_name,
            "launch_uri": client.launch_uri,
        }
        for client in clients
    ]
    url = _options().app_launch_url
    if url and not found:
        unbound = {"key": UNREGISTERED, "client_id": None, "name": "CareCue"}
        found.append({**unbound, "launch_uri": url})
    return found


def _read_user(users: list[User]) -> User | None:
    chosen = http.cookies.get(COOKIE)
    known = {user.reference: user for user in users}
    return known.get(chosen or "") or (users[0] if users else None)


def _signed_in() -> User:
    user = _read_user(list_practitioners(_store()))
    if user is None:
        abort(409)
    return user


def _patient(id_: str) -> Resource:
    patient = _store().get("Patient", id_)
    if patient is None:
        abort(404)
    return patient


def _reader() -> Reader:
    return Reader(_store(), _now(), _options().site_zone)


def _store() -> Store:
    store: Store = current_app.extensions["store"]
    return store


def _now() -> Any:
    return current_app.extensions["clock"].now()


def _options() -> Any:
    return current_app.extensions["options"]


def register(app: Flask) -> None:
    """Mount the pages; add the filters `said` and `short`."""
    app.register_blueprint(routes)
    app.add_template_filter(write_said, "said")
    app.add_template_filter(write_short, "short")
