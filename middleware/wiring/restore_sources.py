"""The sources of a check after a restore, each read to its end or named as open."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError
from mappings.event import FOCUS_TYPES
from mappings.instants import write_instant
from mappings.own_communication import (
    DELIVERY,
    OwnCommunication,
    read_own_communication,
)
from middleware.channels.listing import Listed, ProviderText
from middleware.stages.context import StageContext
from middleware.stages.reconcile import poll_endpoints
from middleware.storage import inbox, restoring
from middleware.storage.restoring import RestoreMark
from middleware.wiring.restore_result import Findings

REFUSED = (400, 403, 404, 405, 410, 422, 501)

Said = tuple[Endpoint, OwnCommunication]


def fetch_texts(
    context: StageContext, mark: RestoreMark, findings: Findings
) -> tuple[ProviderText, ...]:
    """Return what the SMS provider has since then, both ways, oldest first."""
    channel = context.channels.get("sms")
    if not isinstance(channel, Listed):
        with context.database.tx() as tx:
            used = restoring.knows_channel(tx, "sms")
        if used:
            findings.faults.append(
                "Texts were sent, but no SMS provider is set: CARECUE_SMS_BASE_URL."
            )
        return ()
    try:
        found = channel.list_since(mark.since)
    except CareCueError as error:
        findings.faults.append(f"SMS provider: {error.message}.")
        return ()
    findings.counts["texts_read"] = len(found)
    return found


def catch_up(
    context: StageContext,
    known: Iterable[Endpoint],
    findings: Findings,
    patience: float,
) -> None:
    """Poll the EHRs from where the backup stood, and let a worker decide on it."""
    poll_endpoints(context)
    deadline, pause = time.monotonic() + patience, threading.Event()
    unread = _count_unread(context)
    while unread and time.monotonic() < deadline:
        pause.wait(0.25)
        unread = _count_unread(context)
    if unread:
        findings.faults.append(
            f"{unread} changes in the EHR wait for a worker: start one first."
        )
    with context.database.tx() as tx:
        for endpoint in known:
            cursors = [inbox.read_cursor(tx, endpoint.id, name) for name in FOCUS_TYPES]
            if endpoint.is_app_alone and not any(cursors):
                continue
            if any(item is None or item.error for item in cursors):
                findings.faults.append(
                    f"{endpoint.id}: its changes could not all be read."
                )


def _count_unread(context: StageContext) -> int:
    with context.database.tx() as tx:
        return restoring.count_unread(tx, context.clock.now())


def fetch_communications(
    context: StageContext,
    known: Iterable[Endpoint],
    mark: RestoreMark,
    findings: Findings,
) -> list[Said]:
    """Return our own Communications in every EHR, written since then."""
    found: list[Said] = []
    query = (
        f"Communication?identifier={DELIVERY}|"
        f"&_lastUpdated=ge{write_instant(mark.since)}&_count=200"
    )
    for endpoint in known:
        try:
            answer = context.fhir(endpoint).fetch_search(query)
        except CareCueError as error:
            _note_unreadable(context, endpoint, error, findings)
            continue
        if not answer.complete:
            findings.faults.append(
                f"{endpoint.id}: a page of its Communications could not be read."
            )
        read = [read_own_communication(item) for item in answer.resources]
        found.extend((endpoint, item) for item in read if item and item.gone)
    findings.counts["communications_read"] = len(found)
    return found


def _note_unreadable(
    context: StageContext, endpoint: Endpoint, error: CareCueError, findings: Findings
) -> None:
    """Name it as open, unless this EHR never took a Communication of ours."""
    with context.database.tx() as tx:
        taken = restoring.takes_communications(tx, endpoint.id)
    refused = isinstance(error, FhirError) and error.status in REFUSED
    if taken or not refused:
        findings.faults.append(f"{endpoint.id}: {error.message}")
    else:
        findings.notes.append(f"{endpoint.id} keeps no Communications of ours.")
