"""Subscriptions that tests of the sandbox's notifier ask for, and what they read."""

from typing import Any

from middleware.sandbox.definition import BACKPORT, BACKPORT_PROFILE

TOPIC = "http://sandbox.example.org/SubscriptionTopic/encounter-change"


def topical(url: str, content: str = "id-only", **extra: Any) -> dict[str, Any]:
    shape = [{"url": f"{BACKPORT}backport-payload-content", "valueCode": content}]
    extensions = [
        {"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": 300},
        {
            "url": f"{BACKPORT}backport-max-count",
            "valuePositiveInt": extra.pop("most", 1),
        },
    ]
    channel = {
        "type": "rest-hook",
        "endpoint": url,
        "payload": "application/fhir+json",
        "_payload": {"extension": shape},
        "header": ["Authorization: Bearer s3"],
        "extension": extensions,
    }
    return {
        "resourceType": "Subscription",
        "meta": {"profile": [BACKPORT_PROFILE]},
        "status": "requested",
        "reason": "test",
        "criteria": TOPIC,
        "channel": channel,
        **extra,
    }


def number(bundle: dict[str, Any]) -> list[str]:
    parameters = bundle["entry"][0]["resource"]["parameter"]
    events = [p["part"] for p in parameters if p["name"] == "notification-event"]
    return [event[0]["valueString"] for event in events]
