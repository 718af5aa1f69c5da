"""The SMART app as one blueprint: its routes, its errors and its headers.

It holds no state of its own; all of it is in the ports.
"""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response, abort, request

from mappings.errors import CareCueError, FhirError, LaunchError
from middleware.desk.viewer import mark, viewer_of
from smart_app.closing import Closing
from smart_app.discovery import Discovery
from smart_app.editing import add_edits
from smart_app.failed import NO_PAGE, PLACE, recall_failure
from smart_app.failures import BROKEN, name_title, note_failure, settle_fault
from smart_app.handoff import Handoff
from smart_app.headers import protect, read_origin, write_policy
from smart_app.launch import Launching
from smart_app.opening import CALLBACK
from smart_app.own_forms import is_save
from smart_app.pages import PatientPages
from smart_app.picking import Picking
from smart_app.ports import SmartPorts
from smart_app.printing import Printing
from smart_app.refresh import Bearers
from smart_app.rendering import Pages, all_frames, install_words
from smart_app.session import asked_language
from smart_app.themes import Themes

NAMED = mark(
    "This address names a patient, but a page shows only the patient whose chart it "
    "was opened from. Nothing was shown or changed. Open this app again from the chart."
)
STATIC_PATH = "/smart/static"


def create_blueprint(ports: SmartPorts) -> Blueprint:
    """Return the blueprint to mount at the root of the web process."""
    blueprint = Blueprint("smart", __name__, template_folder="templates")
    pages = Pages()
    blueprint.record_once(lambda state: install_words(state.app.jinja_env))
    blueprint.add_url_rule(
        f"{STATIC_PATH}/<filename>",
        "static",
        lambda filename: pages.assets.send(request, filename),
    )
    discovery = Discovery(ports.discover, ports.fetch_keys)
    ports = replace(ports, bearer=Bearers(ports, discovery).of)
    _add_launch(blueprint, ports, Launching(ports, discovery, pages))
    _add_session(blueprint, Closing(ports, discovery, pages))
    _add_themes(blueprint, Themes(ports))
    _add_choice(blueprint, Picking(ports, pages), Handoff(ports, pages))
    _add_pages(blueprint, PatientPages(ports, pages), Printing(ports, pages))
    add_edits(blueprint, ports, pages)
    _add_guard(blueprint)
    _add_errors(blueprint, ports, pages)
    _add_headers(blueprint, ports)
    return blueprint


def _add_launch(blueprint: Blueprint, ports: SmartPorts, launching: Launching) -> None:
    @blueprint.get("/smart/launch")
    def launch() -> Response:
        return launching.start(request, standalone=False)

    @blueprint.get("/smart/standalone")
    def standalone() -> Response:
        return launching.start(request, standalone=True)

    @blueprint.get(CALLBACK)
    def callback() -> Response:
        return launching.finish(request)

    @blueprint.get(f"{PLACE}/<lid>")
    def failed(lid: str) -> Response:
        raise recall_failure(ports, request, lid)


def _add_pages(blueprint: Blueprint, views: PatientPages, printing: Printing) -> None:
    @blueprint.get("/l/<lid>/")
    def page(lid: str) -> Response:
        return views.show(request, lid)

    @blueprint.post("/l/<lid>/language")
    def language(lid: str) -> Response:
        return views.choose_language(request, lid)

    @blueprint.get("/l/<lid>/summary")
    def summary(lid: str) -> Response:
        return printing.show(request, lid)

    @blueprint.get("/l/<lid>/history")
    def history(lid: str) -> Response:
        return views.history(request, lid)

    @blueprint.get("/l/<lid>/messages/<nudge_id>")
    def preview(lid: str, nudge_id: str) -> Response:
        return views.preview(request, lid, nudge_id)


def _add_choice(blueprint: Blueprint, picking: Picking, handoff: Handoff) -> None:
    @blueprint.route("/l/<lid>/patient", methods=["GET", "POST"])
    def pick(lid: str) -> Response:
        view = picking.answer if request.method == "POST" else picking.ask
        return view(request, lid)

    @blueprint.post("/l/<lid>/window")
    def window(lid: str) -> Response:
        return handoff.offer(request, lid)

    @blueprint.post("/smart/window")
    def take_over() -> Response:
        return handoff.take(request)


def _add_themes(blueprint: Blueprint, themes: Themes) -> None:
    @blueprint.get("/l/<lid>/theme-<name>.css")
    def theme(lid: str, name: str) -> Response:
        return themes.show(request, lid, name)


def _add_session(blueprint: Blueprint, closing: Closing) -> None:
    @blueprint.get("/l/<lid>/session")
    def session(lid: str) -> Response:
        return closing.tell(request, lid)

    @blueprint.post("/l/<lid>/close")
    def close(lid: str) -> Response:
        return closing.close(request, lid)


def _add_guard(blueprint: Blueprint) -> None:
    @blueprint.before_request
    def refuse_odd_names() -> None:
        # No id of ours holds such a letter, and no database takes a NUL.
        if not all(
            str(value).isprintable() for value in (request.view_args or {}).values()
        ):
            abort(404)

    @blueprint.before_request
    def refuse_named_patients() -> None:
        # The launch says whose page it is; no address of ours says it again.
        if "lid" in (request.view_args or {}) and "patient" in request.args:
            raise LaunchError(NAMED, code="S5", status=403)


def _add_errors(blueprint: Blueprint, ports: SmartPorts, pages: Pages) -> None:
    def show(error: LaunchError) -> Response:
        lid = (request.view_args or {}).get("lid") or error.launch_id
        return pages.notice(
            name_title(error, saving=is_save(request)),
            error,
            # A frame of our own page may hold it, where it tried the sign-in.
            frames=(*all_frames(ports.endpoints()), read_origin(ports.public_url)),
            viewer=viewer_of(asked_language(request)),
            launch_id=lid or note_failure(ports, error),
        )

    @blueprint.errorhandler(LaunchError)
    def refused(error: LaunchError) -> Response:
        return show(error)

    @blueprint.errorhandler(FhirError)
    def unreadable(error: FhirError) -> Response:
        launch = ports.launches.get((request.view_args or {}).get("lid", ""))
        return show(settle_fault(ports, launch, error))

    @blueprint.errorhandler(CareCueError)
    def broken(_: CareCueError) -> Response:
        return show(LaunchError(BROKEN, code="X1", status=500))

    @blueprint.errorhandler(500)
    def failed(_: Exception) -> Response:
        return show(LaunchError(BROKEN, code="X1", status=500))

    @blueprint.errorhandler(404)
    def missing(_: Exception) -> Response:
        return show(LaunchError(NO_PAGE, code="N1", status=404))


def _add_headers(blueprint: Blueprint, ports: SmartPorts) -> None:
    @blueprint.after_request
    def finish(response: Response) -> Response:
        is_file = request.endpoint == "smart.static" and response.status_code < 400
        if not is_file and "Content-Security-Policy" not in response.headers:
            protect(response, write_policy(all_frames(ports.endpoints())))
        return response
