"""How a notification is spelt: R4 backport (history), R5, and the bare R4 form.

Pure: values in, JSON-ready dicts out. It may not send, count or ask for the time.
Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1; FHIR R5
SubscriptionStatus.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from middleware.sandbox.definition import BACKPORT, Form

Kind = Literal[
    "handshake", "heartbeat", "event-notification", "query-status", "query-event"
]
Resource = dict[str, Any]
NOTIFICATION_PROFILE = f"{BACKPORT}backport-subscription-notification-r4"
STATUS_PROFILE = f"{BACKPORT}backport-subscription-status-r4"
_DONE = {
    "create": ("POST", "201"),
    "update": ("PUT", "200"),
    "delete": ("DELETE", "204"),
}


@dataclass(frozen=True)
class Event:
    """One numbered event of one subscription: a committed version of its focus."""

    number: int
    interaction: str
    type: str
    id: str
    version: int
    instant: datetime
    resource: Resource | None

    @property
    def reference(self) -> str:
        """Answer the focus as a relative reference, without a version."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True)
class Standing:
    """Where a subscription stands when a notification is made.

    `base` is the FHIR base URL; `count` includes the events in the notification.
    """

    base: str
    id: str
    form: Form
    topic: str | None
    status: str
    count: int
    error: str | None = None

    @property
    def url(self) -> str:
        """Answer the absolute URL of the Subscription."""
        return f"{self.base}/Subscription/{self.id}"


def write_instant(instant: datetime) -> str:
    """Write an aware instant as FHIR does: UTC, to the millisecond."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def write_notification(
    standing: Standing,
    kind: Kind,
    content: str,
    events: list[Event],
    now: datetime,
) -> Resource:
    """Write a notification Bundle in the subscription's form; status entry first.

    `content` is empty, id-only or full-resource. R4: type history with request
    and response on every entry (bdl-3, bdl-4); R5: subscription-notification.
    """
    key = f"{standing.url}|{kind}|{standing.count}|{write_instant(now)}"
    status_id = str(uuid5(NAMESPACE_URL, f"status|{key}"))
    first: Resource = {
        "fullUrl": f"urn:uuid:{status_id}",
        "resource": write_status(standing, kind, content, events, status_id),
    }
    bundle: Resource = {
        "resourceType": "Bundle",
        "id": str(uuid5(NAMESPACE_URL, f"bundle|{key}")),
    }
    if standing.form == "r5":
        bundle["type"] = "subscription-notification"
    else:
        bundle["meta"] = {"profile": [NOTIFICATION_PROFILE]}
        bundle["type"] = "history"
        first["request"] = {"method": "GET", "url": f"{standing.url}/$status"}
        first["response"] = {"status": "200"}
    bundle["timestamp"] = write_instant(now)
    bundle["entry"] = [first]
    if content != "empty":
        whole = content == "full-resource"
        bundle["entry"] += [_entry(standing.base, event, whole) for event in events]
    return bundle


def write_status(
    standing: Standing,
    kind: Kind,
    content: str,
    events: list[Event],
    status_id: str,
) -> Resource:
    """Write the status: Parameters (R4 backport) or SubscriptionStatus (R5)."""
    if standing.form == "r5":
        return _r5_status(standing, kind, content, events, status_id)
    return _r4_status(standing, kind, content, events, status_id)


def write_status_bundle(standings: list[Standing], self_url: str) -> Resource:
    """Write the answer of `$status`: a searchset with one status for each."""
    entries = []
    for standing in standings:
        key = f"query|{standing.url}|{standing.status}|{standing.count}"
        id_ = str(uuid5(NAMESPACE_URL, key))
        status = write_status(standing, "query-status", "id-only", [], id_)
        entries.append(
            {
                "fullUrl": f"urn:uuid:{id_}",
                "resource": status,
                "search": {"mode": "match"},
            }
        )
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [{"relation": "self", "url": self_url}],
    }
    if entries:
        bundle["entry"] = entries
    return bundle


def _r4_status(
    standing: Standing,
    kind: Kind,
    content: str,
    events: list[Event],
    status_id: str,
) -> Resource:
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": standing.url}}
    ]
    if standing.topic and content != "empty":
        parameters.append({"name": "topic", "valueCanonical": standing.topic})
    parameters += [
        {"name": "status", "valueCode": standing.status},
        {"name": "type", "valueCode": kind},
        {
            "name": "events-since-subscription-start",
            "valueString": str(standing.count),
        },
    ]
    for event in events:
        parts: list[Resource] = [
            {"name": "event-number", "valueString": str(event.number)},
            {"name": "timestamp", "valueInstant": write_instant(event.instant)},
        ]
        if content != "empty":
            focus = {"reference": f"{standing.base}/{event.reference}"}
            parts.append({"name": "focus", "valueReference": focus})
        parameters.append({"name": "notification-event", "part": parts})
    if standing.error:
        concept = {"text": standing.error}
        parameters.append({"name": "error", "valueCodeableConcept": concept})
    return {
        "resourceType": "Parameters",
        "id": status_id,
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": parameters,
    }


def _r5_status(
    standing: Standing,
    kind: Kind,
    content: str,
    events: list[Event],
    status_id: str,
) -> Resource:
    status: Resource = {
        "resourceType": "SubscriptionStatus",
        "id": status_id,
        "status": standing.status,
        "type": kind,
        "eventsSinceSubscriptionStart": str(standing.count),
    }
    if events:
        status["notificationEvent"] = [
            _r5_event(standing.base, content, event) for event in events
        ]
    status["subscription"] = {"reference": standing.url}
    if standing.topic and content != "empty":
        status["topic"] = standing.topic
    if standing.error:
        status["error"] = [{"text": standing.error}]
    return status


def _r5_event(base: str, content: str, event: Event) -> Resource:
    written: Resource = {
        "eventNumber": str(event.number),
        "timestamp": write_instant(event.instant),
    }
    if content != "empty":
        written["focus"] = {"reference": f"{base}/{event.reference}"}
    return written


def _entry(base: str, event: Event, whole: bool) -> Resource:
    method, status = _DONE[event.interaction]
    url = event.type if method == "POST" else event.reference
    entry: Resource = {"fullUrl": f"{base}/{event.reference}"}
    if whole and event.resource is not None:
        entry["resource"] = event.resource
    entry["request"] = {"method": method, "url": url}
    entry["response"] = {
        "status": status,
        "etag": f'W/"{event.version}"',
        "lastModified": write_instant(event.instant),
    }
    return entry
