"""The status at the head of a notification, in each of its spellings.

R4 backport writes Parameters, R4B and R5 write SubscriptionStatus; both are read into
one value. Pure. Unknown names are ignored, missing ones are None. Sources:
Subscriptions R5 Backport IG 1.1; FHIR R5 SubscriptionStatus.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mappings.errors import NotificationError
from mappings.instants import find_instant, is_date_only
from subscriptions.focusing import read_text, read_type

MOST_ENTRIES = 2000
_LARGEST_NUMBER = 2**63 - 1
_MOST_DIGITS = 19
_EVENT = "notification-event"
# Any of these parameters makes a Parameters resource a status.
_TELLING = {"subscription", "type", _EVENT}


@dataclass(frozen=True)
class StatusEvent:
    """One notification-event; ``focus`` is the reference as it was written."""

    number: int | None
    timestamp: datetime | None
    focus: str | None
    event_id: str | None
    focus_type: str | None = None


@dataclass(frozen=True)
class Status:
    """The status entry: codes in lower case, numbers as numbers."""

    type: str | None
    status: str | None
    subscription: str | None
    topic: str | None
    count: int | None
    events: tuple[StatusEvent, ...]
    errors: tuple[str, ...]


def is_status(resource: object) -> bool:
    """Tell whether a resource is a status entry, by its shape."""
    if not isinstance(resource, dict):
        return False
    kind = resource.get("resourceType")
    if kind != "Parameters":
        return kind == "SubscriptionStatus"
    parts = resource.get("parameter")
    return any(
        isinstance(part, dict) and str(part.get("name")) in _TELLING
        for part in (parts if isinstance(parts, list) else [])
    )


def read_status(resource: Mapping[str, Any]) -> Status:
    """Read either spelling; NotificationError for a number that is none."""
    if resource.get("resourceType") == "Parameters":
        return _read_parameters(resource)
    events = _bound(_dicts(resource.get("notificationEvent")))
    return Status(
        type=_code(resource.get("type")),
        status=_code(resource.get("status")),
        subscription=_reference(resource.get("subscription")),
        topic=_text(resource.get("topic")),
        count=_number(resource.get("eventsSinceSubscriptionStart")),
        events=tuple(
            StatusEvent(
                number=_number(event.get("eventNumber")),
                timestamp=_instant(event.get("timestamp")),
                focus=_reference(event.get("focus")),
                event_id=_text(event.get("id")),
                focus_type=_type_of(event.get("focus")),
            )
            for event in events
        ),
        errors=_errors(_dicts(resource.get("error"))),
    )


def _read_parameters(resource: Mapping[str, Any]) -> Status:
    parameters = _dicts(resource.get("parameter"))
    values = _values(parameters)
    events = _bound([part for part in parameters if part.get("name") == _EVENT])
    concepts = [_value(part) for part in parameters if part.get("name") == "error"]
    return Status(
        type=_code(values.get("type")),
        status=_code(values.get("status")),
        subscription=_reference(values.get("subscription")),
        topic=_text(values.get("topic")),
        count=_number(values.get("events-since-subscription-start")),
        events=tuple(_read_event(event) for event in events),
        errors=_errors(concept for concept in concepts if isinstance(concept, dict)),
    )


def _bound(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(events) > MOST_ENTRIES:
        raise NotificationError(
            f"The notification has more than {MOST_ENTRIES} events; it was set aside"
        )
    return events


def _read_event(parameter: Mapping[str, Any]) -> StatusEvent:
    values = _values(_dicts(parameter.get("part")))
    return StatusEvent(
        number=_number(values.get("event-number")),
        timestamp=_instant(values.get("timestamp")),
        focus=_reference(values.get("focus")),
        event_id=_text(parameter.get("id")),
        focus_type=_type_of(values.get("focus")),
    )


def _values(parameters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the first value of each name."""
    values: dict[str, Any] = {}
    for parameter in parameters:
        name = str(parameter.get("name"))
        if name not in values:
            values[name] = _value(parameter)
    return values


def _value(parameter: Mapping[str, Any]) -> Any:
    for name, value in parameter.items():
        if name.startswith("value"):
            return value
    return None


def _reference(value: object) -> str | None:
    """Return the text of a reference that is an object, a string or a URI."""
    if isinstance(value, dict):
        value = value.get("reference")
    return _text(value)


def _type_of(value: object) -> str | None:
    """Return the type that a reference tells beside its identifier."""
    return read_type(value.get("type")) if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return read_text(value)


def _code(value: object) -> str | None:
    return (read_text(value) or "").strip().lower() or None


def _number(value: object) -> int | None:
    """Return a count written as a number or a string (integer64 is a string)."""
    if value is None:
        return None
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = f"{value:.0f}" if math.isfinite(value) and value % 1 == 0 else ""
    digits = text.lstrip("0") or text[:1]
    whole = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    if not whole or int(digits) > _LARGEST_NUMBER:
        raise NotificationError(
            "A number in the notification's status is not a number; it was set aside"
        )
    return int(digits)


def _instant(value: object) -> datetime | None:
    """Return an instant; a day alone does not tell one event from another."""
    return None if is_date_only(value) else find_instant(value)


def _errors(concepts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    found: list[str] = []
    for concept in concepts:
        codings = _dicts(concept.get("coding"))
        coding = codings[0] if codings else {}
        text = concept.get("text") or coding.get("display") or coding.get("code")
        if text:
            found.append(str(text)[:500])
    return tuple(found)


def _dicts(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]
