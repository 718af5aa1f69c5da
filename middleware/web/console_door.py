"""The console's door: whose host name, whose session, whose form.

A session begins with a link that works once; a POST also needs that session's own
token. Reading pages changes nothing.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, g, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from middleware.storage import audit, login_links
from middleware.storage.login_links import hash_token
from middleware.web.console_ports import ConsolePorts
from middleware.web.console_shell import notice

COOKIE = "carecue_console"
COOKIE_PATH = "/console"
SESSION_LIFE = timedelta(hours=8)
OPEN_PATHS = ("/console/login", "/console/static/", "/health/", "/metrics")
HOW = "Run carecue console-link on this machine and open the address that it prints."
OUTSIDE = frozenset({"cross-site", "same-site"})

Refusal = tuple[str, int]


def register_door(app: Flask, ports: ConsolePorts) -> None:
    """Let in only who has a session; a form also needs that session's token."""

    @app.before_request
    def door() -> Refusal | None:
        # A page elsewhere can point its own name at this machine (DNS rebinding);
        # the browser then still sends that name.
        if not _is_ours(request.host, ports.hosts):
            return (
                "This console answers only to localhost and its configured host.\n",
                421,
            )
        if _has_control_characters():
            return notice(400, "That address is not usable", "Nothing was changed.")
        # The cookie is not sent for "/", which only leads on to the console.
        if request.path == "/" or request.path.startswith(OPEN_PATHS):
            return None
        return _check_session(ports)


def _is_ours(host: str, known: frozenset[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return name is not None and name in known


def _has_control_characters() -> bool:
    given = [request.path, *request.args.values(), *request.form.values()]
    return any("\x00" in text for text in given)


def _check_session(ports: ConsolePorts) -> Refusal | None:
    cookie = request.cookies.get(COOKIE, "")
    with ports.database.tx() as tx:
        g.person = login_links.find_console_session(
            tx, hash_token(cookie), ports.wall.now()
        )
    if g.person is None:
        return notice(401, "Log in with a one-time link", HOW)
    g.csrf = hash_token(f"csrf|{cookie}")
    if request.method != "POST":
        return None
    given = request.form.get("csrf", "").encode()
    strange = request.headers.get("Sec-Fetch-Site", "") in OUTSIDE
    if strange or not hmac.compare_digest(given, g.csrf.encode()):
        return notice(
            403,
            "That form is too old",
            "Nothing was changed. Go back, reload the page and try again.",
        )
    return None


def add_login(app: Flask, ports: ConsolePorts) -> None:
    """Add the way in, by a link that works once, and the way out."""

    @app.get("/console/login")
    def ask() -> Refusal:
        token = request.args.get("token", "")
        if not token:
            return notice(200, "Log in with a one-time link", HOW)
        return notice(200, "Open the console", "This link works once.", token=token)

    @app.post("/console/login")
    def use() -> BaseResponse | Refusal:
        cookie = _begin_session(ports, request.form.get("token", ""))
        if cookie is None:
            return notice(403, "This link was used or is too old", HOW)
        answer = redirect("/console", code=303)
        answer.set_cookie(
            COOKIE,
            cookie,
            path=COOKIE_PATH,
            httponly=True,
            secure=request.is_secure,
            samesite="Strict",
        )
        return answer

    @app.post("/console/logout")
    def leave() -> BaseResponse:
        cookie = request.cookies.get(COOKIE, "")
        with ports.database.tx() as tx:
            login_links.delete_console_session(tx, hash_token(cookie))
            audit.insert_audit(tx, g.person, "console-logout", ports.clock.now())
        answer = redirect("/console/login", code=303)
        answer.delete_cookie(COOKIE, path=COOKIE_PATH)
        return answer


def _begin_session(ports: ConsolePorts, token: str) -> str | None:
    """Use the link up and return the new session's cookie; None for no such link."""
    now, cookie = ports.clock.now(), ports.ids.secret()
    with ports.database.tx() as tx:
        person = login_links.use_login_link(tx, hash_token(token), now)
        if person is None:
            return None
        login_links.insert_console_session(
            tx,
            cookie_hash=hash_token(cookie),
            person=person,
            expires_at=ports.wall.now() + SESSION_LIFE,
        )
        audit.insert_audit(tx, person, "console-login", now)
    return cookie
