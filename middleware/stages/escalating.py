"""ESCALATE: an urgent reply that nobody sees to reaches the people on call.

A stat task that nobody took is passed on after 15 minutes to the site's ``on_call``
and after 30 to its ``on_call_manager``; before that its Task in the EHR is looked at,
which somebody may have taken there. A page names no patient and may come twice: that is
better than never. Once an hour the path is tried without sending anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from mappings.delivery import Message
from mappings.endpoint import Endpoint
from mappings.errors import ChannelError
from middleware.decisions.replies import classify_reply
from middleware.stages.context import StageContext
from middleware.stages.handover import send
from middleware.stages.settled import read_tasks
from middleware.storage import audit, endpoints, marks, pages
from middleware.storage.pages import DuePage

WAITS = {1: timedelta(minutes=15), 2: timedelta(minutes=30)}
PROBE = "escalation-probe"
# What each language's most urgent words must come to, or the path is broken.
PROBES = ("chest pain", "me duele el pecho")

_log = structlog.get_logger(__name__)


def escalate_tasks(context: StageContext) -> int:
    """Pass on what waits too long; return how many pages went out."""
    now = context.clock.now()
    with context.database.tx() as tx:
        waiting = {item.task_id for item in pages.list_due_pages(tx, WAITS, now)}
    if not waiting:
        return 0
    read_tasks(context, sorted(waiting))
    with context.database.tx() as tx:
        due = pages.list_due_pages(tx, WAITS, now)
        known = {item.id: item for item in endpoints.list_endpoints(tx)} if due else {}
    return sum(_page(context, known[item.endpoint_id], item, now) for item in due)


def _page(
    context: StageContext, endpoint: Endpoint, due: DuePage, now: datetime
) -> bool:
    address = _address(endpoint, due.level)
    with context.database.tx() as tx:
        if not pages.claim_page(tx, due, address, now):
            return False
        detail = {"level": due.level, "address": address or "nobody"}
        audit.insert_audit(
            tx, "CareCue", "task-escalated", now, subject=due.task_id, detail=detail
        )
    error = _send(context, endpoint, due, address, now)
    with context.database.tx() as tx:
        pages.note_page(tx, due, error, context.clock.now())
    if error is not None:
        _log.error("page not sent", error=error)
    return error is None


def _address(endpoint: Endpoint, level: int) -> str:
    site = endpoint.site
    return site.on_call if level == 1 else site.on_call_manager or site.on_call


def _send(
    context: StageContext,
    endpoint: Endpoint,
    due: DuePage,
    address: str,
    now: datetime,
) -> str | None:
    """Send one page; return what went wrong."""
    if not address:
        return "nobody is on call at this site; set on_call in [site]"
    minutes = int((now - due.created_at).total_seconds() // 60)
    text = (
        f"{endpoint.site.name}: an urgent task waits for {minutes} minutes and nobody "
        f"has taken it. See it now: carecue task list ({due.task_id})"
    )
    message = Message(
        delivery_id=f"page|{due.task_id}|{due.level}",
        channel="email" if "@" in address else "sms",
        address=address,
        text=text,
        subject=f"{endpoint.site.name}: an urgent task waits",
        language="en",
        endpoint_id=endpoint.id,
    )
    try:
        send(context, message)
    except ChannelError as error:
        return error.message
    return None


def probe_escalation(context: StageContext) -> tuple[str, ...]:
    """Try the path without sending: return what is broken, and remember it."""
    now = context.clock.now()
    faults = [
        f"{text!r} is not taken for urgent"
        for text in PROBES
        if classify_reply(text).urgency != "stat"
    ]
    with context.database.tx() as tx:
        for endpoint in endpoints.list_endpoints(tx):
            faults.extend(_faults(context, endpoint, now))
        pages.list_due_pages(tx, WAITS, now)
        marks.put_mark(tx, PROBE, {"at": now.isoformat(), "faults": faults})
    for fault in faults:
        _log.error("escalation is broken", reason=fault)
    return tuple(faults)


def _faults(context: StageContext, endpoint: Endpoint, now: datetime) -> list[str]:
    found: list[str] = []
    for level in WAITS:
        address = _address(endpoint, level)
        channel = "email" if "@" in address else "sms"
        if not address:
            found.append(f"{endpoint.name}: nobody is on call")
        elif channel not in context.channels:
            found.append(f"{endpoint.name}: {channel} is not set up, pages go nowhere")
        elif context.lanes.is_shut(channel, now) is not None:
            found.append(f"{endpoint.name}: {channel} is not taking messages")
    return list(dict.fromkeys(found))
