"""Creating our Subscriptions at an EHR: one secret and one address for each.

Our row is committed before the server is asked, so that a handshake that comes before
the answer finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mappings.endpoint import Endpoint
from mappings.event import FOCUS_TYPES
from middleware.stages.reconcile import fetch_beginning
from middleware.storage import inbox, subscriptions
from middleware.wiring.pipeline import fhir_factory
from middleware.wiring.runtime import Runtime
from subscriptions.definition import Content, Form, write_subscription

LIFE = timedelta(days=90)


@dataclass(frozen=True)
class Wanted:
    """One subscription as we want it.

    ``form`` is criteria or backport; ``content`` empty, id-only or full-resource.
    """

    resource_type: str
    form: Form
    topic: str | None
    content: Content
    extensions: tuple[dict[str, Any], ...] = ()


def begin_polling(runtime: Runtime, endpoint: Endpoint) -> None:
    """Note where the server stands, for each type that is not polled yet.

    Done before subscribing, so that nothing falls between the two. Raises FhirError.
    """
    api = fhir_factory(runtime)(endpoint)
    for resource_type in FOCUS_TYPES:
        with runtime.database.tx() as tx:
            known = inbox.read_cursor(tx, endpoint.id, resource_type)
        if known is not None:
            continue
        since, now = fetch_beginning(api, resource_type), runtime.clock.now()
        with runtime.database.tx() as tx:
            inbox.advance_cursor(tx, endpoint.id, resource_type, since, now)


def subscribe(runtime: Runtime, endpoint: Endpoint, wanted: Wanted) -> str:
    """Create the subscription unless it is there; return our hook key.

    Raises FhirError when the server refuses; polling goes on without it.
    """
    with runtime.database.tx() as tx:
        for row in subscriptions.list_subscriptions(tx, endpoint.id):
            if row.resource_type == wanted.resource_type and row.server_id:
                return row.hook_key
    hook_key, secret = runtime.ids.secret()[:32], runtime.ids.secret()
    row = _insert(runtime, endpoint, wanted, hook_key, secret)
    resource = write_subscription(
        wanted.form,
        wanted.resource_type,
        f"{runtime.settings.public_url}/hooks/{hook_key}",
        secret,
        end=row.created_at + LIFE,
        content=wanted.content,
        topic=wanted.topic,
        extra_extensions=wanted.extensions,
    )
    stored = fhir_factory(runtime)(endpoint).send_create(resource)
    with runtime.database.tx() as tx:
        subscriptions.update_subscription(
            tx, row.id, server_id=str(stored["id"]), status=str(stored["status"])
        )
    return hook_key


def _insert(
    runtime: Runtime, endpoint: Endpoint, wanted: Wanted, hook_key: str, secret: str
) -> subscriptions.SubscriptionRow:
    row = subscriptions.SubscriptionRow(
        id=runtime.ids.new(),
        endpoint_id=endpoint.id,
        hook_key=hook_key,
        secrets=runtime.sealer.seal(secret.encode()),
        resource_type=wanted.resource_type,
        form=wanted.form,
        criteria=wanted.topic or wanted.resource_type,
        server_id=None,
        status="requested",
        last_number=None,
        last_seen_at=None,
        created_at=runtime.clock.now(),
    )
    with runtime.database.tx() as tx:
        subscriptions.insert_subscription(tx, row)
    return row
