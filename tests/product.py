"""Our receiver over a real database, as an EHR sees it: by HTTP on loopback.

It is the receiver alone: the rest of the public listener makes keys at its first start,
which costs more than a whole test.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import requests

from mappings.endpoint import AppClient, BackendClient, Endpoint
from middleware.cli.demo_connect import sandbox_endpoint
from middleware.settings import Settings
from middleware.stages.receive import Intake
from middleware.stages.track import track_subscriptions
from middleware.storage import endpoints, subscriptions
from middleware.wiring.apps import _receive_ports
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, open_runtime
from middleware.wiring.subscribing import retire_all, settle, want
from subscriptions.definition import Content
from subscriptions.receiver import make_receiver
from subscriptions.wanting import Wanted, Way
from tests.live.rig import Listener

SECRET = "0123456789abcdef0123456789abcdef"
BEARER = f"Bearer {SECRET}"
WAIT_SECONDS = 60.0
Row = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """What tests see of us: an address, and what our tables hold."""

    runtime: Runtime
    url: str

    def connect(self, fhir_base: str) -> Endpoint:
        """Store an endpoint that needs no token."""
        endpoint = replace(
            sandbox_endpoint(fhir_base.removesuffix("/fhir"), "America/New_York"),
            id="ehr",
            backend=BackendClient(token_url=None),
            app=AppClient(),
            profile={},
        )
        with self.runtime.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, self.runtime.clock.now())
        return endpoint

    def open_hook(self, endpoint: Endpoint, form: str, **changes: Any) -> str:
        """Store a subscription and return the address of its hook."""
        fields: dict[str, Any] = {
            "id": "hook",
            "endpoint_id": endpoint.id,
            "hook_key": "hook",
            "secrets": self.runtime.sealer.seal(SECRET.encode()),
            "resource_type": "Encounter",
            "form": form,
            "criteria": "Encounter",
            "server_id": "1",
            "status": "requested",
            "last_number": None,
            "last_seen_at": None,
            "created_at": self.runtime.clock.now(),
        }
        row = subscriptions.SubscriptionRow(**(fields | changes))
        with self.runtime.database.tx() as tx:
            subscriptions.insert_subscription(tx, row)
        return f"{self.url}/hooks/{row.hook_key}"

    def subscribe(self, endpoint: Endpoint, topic: str, content: Content) -> None:
        """Want a topic's notifications, and take the controller's first turn."""
        wanted = Wanted("Encounter", (Way("backport", topic, content=content),))
        want(self.runtime, endpoint, [wanted], ("Encounter",))
        settle(self.runtime, endpoint, 0, lambda row: None)

    def leave(self) -> None:
        """Want nothing any more, and take the controller's turn."""
        with self.runtime.database.tx() as tx:
            endpoint = endpoints.get_endpoint(tx, "ehr")
        assert endpoint is not None
        retire_all(self.runtime, endpoint)
        settle(self.runtime, endpoint, 0, lambda row: None)

    def track(self) -> None:
        """Count what the deliveries told of their subscriptions."""
        track_subscriptions(stage_context(self.runtime))

    def rows(self, query: str, *values: object) -> list[Row]:
        """Read from the database."""
        with self.runtime.database.tx() as tx:
            return list(tx.execute(query, values).fetchall())

    def kept(self) -> list[Row]:
        """Return the deliveries, in order, each with what it said."""
        return self.rows(
            "SELECT method, path, type, form, state, error, body FROM notification "
            "ORDER BY id"
        )

    def told(self, focus: str | None = None) -> list[Row]:
        """Return what is to be read because of them, of one focus or of all."""
        return self.rows(
            "SELECT focus, version, event_number, interaction, source FROM inbox "
            "WHERE %s::text IS NULL OR focus = %s ORDER BY id",
            focus,
            focus,
        )

    def wait(self, what: str, ready: Callable[[], Any]) -> Any:
        """Return the first thing that is true; AssertionError after a minute."""
        deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
        while not (found := ready()):
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            pause.wait(0.03)
        return found


def deliver(
    hook: str, body: Any = b"", path: str = "", **options: Any
) -> requests.Response:
    """Send to a hook as a server would: by POST, and with its secret in a header.

    ``headers`` are added; one that is None is left out.
    """
    method, changes = options.pop("method", "POST"), options.pop("headers", {})
    named = {"Authorization": BEARER, "Content-Type": "application/fhir+json"}
    headers = {k: v for k, v in {**named, **changes}.items() if v is not None}
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return requests.request(
        method, hook + path, data=data, headers=headers, timeout=10, **options
    )


@contextmanager
def open_product(database_url: str, home: Path) -> Iterator[Product]:
    """Serve the receiver from a thread."""
    listener = Listener()
    settings = Settings(
        home=home,
        database_url=database_url,
        public_url=listener.url,
        log_level="WARNING",
    )
    try:
        with open_runtime(settings) as runtime:
            ports = _receive_ports(runtime)
            listener.serve(make_receiver(Intake(ports), runtime.clock))
            yield Product(runtime, listener.url)
            listener.stop()
    finally:
        listener.stop()
