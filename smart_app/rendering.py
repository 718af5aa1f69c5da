"""Turning values into pages: templates, and the page's headers.

Everything is escaped by the templates; nothing here marks a text as safe.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import Response, make_response, render_template, request
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from mappings.endpoint import Endpoint
from mappings.errors import LaunchError
from middleware.desk.viewer import LANGUAGES, Viewer
from smart_app.assets import Assets
from smart_app.failures import FOR_GOOD, name_step
from smart_app.headers import protect, write_policy
from smart_app.session import Session

CHART = "CareCue-Chart"
LONGEST_TEXT = 8000
LOST = "S1"  # the cookie of a launch did not come along
# Control characters; marks, embeddings and overrides of direction.
STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066\u2067]"
)


class Pages:
    """Renders the app's templates."""

    def __init__(self) -> None:
        self.assets = Assets()

    def show(
        self, template: str, session: Session, status: int = 200, **values: Any
    ) -> Response:
        """Render a page of an open launch, frameable by its EHR alone.

        A header says whose it is: a page refuses the answer for another chart.
        """
        html = self.render(template, session, **values)
        return self.address(make_response(html, status), session)

    def render(self, template: str, session: Session, **values: Any) -> str:
        """Render a page of an open launch, or a ``piece`` of one."""
        return self._render(
            template,
            session=session,
            viewer=session.viewer,
            languages=LANGUAGES,
            here=f"/l/{session.launch.id}/",
            **values,
        )

    def address(self, response: Response, session: Session) -> Response:
        """Say on an answer whose chart it is and who may frame it."""
        response.headers[CHART] = session.chart
        frames = session.endpoint.app.frame_origins
        return protect(response, write_policy(frames, [session.authorize_origin]))

    def show_alone(
        self,
        template: str,
        viewer: Viewer,
        policy: str,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """Render a page of no open launch; ``policy`` says who may frame it."""
        html = self._render(template, session=None, viewer=viewer, **values)
        return protect(make_response(html, status), policy)

    def _render(self, template: str, **values: Any) -> str:
        return render_template(
            template,
            asset=self.assets.url,
            framed=is_framed(),
            part=request.headers.get("HX-Request") == "true",
            **values,
        )

    def notice(
        self,
        title: str,
        error: LaunchError,
        *,
        frames: Sequence[str],
        viewer: Viewer,
        launch_id: str,
    ) -> Response:
        """Render a page without any patient: what happened, where, and what to do.

        A request of htmx gets the part that goes into the page that it came from.
        """
        response = self.show_alone(
            "smart/notice.html",
            viewer,
            write_policy(frames),
            error.status,
            title=title,
            error=error,
            step=name_step(error.code),
            final=error.code in FOR_GOOD,
            launch_id=launch_id,
        )
        if error.code == LOST and request.method == "POST":
            # Nobody knows whose form it was, so no draft is kept: it stays filled in.
            response.headers["HX-Reswap"] = "beforebegin"
        return response


@pass_context
def _translate(context: Context, sentence: str) -> str:
    viewer: Viewer = context["viewer"]
    return viewer.translate(sentence)


@pass_context
def _choose_form(context: Context, one: str, many: str, number: int) -> str:
    viewer: Viewer = context["viewer"]
    return str(viewer.translations.ngettext(one, many, number))


def install_words(environment: Any) -> None:
    """Let templates say ``_("...")`` and ``ngettext`` in the language of ``viewer``.

    The filter ``said`` translates a sentence that was marked elsewhere.
    """
    environment.finalize = as_plain
    environment.add_extension("jinja2.ext.i18n")
    environment.filters["said"] = _translate
    environment.install_gettext_callables(_translate, _choose_form, newstyle=True)


def as_plain(value: Any) -> Any:
    """Return what a template writes: bounded, and without letters that steer.

    Texts of a chart may hold control characters, or ones that turn the line around
    (Unicode UAX 9); neither has a place on a page. Isolates stay: they are ours.
    """
    if not isinstance(value, str):
        return value
    plain = STEERING.sub("", value)
    if isinstance(value, Markup):
        return Markup(plain)  # noqa: S704 -- it was markup before
    return plain if len(plain) <= LONGEST_TEXT else f"{plain[:LONGEST_TEXT]}…"


def is_framed() -> bool:
    """Tell whether the browser asks for what goes into a frame of the EHR."""
    return request.headers.get("Sec-Fetch-Dest") == "iframe"


def all_frames(endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    """Return every origin that may frame us, for a page without any patient."""
    found = [origin for item in endpoints for origin in item.app.frame_origins]
    return tuple(dict.fromkeys(found))
