"""The real receiver over a real database, as a client of the tests sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.test import Client

from middleware.stages.receive import Intake, ReceivePorts
from middleware.storage import subscriptions
from middleware.storage.intake import IntakeDatabase
from subscriptions.buckets import Buckets
from subscriptions.receiver import make_receiver
from tests.stages.world import ENDPOINT, START, World

SECRET = {"X-CareCue-Secret": "right"}
FHIR = "application/fhir+json"


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
