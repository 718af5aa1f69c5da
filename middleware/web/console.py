"""The administrators' console: endpoints, events, holds, the simulated clock.

On a listener of its own, opened by a one-time link from the command line. It shows
patients by id only.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Flask, Response, g, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from mappings.errors import CareCueError
from mappings.nudge import REASONS, WORDS
from middleware.ports import Clock, Ids
from middleware.storage import audit, decision_log, login_links, overview, timeline
from middleware.storage.database import Database
from middleware.storage.login_links import hash_token
from middleware.web import security
from middleware.web.console_page import read_overview
from middleware.web.holding import hold_target, release_target
from middleware.web.metrics import write_metrics

COOKIE = "carecue_console"
SESSION_LIFE = timedelta(hours=8)
PAGE = 50
LOGGED_OUT = (
    "Log in with a one-time link",
    "Run carecue console-link on this machine and open the address that it prints.",
)


@dataclass(frozen=True)
class ConsolePorts:
    """What the console is given by wiring.

    ``plans`` and ``topics`` name what can be held; ``forward`` moves the simulated
    clock (next, hour, day) or is None where time is real.
    """

    database: Database
    clock: Clock
    ids: Ids
    wake: Callable[[str, int], None]
    plans: tuple[str, ...]
    topics: tuple[str, ...]
    channels: tuple[str, ...]
    forward: Callable[[str], str] | None = None


def create_console_app(ports: ConsolePorts) -> Flask:
    """Compose the console's WSGI application, with /metrics and /health beside it."""
    app = Flask("middleware.web", static_folder="static", static_url_path="/console/static")
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.jinja_env.autoescape = True
    security.register(app)
    _add_door(app, ports)
    _add_login(app, ports)
    _add_reading(app, ports)
    _add_acting(app, ports)
    _add_machine(app, ports)
    app.register_error_handler(CareCueError, _explain)
    return app


def _explain(error: CareCueError) -> tuple[str, int]:
    page = render_template(
        "console/login.html", title="That did not work", text=error.message
    )
    return page, 500


def _add_door(app: Flask, ports: ConsolePorts) -> None:
    """Let in only who has a session; a form also needs that session's token."""

    @app.before_request
    def door() -> Response | tuple[str, int] | None:
        open_paths = ("/console/login", "/console/static", "/health", "/metrics")
        if request.path.startswith(open_paths):
            return None
        cookie = request.cookies.get(COOKIE, "")
        with ports.database.tx() as tx:
            g.person = login_links.find_console_session(
                tx, hash_token(cookie), ports.clock.now()
            )
        if g.person is None:
            title, text = LOGGED_OUT
            return render_template("console/login.html", title=title, text=text), 401
        g.csrf = hash_token(f"csrf|{cookie}")
        given = request.form.get("csrf", "")
        if request.method == "POST" and not hmac.compare_digest(given, g.csrf):
            return render_template(
                "console/login.html",
                title="That form is too old",
                text="Nothing was changed. Go back, reload the page and try again.",
            ), 403
        return None


def _show(ports: ConsolePorts, template: str, here: str, **values: Any) -> str:
    with ports.database.tx() as tx:
        counts = overview.count_all(tx)
    waiting = counts.nudges_in("held") + counts.nudges_in("failed")
    return render_template(
        f"console/{template}.html",
        here=here,
        person=g.person,
        csrf=g.csrf,
        now=ports.clock.now(),
        waiting=waiting + counts.tasks_open + sum(counts.dead.values()),
        **values,
    )


def _add_login(app: Flask, ports: ConsolePorts) -> None:
    @app.get("/console/login")
    def ask() -> str:
        return render_template(
            "console/login.html",
            title="Open the console",
            text="This link works once.",
            token=request.args.get("token", ""),
        )

    @app.post("/console/login")
    def use() -> BaseResponse | tuple[str, int]:
        now, secret = ports.clock.now(), ports.ids.secret()
        with ports.database.tx() as tx:
            token = hash_token(request.form.get("token", ""))
            person = login_links.use_login_link(tx, token, now)
            if person is not None:
                login_links.insert_console_session(
                    tx,
                    cookie_hash=hash_token(secret),
                    person=person,
                    expires_at=now + SESSION_LIFE,
                )
                audit.insert_audit(tx, person, "console-login", now)
        if person is None:
            return render_template(
                "console/login.html",
                title="This link was used or is too old",
                text=LOGGED_OUT[1],
            ), 403
        answer = redirect("/console", code=303)
        answer.set_cookie(
            COOKIE, secret, path="/", httponly=True, samesite="Strict"
        )
        return answer

    @app.post("/console/logout")
    def leave() -> BaseResponse:
        cookie = request.cookies.get(COOKIE, "")
        with ports.database.tx() as tx:
            login_links.delete_console_session(tx, hash_token(cookie))
        answer = redirect("/console", code=303)
        answer.delete_cookie(COOKIE)
        return answer


def _add_reading(app: Flask, ports: ConsolePorts) -> None:
    @app.get("/")
    @app.get("/console")
    @app.get("/console/")
    def home() -> str:
        with ports.database.tx() as tx:
            page = read_overview(tx, ports.clock.now())
        zone = ZoneInfo(page.zone)
        targets = [("all:*", "Everything")]
        for scope, names in (
            ("plan", ports.plans),
            ("topic", ports.topics),
            ("channel", ports.channels),
            ("endpoint", tuple(row.id for row in page.endpoints)),
        ):
            targets.extend((f"{scope}:{name}", f"{scope} {name}") for name in names)
        return _show(
            ports,
            "overview",
            "overview",
            answer=page.answer,
            proof=page.proof,
            endpoints=page.endpoints,
            counts=page.counts,
            switches=page.switches,
            targets=[{"value": value, "label": label} for value, label in targets],
            clock=ports.forward is not None,
            local=ports.clock.now().astimezone(zone),
            said=request.args.get("said", "")[:300],
        )

    @app.get("/console/events")
    def events() -> str:
        before = request.args.get("before", type=int)
        with ports.database.tx() as tx:
            rows = overview.list_events_page(tx, PAGE, before)
        older = rows[-1].seq if len(rows) == PAGE else None
        return _show(ports, "events", "events", events=rows, next_seq=older)

    @app.get("/console/events/<event_id>")
    def event(event_id: str) -> str | tuple[str, int]:
        with ports.database.tx() as tx:
            steps = timeline.timeline(tx, event_id)
            decisions = decision_log.list_decisions(tx, event_id=event_id)
        if not steps:
            return render_template(
                "console/login.html", title="No such event", text="Check the address."
            ), 404
        return _show(
            ports,
            "event",
            "events",
            steps=steps,
            decisions=decisions,
            words=WORDS,
            reasons=REASONS,
        )

    @app.get("/console/attention")
    def attention() -> str:
        with ports.database.tx() as tx:
            groups = timeline.list_attention(tx)
        return _show(ports, "attention", "attention", groups=groups)

    @app.get("/console/audit")
    def audited() -> str:
        with ports.database.tx() as tx:
            rows = audit.list_audit(tx, limit=200)
        return _show(ports, "audit", "audit", rows=rows)


def _add_acting(app: Flask, ports: ConsolePorts) -> None:
    @app.post("/console/hold")
    def hold() -> BaseResponse:
        scope, _, target = request.form.get("what", "").partition(":")
        reason = request.form.get("reason", "").strip()[:200]
        return _home(hold_target(ports, scope, target, reason, g.person))

    @app.post("/console/release")
    def release() -> BaseResponse:
        scope, target = request.form.get("scope", ""), request.form.get("target", "")
        return _home(release_target(ports, scope, target, g.person))

    @app.post("/console/clock")
    def clock() -> BaseResponse | tuple[str, int]:
        if ports.forward is None:
            return "", 404
        return _home(ports.forward(request.form.get("to", "")))


def _home(said: str) -> BaseResponse:
    return redirect(f"/console?said={quote(said)}", code=303)


def _add_machine(app: Flask, ports: ConsolePorts) -> None:
    @app.get("/metrics")
    def metrics() -> Response:
        with ports.database.tx() as tx:
            text = write_metrics(tx, ports.clock.now())
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/health/ready")
    def ready() -> Response:
        ports.database.ping()
        return Response(b'{"status":"ok"}', content_type="application/json")
