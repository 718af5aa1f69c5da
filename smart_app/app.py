"""The SMART app as one blueprint: its routes, its errors and its headers.

It holds no state of its own; all of it is in the ports.
"""

from __future__ import annotations

from flask import Blueprint, Response, request, send_file

from mappings.errors import CareCueError, FhirError, LaunchError
from middleware.desk.look import LOOK
from middleware.desk.viewer import mark, viewer_of
from smart_app.headers import protect, write_policy
from smart_app.launch import CALLBACK, Launching
from smart_app.pages import PatientPages
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages, all_frames, install_words
from smart_app.session import ENDED, asked_language

TITLES = {
    401: mark("Your chart session ended"),
    403: mark("This cannot be opened here"),
}
UNREADABLE = mark(
    "The chart could not be read. Nothing was sent or changed. Try again, or open "
    "this app again from the chart."
)
BROKEN = mark(
    "Something of CareCue is not working. Nothing was sent or changed. Try again in "
    "a minute; if it stays so, tell the person who runs CareCue."
)
NO_PAGE = mark("There is no such page here. Nothing was changed.")
YEAR_SECONDS = 31_536_000
STATIC_PATH = "/smart/static"


def create_blueprint(ports: SmartPorts) -> Blueprint:
    """Return the blueprint to mount at the root of the web process."""
    blueprint = Blueprint(
        "smart",
        __name__,
        static_folder="static",
        static_url_path=STATIC_PATH,
        template_folder="templates",
    )
    pages = Pages()
    blueprint.record_once(lambda state: install_words(state.app.jinja_env))
    blueprint.add_url_rule(
        f"{STATIC_PATH}/{LOOK.name}", "look", lambda: send_file(LOOK)
    )
    _add_launch(blueprint, Launching(ports))
    _add_pages(blueprint, PatientPages(ports, pages))
    _add_errors(blueprint, ports, pages)
    _add_headers(blueprint, ports, pages)
    return blueprint


def _add_launch(blueprint: Blueprint, launching: Launching) -> None:
    @blueprint.get("/smart/launch")
    def launch() -> Response:
        return launching.start(request, standalone=False)

    @blueprint.get("/smart/standalone")
    def standalone() -> Response:
        return launching.start(request, standalone=True)

    @blueprint.get(CALLBACK)
    def callback() -> Response:
        return launching.finish(request)


def _add_pages(blueprint: Blueprint, views: PatientPages) -> None:
    @blueprint.get("/l/<lid>/")
    def page(lid: str) -> Response:
        return views.show(request, lid)

    @blueprint.post("/l/<lid>/language")
    def language(lid: str) -> Response:
        return views.choose_language(request, lid)

    @blueprint.route("/l/<lid>/pause", methods=["GET", "POST"])
    def pause(lid: str) -> Response:
        view = views.pause if request.method == "POST" else views.ask_pause
        return view(request, lid)

    @blueprint.post("/l/<lid>/resume")
    def resume(lid: str) -> Response:
        return views.resume(request, lid)

    @blueprint.route("/l/<lid>/channels", methods=["GET", "POST"])
    def channels(lid: str) -> Response:
        view = views.channels if request.method == "POST" else views.ask_channels
        return view(request, lid)

    @blueprint.get("/l/<lid>/messages/<nudge_id>")
    def preview(lid: str, nudge_id: str) -> Response:
        return views.preview(request, lid, nudge_id)

    @blueprint.route("/l/<lid>/messages/<nudge_id>/skip", methods=["GET", "POST"])
    def skip(lid: str, nudge_id: str) -> Response:
        view = views.skip if request.method == "POST" else views.ask_skip
        return view(request, lid, nudge_id)


def _add_errors(blueprint: Blueprint, ports: SmartPorts, pages: Pages) -> None:
    def show(sentence: str, code: str, status: int) -> Response:
        arguments = request.view_args or {}
        return pages.notice(
            title=TITLES.get(status, mark("This did not work")),
            sentence=sentence,
            code=code,
            status=status,
            frames=all_frames(ports.endpoints()),
            viewer=viewer_of(asked_language(request)),
            launch_id=arguments.get("lid"),
        )

    @blueprint.errorhandler(LaunchError)
    def refused(error: LaunchError) -> Response:
        return show(error.message, error.code, error.status)

    @blueprint.errorhandler(FhirError)
    def unreadable(error: FhirError) -> Response:
        if error.status == 401:
            return show(ENDED, "S2", 401)
        return show(UNREADABLE, "E1", 502)

    @blueprint.errorhandler(CareCueError)
    def broken(_: CareCueError) -> Response:
        return show(BROKEN, "X1", 500)

    @blueprint.errorhandler(404)
    def missing(_: Exception) -> Response:
        return show(NO_PAGE, "N1", 404)


def _add_headers(blueprint: Blueprint, ports: SmartPorts, pages: Pages) -> None:
    @blueprint.after_request
    def finish(response: Response) -> Response:
        if request.endpoint in {"smart.static", "smart.look"}:
            name = request.path.removeprefix(f"{STATIC_PATH}/")
            response.headers["X-Content-Type-Options"] = "nosniff"
            if pages.is_current(name, request.args.get("v")):
                response.cache_control.no_cache = None
                response.cache_control.max_age = YEAR_SECONDS
                response.cache_control.public = True
                response.cache_control.immutable = True
            return response
        if "Content-Security-Policy" not in response.headers:
            protect(response, write_policy(all_frames(ports.endpoints())))
        return response
