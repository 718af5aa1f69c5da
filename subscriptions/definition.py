"""The Subscription resources that we ask servers for, in the three forms.

Pure. Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1
(backport-subscription); FHIR R5 Subscription.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from mappings.dialects.dialect import Channel, Content, Form, Spelling
from mappings.errors import BadInputError
from mappings.instants import write_instant

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
CHANNEL_TYPES = "http://terminology.hl7.org/CodeSystem/subscription-channel-type"
MIME_TYPE = "application/fhir+json"
REASON = "Patient outreach"
# Servers split a header at its colons, and some drop what follows the second.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")
# All statuses on purpose: R4 says nothing of a resource that no longer matches.
_STATUSES = {
    "Encounter": (
        "arrived,triaged,in-progress,onleave,finished,cancelled,entered-in-error"
    ),
    "Appointment": (
        "proposed,pending,booked,arrived,fulfilled,cancelled,noshow,checked-in,"
        "waitlist,entered-in-error"
    ),
    "CarePlan": "active,on-hold,revoked,completed,entered-in-error",
}


@dataclass(frozen=True)
class Pace:
    """How the server is to send: seconds between heartbeats (None asks for none).

    ``timeout`` is seconds per delivery; ``batch`` is the most events in one Bundle
    (1 keeps a server from waiting for more).
    """

    heartbeat: int | None = 300
    timeout: int = 10
    batch: int = 20


def write_criteria(resource_type: str) -> str:
    """Return the R4 criteria for every status of a resource type."""
    statuses = _STATUSES.get(resource_type)
    return f"{resource_type}?status={statuses}" if statuses else f"{resource_type}?"


def write_subscription(
    form: Form,
    resource_type: str,
    endpoint_url: str,
    secret: str,
    end: datetime,
    *,
    content: Content = "id-only",
    topic: str | None = None,
    filters: Sequence[tuple[str, str]] = (),
    pace: Pace | None = None,
    extra_extensions: Sequence[Mapping[str, Any]] = (),
    channel_extensions: Sequence[Mapping[str, Any]] = (),
    spelling: Spelling = "query",
    channel: Channel = "rest-hook",
) -> dict[str, Any]:
    """Return a Subscription with status requested.

    ``topic`` is the canonical, needed but for criteria; ``filters`` are search
    parameters with values, spelt for the server; ``extra_extensions`` stand on the
    resource itself. Criteria with content empty ask for a POST without a body.
    BadInputError for a secret or endpoint that servers cannot handle.
    """
    _check(form, endpoint_url, secret, topic)
    asked = _Asked(
        resource_type,
        endpoint_url,
        secret,
        content,
        topic,
        filters,
        pace or Pace(),
        [dict(extension) for extension in channel_extensions],
        spelling,
        channel,
    )
    return _write_head(end, extra_extensions) | _FORMS[form](asked)


def _write_head(
    end: datetime, extensions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    head: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "end": write_instant(end),
        "reason": REASON,
    }
    if extensions:
        head["extension"] = [dict(extension) for extension in extensions]
    return head


@dataclass(frozen=True)
class _Asked:
    resource_type: str
    endpoint_url: str
    secret: str
    content: Content
    topic: str | None
    filters: Sequence[tuple[str, str]]
    pace: Pace
    channel_extensions: Sequence[dict[str, Any]]
    spelling: Spelling
    channel: Channel


def _check(form: Form, endpoint_url: str, secret: str, topic: str | None) -> None:
    if not _SECRET.fullmatch(secret):
        raise BadInputError(
            "A hook's secret must be 16 or more letters, digits or ._~+/=- (no colon); "
            "nothing was written"
        )
    parts = urlsplit(endpoint_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query:
        raise BadInputError(
            "A hook's endpoint must be an absolute http(s) URL without a query; "
            "nothing was written"
        )
    if form != "criteria" and not topic:
        raise BadInputError(
            f"A subscription of form {form} needs a topic; nothing was written; ask "
            "the server for its topics or use the form criteria"
        )


def write_filters(
    resource_type: str, filters: Sequence[tuple[str, str]], spelling: Spelling
) -> list[str]:
    """Return the filters as values of backport-filter-criteria.

    Servers differ: ``Type?a=b&c=d`` in one, or ``Type.a=b`` or ``a=b`` for each.
    """
    if not filters:
        return []
    if spelling == "query":
        query = "&".join(f"{name}={value}" for name, value in filters)
        return [f"{resource_type}?{query}"]
    prefix = f"{resource_type}." if spelling == "dotted" else ""
    return [f"{prefix}{name}={value}" for name, value in filters]


def _write_channel(asked: _Asked) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "type": asked.channel,
        # A socket needs no address; by it our Subscription is found again.
        "endpoint": asked.endpoint_url,
        "payload": MIME_TYPE,
    }
    if asked.channel == "rest-hook":
        channel["header"] = [f"Authorization: Bearer {asked.secret}"]
    return channel


def _write_criteria_form(asked: _Asked) -> dict[str, Any]:
    channel = _write_channel(asked)
    if asked.content == "empty":
        del channel["payload"]
    if asked.channel_extensions:
        channel["extension"] = list(asked.channel_extensions)
    return {"criteria": write_criteria(asked.resource_type), "channel": channel}


def _write_backport(asked: _Asked) -> dict[str, Any]:
    pace = asked.pace
    extensions = [
        {"url": f"{BACKPORT}backport-timeout", "valueUnsignedInt": pace.timeout},
        {"url": f"{BACKPORT}backport-max-count", "valuePositiveInt": pace.batch},
    ]
    if pace.heartbeat is not None:
        url = f"{BACKPORT}backport-heartbeat-period"
        extensions.insert(0, {"url": url, "valueUnsignedInt": pace.heartbeat})
    code = {"url": f"{BACKPORT}backport-payload-content", "valueCode": asked.content}
    written: dict[str, Any] = {
        "meta": {"profile": [f"{BACKPORT}backport-subscription"]},
        "criteria": asked.topic,
        "channel": {
            "extension": [*extensions, *asked.channel_extensions],
            **_write_channel(asked),
            "_payload": {"extension": [code]},
        },
    }
    texts = write_filters(asked.resource_type, asked.filters, asked.spelling)
    if texts:
        url = f"{BACKPORT}backport-filter-criteria"
        written["_criteria"] = {
            "extension": [{"url": url, "valueString": text} for text in texts]
        }
    return written


def _write_r5(asked: _Asked) -> dict[str, Any]:
    pace = asked.pace
    written: dict[str, Any] = {
        "topic": asked.topic,
        "channelType": {"system": CHANNEL_TYPES, "code": asked.channel},
        "endpoint": asked.endpoint_url,
        "timeout": pace.timeout,
        "contentType": MIME_TYPE,
        "content": asked.content,
        "maxCount": pace.batch,
    }
    if asked.channel == "rest-hook":
        secret = {"name": "Authorization", "value": f"Bearer {asked.secret}"}
        written["parameter"] = [secret]
    if asked.filters:
        kind = asked.resource_type
        written["filterBy"] = [
            {"resourceType": kind, "filterParameter": name, "value": value}
            for name, value in asked.filters
        ]
    if pace.heartbeat is not None:
        written["heartbeatPeriod"] = pace.heartbeat
    return written


_FORMS: Mapping[Form, Callable[[_Asked], dict[str, Any]]] = {
    "criteria": _write_criteria_form,
    "backport": _write_backport,
    "r5": _write_r5,
}
