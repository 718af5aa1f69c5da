"""Notification Bundles: history, subscription-notification, message, transaction.

Pure. The status entry says what happened; the other entries add versions, interactions
and resources. Sources: Subscriptions R5 Backport IG 1.1, payloads; FHIR R5
subscriptions.html; Da Vinci Alerts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.errors import NotificationError
from subscriptions.focusing import Entry, read_entry, read_focus
from subscriptions.notification import (
    Notification,
    NotificationEvent,
    NotificationType,
)
from subscriptions.statuses import Status, StatusEvent, is_status, read_status

_LOOSE = {"transaction", "batch", "collection"}


def parse_bundle(bundle: Mapping[str, Any]) -> Notification:
    """Read a notification Bundle; NotificationError when it is none."""
    listed = bundle.get("entry")
    entries = listed if isinstance(listed, list) else []
    resources = [_resource(entry) for entry in entries]
    if bundle.get("type") == "message":
        return _parse_message(resources, [read_entry(entry) for entry in entries])
    if resources and is_status(resources[0]):
        form = "r4b"
        if (resources[0] or {}).get("resourceType") == "Parameters":
            form = "r4-backport"
        elif bundle.get("type") == "subscription-notification":
            form = "r5"
        return _parse_topic(entries, form)
    if str(bundle.get("type")) in _LOOSE and entries:
        return _parse_loose([read_entry(entry) for entry in entries])
    raise NotificationError(
        "The Bundle does not begin with a subscription status; it was set aside"
    )


def parse_status(resource: Mapping[str, Any]) -> Notification:
    """Read a status that came without a Bundle around it."""
    form = "r4-backport" if resource.get("resourceType") == "Parameters" else "r5"
    return _write([read_status(resource)], [], form)


def _parse_topic(entries: Sequence[Any], form: str) -> Notification:
    statuses: list[Status] = []
    others: list[Entry] = []
    for entry in entries:
        resource = _resource(entry)
        if resource is not None and is_status(resource):
            statuses.append(read_status(resource))
        else:
            others.append(read_entry(entry))
    return _write(statuses, others, form)


def _write(statuses: list[Status], others: list[Entry], form: str) -> Notification:
    """Put the statuses and the entries together; the first status speaks for all."""
    first = statuses[0]
    if first.subscription is None:
        raise NotificationError(
            "The notification does not name its subscription; it was set aside"
        )
    events = [
        _read_event(event, others) for status in statuses for event in status.events
    ]
    kind = _read_type(first, events, others)
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
    status: Status, events: Sequence[NotificationEvent], others: Sequence[Entry]
) -> NotificationType:
    if status.type is None and (events or others):
        return NotificationType.EVENT
    try:
        kind = NotificationType(status.type or "")
    except ValueError:
        kind = NotificationType.PING
    if kind in {NotificationType.PING, NotificationType.RESOURCE}:
        raise NotificationError(
            "The notification's type is not one of the value set; it was set aside"
        )
    return kind


def _read_event(event: StatusEvent, others: Sequence[Entry]) -> NotificationEvent:
    focus = read_focus(event.focus)
    entry = _find_entry(event.focus, others)
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
    )


def _find_entry(focus: str | None, others: Sequence[Entry]) -> Entry | None:
    """Return the entry of a focus: by its full URL, else by type and id."""
    if focus is None:
        return None
    for entry in others:
        if entry.full_url == focus:
            return entry
    wanted = read_focus(focus)
    for entry in others:
        if wanted and entry.focus and entry.focus.reference == wanted.reference:
            return entry
    return None


def _read_others(others: Sequence[Entry]) -> list[NotificationEvent]:
    return [
        NotificationEvent(
            entry.focus.reference,
            entry.focus.version,
            interaction=entry.interaction or "update",
            resource=entry.resource,
            focus_base=entry.focus.base,
        )
        for entry in others
        if entry.focus is not None
    ]


def _parse_loose(entries: list[Entry]) -> Notification:
    events = _read_others(entries)
    if not events:
        raise NotificationError("The Bundle names no resource; it was set aside")
    return Notification(NotificationType.RESOURCE, "transaction", tuple(events))


def _parse_message(
    resources: Sequence[dict[str, Any] | None], entries: Sequence[Entry]
) -> Notification:
    """Read a message: a notification Bundle within, else what its header is about."""
    for resource in resources[1:]:
        if resource is not None and resource.get("resourceType") == "Bundle":
            if resource.get("type") == "message":
                break
            return parse_bundle(resource)
    header = (resources[0] if resources else None) or {}
    named = header.get("focus")
    events = [
        _read_event(StatusEvent(None, None, item.get("reference"), None), entries)
        for item in (named if isinstance(named, list) else [])
        if isinstance(item, dict)
    ]
    known = tuple(event for event in events if event.focus is not None)
    if header.get("resourceType") != "MessageHeader" or not known:
        raise NotificationError("The message names no resource; it was set aside")
    return Notification(NotificationType.RESOURCE, "message", known)


def _resource(entry: Any) -> dict[str, Any] | None:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else None
