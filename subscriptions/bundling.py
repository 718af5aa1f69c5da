"""Notification Bundles: history, subscription-notification, message, transaction.

Pure. The status entry says what happened; the other entries add versions, interactions
and resources. Sources: Subscriptions R5 Backport IG 1.1, payloads; FHIR R5
subscriptions.html.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mappings.errors import NotificationError
from subscriptions.entries import EntryIndex, read_resource
from subscriptions.focusing import Entry, read_focus
from subscriptions.messages import find_inner, parse_message
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.statuses import (
    MOST_ENTRIES,
    Status,
    StatusEvent,
    is_status,
    read_status,
)

_LOOSE = {"transaction", "batch", "collection"}


def parse_bundle(bundle: Mapping[str, Any]) -> Notification:
    """Read a notification Bundle; NotificationError when it is none."""
    listed = bundle.get("entry")
    entries = listed if isinstance(listed, list) else []
    if len(entries) > MOST_ENTRIES:
        raise NotificationError(
            f"The Bundle has more than {MOST_ENTRIES} entries; it was set aside"
        )
    if bundle.get("type") == "message":
        inner = find_inner(entries)
        return parse_message(entries) if inner is None else parse_bundle(inner)
    first = read_resource(entries[0]) if entries else None
    if first is not None and is_status(first):
        form = "r4b"
        if first.get("resourceType") == "Parameters":
            form = "r4-backport"
        elif bundle.get("type") == "subscription-notification":
            form = "r5"
        return _parse_topic(entries, form)
    if str(bundle.get("type")) in _LOOSE and entries:
        return _parse_loose(EntryIndex(entries))
    raise NotificationError(
        "The Bundle does not begin with a subscription status; it was set aside"
    )


def parse_status(resource: Mapping[str, Any]) -> Notification:
    """Read a status that came without a Bundle around it."""
    form = "r4-backport" if resource.get("resourceType") == "Parameters" else "r5"
    return _write([read_status(resource)], EntryIndex(()), form)


def _parse_topic(entries: Sequence[Any], form: str) -> Notification:
    statuses: list[Status] = []
    others: list[Any] = []
    for entry in entries:
        resource = read_resource(entry)
        if resource is not None and is_status(resource):
            statuses.append(read_status(resource))
        else:
            others.append(entry)
    return _write(statuses, EntryIndex(others), form)


def _write(statuses: list[Status], others: EntryIndex, form: str) -> Notification:
    """Put the statuses and the entries together; the first status speaks for all."""
    first = statuses[0]
    if first.subscription is None:
        raise NotificationError(
            "The notification does not name its subscription; it was set aside"
        )
    events = _read_events(statuses, others)
    kind = _read_type(statuses, events, others)
    if kind is NotificationType.EVENT and not events:
        # Drafts and some servers send resources without saying which events.
        events = _read_others(others) or [NotificationEvent(None, number=first.count)]
    return Notification(
        type=kind,
        form=form,
        events=tuple(events),
        count=first.count,
        status=first.status,
        topic=first.topic,
        subscription=first.subscription,
        errors=tuple(error for status in statuses for error in status.errors),
    )


def _read_type(
    statuses: Sequence[Status],
    events: Sequence[NotificationEvent],
    others: EntryIndex,
) -> NotificationType:
    """Return the first status's type; an event further on makes it an event."""
    told = [status.type for status in statuses]
    if told[0] is None and (events or others.all):
        return NotificationType.EVENT
    try:
        kind = NotificationType(told[0] or "")
    except ValueError:
        kind = NotificationType.PING
    if kind in {NotificationType.PING, NotificationType.RESOURCE}:
        raise NotificationError(
            "The notification's type is not one of the value set; it was set aside"
        )
    return NotificationType.EVENT if NotificationType.EVENT.value in told else kind


def _read_events(
    statuses: Sequence[Status], others: EntryIndex
) -> list[NotificationEvent]:
    told: Counter[object] = Counter()
    events = []
    for event in (event for status in statuses for event in status.events):
        events.append(_read_event(event, others.find(event.focus, told[event.focus])))
        told[event.focus] += 1
    return events


def _read_event(event: StatusEvent, entry: Entry | None) -> NotificationEvent:
    focus = read_focus(event.focus)
    if focus is None and entry is not None:
        focus = entry.focus
    known = entry.focus if entry is not None else None
    version = (focus.version if focus else None) or (known.version if known else None)
    return NotificationEvent(
        focus=focus.reference if focus else None,
        version=version,
        number=event.number,
        event_id=event.event_id,
        timestamp=event.timestamp,
        interaction=(entry.interaction if entry else None) or "update",
        resource=entry.resource if entry else None,
        focus_base=focus.base if focus else None,
        focus_type=None if focus else event.focus_type,
    )


def _read_others(others: EntryIndex) -> list[NotificationEvent]:
    return [
        NotificationEvent(
            entry.focus.reference,
            entry.focus.version,
            interaction=entry.interaction or "update",
            resource=entry.resource,
            focus_base=entry.focus.base,
        )
        for entry in others.all
        if entry.focus is not None
    ]


def _parse_loose(entries: EntryIndex) -> Notification:
    events = _read_others(entries)
    if not events:
        raise NotificationError("The Bundle names no resource; it was set aside")
    return Notification(NotificationType.RESOURCE, "transaction", tuple(events))
