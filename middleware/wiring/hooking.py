"""Addresses for senders that no Subscription is asked of: clouds, brokers, messages."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.endpoint import Endpoint
from middleware.stages.receive import EVERY_TYPE
from middleware.storage import audit, subscriptions
from middleware.wiring.runtime import Runtime
from subscriptions.proving import Proof

FORM = "hook"


@dataclass(frozen=True)
class Hook:
    """Where the sender posts to, and the secret that it proves itself with."""

    url: str
    secret: str


def open_hook(
    runtime: Runtime,
    endpoint: Endpoint,
    resource_type: str | None,
    proof: Proof,
    by: str,
) -> Hook:
    """Make an address with its secret; what ``by`` did is audited.

    ``resource_type`` is what is searched when a delivery names nothing; None for all.
    """
    hook_key, secret = runtime.ids.secret()[:32], runtime.ids.secret()
    now = runtime.clock.now()
    row = subscriptions.SubscriptionRow(
        id=runtime.ids.new(),
        endpoint_id=endpoint.id,
        hook_key=hook_key,
        secrets=runtime.sealer.seal(secret.encode()),
        resource_type=resource_type or EVERY_TYPE,
        form=FORM,
        criteria="",
        server_id=None,
        status="active",
        last_number=None,
        last_seen_at=None,
        created_at=now,
        proof=proof.value,
    )
    with runtime.database.tx() as tx:
        subscriptions.insert_subscription(tx, row)
        audit.insert_audit(tx, by, "hook", now, endpoint_id=endpoint.id, subject=row.id)
    url = f"{runtime.settings.public_url}/hooks/{hook_key}"
    return Hook(f"{url}?token={secret}" if proof is Proof.QUERY else url, secret)
