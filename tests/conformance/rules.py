"""The guide's rules as checks: what a Subscription and a notification must look like.

They are what the Inferno client suite checks, and each returns its findings in words;
none means that it conforms. Source: Subscriptions R5 Backport IG 1.1, R4 profiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.subscription import Subscription

from tests.conformance.server import BACKPORT

CONTENTS = ("empty", "id-only", "full-resource")
CROSS_VERSION = re.compile(
    r"http://hl7\.org/fhir/\d\.\d/StructureDefinition/extension-Subscription\."
)
CHANNEL = {
    "backport-heartbeat-period": ("valueUnsignedInt", 0),
    "backport-timeout": ("valueUnsignedInt", 0),
    "backport-max-count": ("valuePositiveInt", 1),
}


def subscription_faults(resource: dict[str, Any]) -> list[str]:
    """Check what a client sends against R4 and the profile backport-subscription."""
    return list(_check_subscription(resource))


def _check_subscription(resource: dict[str, Any]) -> Iterator[str]:
    try:
        Subscription(resource, strict=True)
    except FHIRValidationError as error:
        yield f"it is not valid R4: {error}"
    if f"{BACKPORT}backport-subscription" not in resource["meta"]["profile"]:
        yield "it does not claim the profile"
    if resource["status"] not in {"requested", "off"}:
        yield "a client asks for requested or off, nothing else"
    if not re.match(r"https?://[^/]+", resource["criteria"]):
        yield "criteria is not a canonical URL"
    yield from _check_channel(resource["channel"])
    for item in _extensions(resource.get("_criteria")):
        if item["url"] != f"{BACKPORT}backport-filter-criteria":
            yield f"criteria has an extension {item['url']}"
        elif not re.match(r"([A-Z]\w+\?)?[\w:.-]+=.+", item.get("valueString", "")):
            yield "a filter is not a search string"
    yield from (
        f"{url} is a cross-version extension"
        for url in _urls(resource)
        if CROSS_VERSION.match(url)
    )


def _check_channel(channel: dict[str, Any]) -> Iterator[str]:
    if channel["type"] != "rest-hook":
        yield "the channel is not rest-hook"
    if not re.match(r"https?://[^/]+/", channel.get("endpoint", "")):
        yield "the endpoint is not an absolute URL"
    if "payload" not in channel:
        yield "the channel names no media type"
    codes = [
        item.get("valueCode")
        for item in _extensions(channel.get("_payload"))
        if item["url"] == f"{BACKPORT}backport-payload-content"
    ]
    if len(codes) != 1 or codes[0] not in CONTENTS:
        yield "the payload's content is not said once"
    for item in channel.get("extension", []):
        kind, least = CHANNEL[item["url"].removeprefix(BACKPORT)]
        if not isinstance(item.get(kind), int) or item[kind] < least:
            yield f"{item['url']} has no {kind} of {least} or more"
    for line in channel.get("header", []):
        if not re.match(r"[\w-]+: \S", line):
            yield "a header is not of the form `Name: value`"


def notification_faults(
    bundle: dict[str, Any], subscription_id: str, content: str
) -> list[str]:
    """Check an R4 notification Bundle against its profile and payload content."""
    return list(_check_bundle(bundle, subscription_id, content))


def _check_bundle(bundle: dict[str, Any], name: str, content: str) -> Iterator[str]:
    first, *others = bundle["entry"]
    if bundle["type"] != "history":
        yield "the Bundle is not of type history"
    if first["resource"]["resourceType"] != "Parameters":
        yield "the first entry is not a status"
        return
    for entry in bundle["entry"]:
        if "request" not in entry or "response" not in entry:
            yield "an entry lacks its request or response"
    url = first.get("request", {}).get("url", "")
    if not url.endswith(f"Subscription/{name}/$status"):
        yield "the first entry is not the answer of $status"
    parameters = first["resource"]["parameter"]
    yield from _check_status(parameters)
    events = [part for part in parameters if part["name"] == "notification-event"]
    yield from _check_content(events, others, content)


def _check_status(parameters: list[dict[str, Any]]) -> Iterator[str]:
    for name, kind in (
        ("subscription", "valueReference"),
        ("status", "valueCode"),
        ("type", "valueCode"),
    ):
        found = [part for part in parameters if part["name"] == name]
        if len(found) != 1 or kind not in found[0]:
            yield f"{name} is not there once as {kind}"
    values = {part["name"]: part.get("valueCode") for part in parameters}
    if values.get("type") == "event-notification":
        if "events-since-subscription-start" not in values:
            yield "events are not counted"
        if "notification-event" not in values:
            yield "there is no event"


def _check_content(
    events: list[dict[str, Any]], others: list[dict[str, Any]], content: str
) -> Iterator[str]:
    full = {entry.get("fullUrl"): entry for entry in others}
    for event in events:
        parts = {part["name"]: part for part in event["part"]}
        if "valueString" not in parts.get("event-number", {}):
            yield "an event has no number"
        focus = parts.get("focus", {}).get("valueReference", {}).get("reference")
        if content == "empty" and (focus or "additional-context" in parts):
            yield "an empty notification tells its focus"
        if content != "empty" and focus is None:
            yield "an event has no focus"
        if content == "full-resource" and focus not in full:
            yield "the focus is not in the Bundle"
    if content == "empty" and others:
        yield "an empty notification has further entries"
    for entry in others:
        if "fullUrl" not in entry:
            yield "an entry has no full URL"
        if content == "id-only" and "resource" in entry:
            yield "an id-only notification carries a resource"


def _extensions(primitive: Any) -> list[dict[str, Any]]:
    return (primitive or {}).get("extension", [])


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == "url" and isinstance(v, str))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _urls(item)
