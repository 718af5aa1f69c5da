"""RECOVER: notice what a subscription may have missed, and read it again.

A hole in the numbers waits a short window, then $events is asked; whatever that does
not answer in full, and every other trouble, is read by the search of the subscription's
type. All finds enter the inbox under the keys that push gives them. Source:
Subscriptions R5 Backport IG 1.1, error handling.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import partial

import orjson

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError, NotificationError
from mappings.event import FOCUS_TYPES
from middleware.ports import FhirApi
from middleware.stages.attempting import attempt
from middleware.stages.by_endpoint import work_by_endpoint
from middleware.stages.context import StageContext
from middleware.stages.homes import list_homes
from middleware.stages.receive import Known, keep_notification
from middleware.stages.reconcile import Look, read_changes
from middleware.storage import conditions, endpoints
from middleware.storage.conditions import Watched
from subscriptions.bundling import parse_bundle
from subscriptions.notification import Notification, NotificationType
from subscriptions.numbering import WINDOW, Told, count_delivery, list_due_holes
from subscriptions.receiver import Received
from subscriptions.recovery import (
    Answers,
    Condition,
    Trouble,
    choose_range,
    end_recovery,
    find_trouble,
    is_due,
    read_standing,
    write_range,
)

WORK = "recover"
GONE = {404, 410}
_ANSWERED_BY_EVENTS = {Trouble.GAP, Trouble.TAIL_LOSS}
_ASKED_FOR_STATUS = {Trouble.SILENT, Trouble.ERROR, Trouble.OFF}


def recover_subscriptions(context: StageContext) -> int:
    """Attend to every subscription in trouble; return how many were recovered.

    Those that were not by the end of a short while are not counted.
    """
    now = context.clock.now()
    with context.database.tx() as tx:
        hours = conditions.list_heard(tx)
        watched = [
            one
            for one in conditions.list_watched(tx)
            if is_due(find_trouble(one.condition, now, hours.get(one.id, ())), now)
        ]
        known = {row.id: row for row in endpoints.list_endpoints(tx)}

    def attend(endpoint_id: str) -> int:
        return sum(
            _attend(context, known[endpoint_id], one, hours.get(one.id, ()))
            for one in watched
            if one.endpoint_id == endpoint_id
        )

    mine = [one.endpoint_id for one in watched]
    return sum(work_by_endpoint(context.database, WORK, mine, attend))


def _attend(
    context: StageContext,
    endpoint: Endpoint,
    one: Watched,
    hours: Collection[datetime],
) -> bool:
    now = context.clock.now()
    with context.database.tx() as tx:
        locked = conditions.lock_watched(tx, one.id)
        if locked is None:
            return False
        found = find_trouble(locked.condition, now, hours)
        conditions.put_condition(tx, one.id, found)
    if not is_due(found, now):
        return False
    failed: list[CareCueError] = []
    again = partial(
        _read_again, context, endpoint, replace(locked, condition=found), now
    )
    answers = attempt("recover", again, failed.append)
    answers = answers or Answers(fault=failed[0].message)
    with context.database.tx() as tx:
        locked = conditions.lock_watched(tx, one.id)
        if locked is None:
            return False
        ended = end_recovery(locked.condition, answers, now)
        conditions.put_condition(tx, one.id, ended)
    return answers.fault is None


def _read_again(
    context: StageContext, endpoint: Endpoint, one: Watched, now: datetime
) -> Answers:
    """Read what may be missing: by number where that is answered, else by search."""
    trouble, status = one.condition.trouble, None
    api = context.fhir(endpoint)
    if trouble in _ASKED_FOR_STATUS:
        status, count = _fetch_status(api, one.server_id)
        one = _count(context, one, count, now)
    within = _fetch_events(context, api, endpoint, one, now)
    if within is not None and trouble in _ANSWERED_BY_EVENTS:
        return Answers(status, within)
    own = one.resource_type in FOCUS_TYPES
    faults = [
        read_changes(Look(context, api, endpoint, kind, "recovery", now))
        for kind in ((one.resource_type,) if own else FOCUS_TYPES)
    ]
    return Answers(status, None, next(filter(None, faults), None))


def _fetch_status(api: FhirApi, server_id: str | None) -> tuple[str | None, int | None]:
    """Return the status and count that the server tells; None for what it does not.

    Asked by $status, then by a read; a subscription that is gone counts as off.
    """
    if server_id is None:
        return None, None
    try:
        answer = api.fetch_operation(f"Subscription/{server_id}/$status")
        standing = read_standing(answer, server_id)
    except FhirError:
        standing = None
    if standing is not None and standing.status is not None:
        return standing.status, standing.count
    try:
        status = api.fetch(f"Subscription/{server_id}").get("status")
    except FhirError as error:
        return ("off" if error.status in GONE else None), None
    return (status if isinstance(status, str) else None), None


def _count(
    context: StageContext, one: Watched, count: int | None, now: datetime
) -> Watched:
    """Take in the server's count; what it is ahead of us is asked for at once."""
    if count is None:
        return one
    told = Told(now - WINDOW, NotificationType.QUERY_STATUS, count)
    with context.database.tx() as tx:
        locked = conditions.lock_watched(tx, one.id)
        if locked is None:
            return one
        numbering = count_delivery(locked.condition.numbering, told)
        counted = replace(locked.condition, numbering=numbering)
        conditions.put_condition(tx, one.id, counted)
    return replace(locked, condition=counted)


def _fetch_events(
    context: StageContext,
    api: FhirApi,
    endpoint: Endpoint,
    one: Watched,
    now: datetime,
) -> tuple[int, int] | None:
    """Ask $events for the holes; return the range when every number was answered."""
    asked = choose_range(one.condition, now)
    if asked is None or one.server_id is None:
        return None
    path = f"Subscription/{one.server_id}/$events"
    try:
        answer = api.fetch_operation(path, write_range(*asked))
        notification = parse_bundle(answer)
    except (FhirError, NotificationError):
        return None
    _keep(context, endpoint, one, notification, orjson.dumps(answer), now)
    answered = {event.number for event in notification.events}
    return asked if _missing(one.condition, now) <= answered else None


def _keep(
    context: StageContext,
    endpoint: Endpoint,
    one: Watched,
    notification: Notification,
    body: bytes,
    now: datetime,
) -> None:
    """Let an answer enter by the door that deliveries come in."""
    asked = replace(notification, type=NotificationType.QUERY_EVENT)
    received = Received(now, "GET", "$events", {}, body, asked)
    with context.database.tx() as tx:
        registered = Known(
            subscription_id=one.id,
            endpoint_id=one.endpoint_id,
            resource_type=one.resource_type,
            secrets=(),
            homes=list_homes(tx, endpoint),
        )
        items = keep_notification(tx, registered, received, now)
    for shard in sorted({item.shard for item in items}):
        context.wake("resolve", shard)


def _missing(condition: Condition, now: datetime) -> set[int | None]:
    return {
        number
        for hole in list_due_holes(condition.numbering, now)
        for number in range(hole.first, hole.last + 1)
    }
