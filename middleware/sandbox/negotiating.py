"""What this server does not take as it was asked, when a fault plan says so.

It may refuse or adjust a Subscription before it is written; sending is not its part.
Sources: Subscriptions R5 Backport IG 1.1, "accepting or rejecting"; US Core, patient
data feed: adjusted filters are kept with status error until the client accepts.
"""

from typing import Any

import flask

from middleware.sandbox.definition import BACKPORT
from middleware.sandbox.faults import Faults
from middleware.sandbox.outcome import FhirFault


def register(app: flask.Flask) -> None:
    """Add the check; the faults must have been registered."""
    faults: Faults = app.extensions["faults"]

    def check(resource: dict[str, Any]) -> None:
        if resource.get("resourceType") != "Subscription":
            return
        if faults.plan.refuse_heartbeats:
            refuse_heartbeat(resource)
        if faults.plan.adjust_filters:
            adjust_filters(resource)

    app.extensions.setdefault("checks", []).append(check)


def refuse_heartbeat(subscription: dict[str, Any]) -> None:
    """Refuse a Subscription that asks for heartbeats, with a FhirFault 400."""
    channel = subscription.get("channel") or {}
    for extension in channel.get("extension") or []:
        if extension.get("url") == f"{BACKPORT}backport-heartbeat-period":
            raise FhirFault(
                400,
                "Heartbeats are not supported; nothing was stored.",
                code="not-supported",
                expression="Subscription.channel.extension",
            )


def adjust_filters(subscription: dict[str, Any]) -> None:
    """Drop the filters of one that is asked for, and ask the client to accept that."""
    if subscription.get("status") == "requested" and "_criteria" in subscription:
        del subscription["_criteria"]
        subscription["status"] = "error"
        subscription["error"] = "the filters were adjusted; accept or delete it"
