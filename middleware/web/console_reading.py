"""The console's pages: overview, events, one event, held and failed, audit."""

from __future__ import annotations

from flask import Flask, Response, g, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from middleware.storage import audit, endpoints, overview
from middleware.storage import console_reading as reading
from middleware.web import attention_page, audit_page, words
from middleware.web.console_ports import ConsolePorts
from middleware.web.console_shell import notice, show
from middleware.web.endpoint_row import subscription_word
from middleware.web.event_page import EventPage, read_event
from middleware.web.holding import list_targets
from middleware.web.overview_page import read_overview
from middleware.web.subscription_row import say_numbers, say_trouble

PAGE = 50
AUDITED = 200
ID_LONGEST = 200
BIGGEST = 2**63 - 1
NO_EVENT = ("No such event", "No event, message or task has this id here.")
REASON_LONGEST = 200

Page = Response | tuple[str, int]


def add_reading(app: Flask, ports: ConsolePorts) -> None:
    """Add every page that only reads, and the one look that is audited."""
    plans = words.PlanWords(ports.read_plans)
    _add_overview(app, ports, plans)
    _add_events(app, ports, plans)
    _add_facts(app, ports, plans)

    @app.get("/console/attention")
    def attention() -> Response:
        with ports.database.tx() as tx:
            parts = attention_page.read_attention(tx, plans)
        return show(ports, "attention", "attention", parts=parts)

    @app.get("/console/audit")
    def audited() -> Response:
        with ports.database.tx() as tx:
            entries = audit.list_audit(tx, limit=AUDITED)
        rows = audit_page.write_rows(entries, plans)
        return show(ports, "audit", "audit", rows=rows, limit=AUDITED)


def _add_overview(app: Flask, ports: ConsolePorts, plans: words.PlanWords) -> None:
    @app.get("/")
    @app.get("/console/")
    def start() -> BaseResponse:
        return redirect("/console")

    @app.get("/console")
    def home() -> Response:
        with ports.database.tx() as tx:
            page = read_overview(tx, ports.clock.now(), plans, ports.content_fault())
            targets = list_targets(tx, ports, plans)
        return show(
            ports,
            "overview",
            "overview",
            page=page,
            targets=targets,
            movable=ports.forward is not None,
            plans=plans,
            subscription_word=subscription_word,
            say_numbers=say_numbers,
            say_trouble=say_trouble,
            forms=words.FORMS,
        )


def _add_events(app: Flask, ports: ConsolePorts, plans: words.PlanWords) -> None:
    @app.get("/console/events")
    def events() -> Response:
        before = request.args.get("before", type=_whole)
        with ports.database.tx() as tx:
            rows = overview.list_events_page(tx, PAGE, before)
        older = rows[-1].seq if len(rows) == PAGE else None
        return show(
            ports,
            "events",
            "events",
            events=rows,
            older=older,
            newest=before is None,
            kinds=words.EVENTS,
            plans=plans,
        )

    @app.get("/console/events/<event_id>")
    def event(event_id: str) -> Page:
        with ports.database.tx() as tx:
            page = read_event(tx, event_id, plans)
        return notice(404, *NO_EVENT) if page is None else _show_event(ports, page)

    @app.get("/console/find")
    def find() -> BaseResponse | tuple[str, int]:
        wanted = request.args.get("id", "").strip()[:ID_LONGEST]
        with ports.database.tx() as tx:
            found = reading.find_event(tx, wanted)
        if found is None:
            return notice(404, *NO_EVENT)
        return redirect(f"/console/events/{found}")


def _add_facts(app: Flask, ports: ConsolePorts, plans: words.PlanWords) -> None:
    @app.post("/console/events/<event_id>")
    def facts(event_id: str) -> Page:
        """Show what the chart said, for a reason that is audited."""
        reason = request.form.get("reason", "").strip()[:REASON_LONGEST]
        with ports.database.tx() as tx:
            page = read_event(tx, event_id, plans)
            if page is not None and reason:
                audit.insert_audit(
                    tx,
                    g.person,
                    "patient-data-shown",
                    ports.clock.now(),
                    endpoint_id=page.head.endpoint_id,
                    patient=page.head.patient,
                    subject=f"event:{event_id}",
                    detail={"reason": reason},
                )
        if page is None:
            return notice(404, *NO_EVENT)
        return _show_event(ports, page, revealed=bool(reason))


def _show_event(
    ports: ConsolePorts, page: EventPage, *, revealed: bool = False
) -> Response:
    with ports.database.tx() as tx:
        endpoint = endpoints.get_endpoint(tx, page.head.endpoint_id)
    zone = words.read_zone(endpoint.site.zone if endpoint else "UTC")
    return show(
        ports,
        "event",
        "events",
        page=page,
        endpoint=endpoint,
        revealed=revealed,
        channels=words.CHANNELS,
        zone=zone,
    )


def _whole(text: str) -> int:
    number = int(text)
    if not 0 <= number <= BIGGEST:
        raise ValueError(text)
    return number
