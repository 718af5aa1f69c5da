"""The console's frame: every page inside it, short notices, and what was just done."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from flask import Flask, Response, g, make_response, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from middleware.storage import endpoints, overview
from middleware.web import words
from middleware.web.console_ports import ConsolePorts

SAID_COOKIE = "carecue_console_said"
SAID_PATH = "/console"
SAID_SECONDS = 60
SAID_LONGEST = 500


def show(ports: ConsolePorts, template: str, here: str, **values: Any) -> Response:
    """Render one page for the person of this session, in the site's zone."""
    now = ports.clock.now()
    with ports.database.tx() as tx:
        counts = overview.count_all(tx)
        known = endpoints.list_endpoints(tx)
    zone = values.pop("zone", None) or site_zone([item.site.zone for item in known])
    waiting = counts.nudges_in("held") + counts.nudges_in("failed")
    said = unquote(request.cookies.get(SAID_COOKIE, ""))[:SAID_LONGEST]
    answer = make_response(
        render_template(
            f"console/{template}.html",
            here=here,
            person=g.person,
            csrf=g.csrf,
            now=now,
            zone=zone,
            site=known[0].site.name if known else "console",
            waiting=waiting + counts.tasks_open + sum(counts.dead.values()),
            said=said,
            **values,
        )
    )
    if said:
        answer.delete_cookie(SAID_COOKIE, path=SAID_PATH)
    return answer


def notice(
    status: int, title: str, text: str, *, token: str | None = None
) -> tuple[str, int]:
    """Return a short page without the frame, for who is not (or not yet) inside."""
    page = render_template("console/notice.html", title=title, text=text, token=token)
    return page, status


def say(text: str, where: str = "/console") -> BaseResponse:
    """Go to a page that tells once what was done."""
    answer = redirect(where, code=303)
    answer.set_cookie(
        SAID_COOKIE,
        quote(text[:SAID_LONGEST]),
        max_age=SAID_SECONDS,
        path=SAID_PATH,
        httponly=True,
        secure=request.is_secure,
        samesite="Strict",
    )
    return answer


def site_zone(names: list[str]) -> ZoneInfo:
    """Return the zone in which times are shown: the first endpoint's, else UTC."""
    return words.read_zone(names[0] if names else "UTC")


def register_words(app: Flask) -> None:
    """Give the templates the words for times, counts and languages."""
    app.jinja_env.filters["at"] = _at
    app.jinja_env.filters["ago"] = words.ago
    app.jinja_env.filters["language"] = words.language_name
    app.jinja_env.globals["count"] = words.count


def _at(moment: Any, zone: ZoneInfo, *, seconds: bool = True) -> Markup | str:
    return words.time_tag(moment, zone, seconds=seconds) if moment else "never"
