"""The real receiver over a real database, as a client of the tests sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from werkzeug.test import Client

from middleware.stages.receive import Intake, ReceivePorts
from middleware.storage import subscriptions
from middleware.storage.intake import IntakeDatabase
from subscriptions.buckets import Buckets
from subscriptions.receiver import make_receiver
from tests.stages.world import ENDPOINT, START, World

SECRET = {"X-CareCue-Secret": "right"}
FHIR = "application/fhir+json"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


def notification(number: int, *focuses: str, resource: Any = None) -> bytes:
    """A backport event-notification about these focuses."""
    events = [
        {
            "name": "notification-event",
            "part": [
                {"name": "event-number", "valueString": str(number)},
                {
                    "name": "focus",
                    "valueReference": {"reference": f"{ENDPOINT.fhir_base}/{focus}"},
                },
            ],
        }
        for focus in focuses
    ]
    status = {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{BACKPORT}/backport-subscription-status-r4"]},
        "parameter": [
            {
                "name": "subscription",
                "valueReference": {"reference": f"{ENDPOINT.fhir_base}/Subscription/1"},
            },
            {"name": "status", "valueCode": "active"},
            {"name": "type", "valueCode": "event-notification"},
            {
                "name": "events-since-subscription-start",
                "valueString": str(number),
            },
            *events,
        ],
    }
    entries = [{"resource": status, "request": {"method": "GET", "url": "x"}}]
    if resource is not None:
        full = f"{ENDPOINT.fhir_base}/{focuses[0]}"
        entries.append({"fullUrl": full, "resource": resource})
    return orjson.dumps({"resourceType": "Bundle", "type": "history", "entry": entries})


def subscription(**changes: Any) -> subscriptions.SubscriptionRow:
    """A subscription whose hook is ``hook-1``."""
    fields: dict[str, Any] = {
        "id": "s1",
        "endpoint_id": ENDPOINT.id,
        "hook_key": "hook-1",
        "secrets": b"right\nold",
        "resource_type": "Encounter",
        "form": "backport",
        "criteria": "Encounter",
        "server_id": "1",
        "status": "active",
        "last_number": None,
        "last_seen_at": None,
        "created_at": START,
    }
    return subscriptions.SubscriptionRow(**(fields | changes))


def subscribe(world: World, **changes: Any) -> None:
    """Register that subscription."""
    with world.database.tx() as tx:
        subscriptions.insert_subscription(tx, subscription(**changes))


def read_plain(sealed: bytes) -> tuple[str, ...]:
    """Return secrets that were never sealed."""
    return tuple(sealed.decode().split("\n"))


def listen(
    world: World,
    intake: IntakeDatabase,
    buckets: Buckets | None = None,
    open_secrets: Callable[[bytes], tuple[str, ...]] = read_plain,
) -> Client:
    """A client of the receiver over this database."""
    ports = ReceivePorts(
        database=intake,
        clock=world.clock,
        wake=world.context.wake,
        open_secrets=open_secrets,
    )
    receiver = make_receiver(Intake(ports), world.clock, buckets=buckets)
    return Client(receiver)


def post(hook: Client, body: bytes, **options: Any) -> Any:
    """Post a notification with the right secret, unless ``headers`` say otherwise."""
    headers = options.pop("headers", SECRET)
    return hook.post("/hooks/hook-1", data=body, content_type=FHIR, headers=headers)
