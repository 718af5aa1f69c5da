"""A test notification from end to end: their server, our proxy, our database.

Where the endpoint is no production one, a Subscription of ten minutes is made for it
and taken away again; only a handshake is awaited, nothing clinical is written.
Sources: FHIR R4 Subscription; Subscriptions R5 Backport IG 1.1, handshake.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mappings.capabilities import find_declared, read_interactions
from mappings.endpoint import Endpoint, EndpointKind
from mappings.errors import ReferenceRefusedError
from middleware.fhir.addresses import read_reference
from middleware.fhir.checking.exchange import Exchange
from middleware.fhir.checking.finding import Seen
from middleware.fhir.checking.push import (
    check_listener,
    find_topic,
    judge_hook,
)
from middleware.fhir.checking.talk import Talk
from middleware.storage import subscriptions, trials
from middleware.wiring.runtime import Runtime
from subscriptions.definition import Pace, write_subscription

WAIT = 20.0
LIFE = timedelta(minutes=10)
RECENT = timedelta(hours=24)
_PAUSE = 0.1
_UNHEARD = frozenset({"skipped", "subscription-error", "handshake-missing"})
HOW = (
    "To see one: `carecue endpoint subscribe {name}`, change a visit of a test patient "
    "in the EHR, and look at `carecue events list`"
)


@dataclass(frozen=True)
class Trial:
    """One trial; ``wait`` is seconds for the handshake."""

    runtime: Runtime
    wait: float = WAIT

    def run(self, talk: Talk) -> Seen:
        """Say whether notifications arrive, and how that was seen."""
        declared = find_declared(talk.statement, "Subscription") or {}
        if "create" not in read_interactions(declared):
            return Seen(
                "skipped", "no Subscription can be created, as far as the server says"
            )
        unreachable = judge_hook(talk.public_url, talk.base)
        if unreachable is not None:
            # A WebSocket needs no way in; what came lately over one counts.
            came = self._look_back(talk.endpoint)
            return came if came.code == "ok" else unreachable
        production = talk.endpoint.kind is EndpointKind.PRODUCTION
        seen = self._look_back(talk.endpoint) if production else self._try(talk)
        # Only now: some networks lead nobody inside to their own outer address.
        return check_listener(talk) or seen if seen.code in _UNHEARD else seen

    def _look_back(self, endpoint: Endpoint) -> Seen:
        """Create nothing, as in production: what came lately is the evidence."""
        with self.runtime.database.tx() as tx:
            rows = subscriptions.list_subscriptions(tx, endpoint.id)
        seen = [row.last_seen_at for row in rows if row.last_seen_at is not None]
        if seen and max(seen) > self.runtime.clock.now() - RECENT:
            return Seen("ok", f"a notification came at {max(seen):%Y-%m-%d %H:%M} UTC")
        told = "nothing was created for it, and no notification came in 24 hours"
        return Seen("skipped", f"{told}. {HOW.format(name=endpoint.id)}")

    def _try(self, talk: Talk) -> Seen:
        database = self.runtime.database
        with database.tx() as tx:
            trials.delete_trials(tx, talk.endpoint.id)
        topic = find_topic(talk)
        row, resource = self._prepare(talk, topic)
        with database.tx() as tx:
            subscriptions.insert_subscription(tx, row)
        server_id = None
        try:
            url = f"{talk.base}/Subscription"
            made = talk.caller.call("POST", url, token=talk.token, body=resource)
            if made.status not in {200, 201}:
                return Seen("subscription-refused", made.told(), made.shown)
            server_id = _read_id(talk, made)
            if server_id is None:
                told = f"{made.told()}, without an id or Location"
                return Seen("subscription-refused", told, made.shown)
            return self._await(talk, row.id, server_id, topic is not None)
        finally:
            if server_id:
                _take_away(talk, server_id)
            with database.tx() as tx:
                trials.delete_trials(tx, talk.endpoint.id)

    def _prepare(
        self, talk: Talk, topic: tuple[str, str] | None
    ) -> tuple[subscriptions.SubscriptionRow, dict[str, Any]]:
        """Make our row and the Subscription that posts to it."""
        ids, now = self.runtime.ids, self.runtime.clock.now()
        hook_key, secret = ids.secret()[:32], ids.secret()
        name, canonical = topic or (talk.needs.focus[0], None)
        resource = write_subscription(
            "backport" if topic else "criteria",
            name,
            f"{talk.public_url.rstrip('/')}/hooks/{hook_key}",
            secret,
            now + LIFE,
            topic=canonical,
            pace=Pace(heartbeat=None),
        )
        row = subscriptions.SubscriptionRow(
            id=ids.new(),
            endpoint_id=talk.endpoint.id,
            hook_key=hook_key,
            secrets=self.runtime.sealer.seal(secret.encode()),
            resource_type=name,
            form="backport" if topic else "criteria",
            criteria=trials.TRIAL,
            server_id=None,
            status="requested",
            last_number=None,
            last_seen_at=None,
            created_at=now,
        )
        return row, resource

    def _await(self, talk: Talk, row_id: str, server_id: str, topical: bool) -> Seen:
        """Wait for a delivery in the database; read the status meanwhile."""
        began, asked = time.monotonic(), f"POST {talk.base}/Subscription"
        facts, pause = {"url": talk.public_url}, threading.Event()
        shown = f"{talk.base}/Subscription/[id]"
        status = "requested"
        while time.monotonic() - began < self.wait:
            with self.runtime.database.tx() as tx:
                arrived = trials.find_arrival(tx, row_id)
            if arrived is not None:
                took = time.monotonic() - began
                return Seen("ok", f"a {arrived} came after {took:.1f} s")
            exchange = talk.caller.call(
                "GET",
                f"{talk.base}/Subscription/{server_id}",
                token=talk.token,
                shown=shown,
            )
            status = str((exchange.body or {}).get("status"))[:20]
            if status in {"error", "off"}:
                told = f"the Subscription's status became {status}"
                return Seen("subscription-error", told, asked, facts)
            if status == "active" and not topical:
                how = HOW.format(name=talk.endpoint.id)
                told = "a Subscription became active; R4 criteria know no handshake"
                return Seen("skipped", f"{told}. {how}")
            pause.wait(_PAUSE)
        told = f"none within {self.wait:g} s; the Subscription's status is {status}"
        return Seen("handshake-missing", told, asked, facts)


def _read_id(talk: Talk, made: Exchange) -> str | None:
    """Return the id of what was created, if it is one that may stand in a URL."""
    given = (made.body or {}).get("id")
    place = f"Subscription/{given}" if given else made.headers.get("Location") or ""
    try:
        found = read_reference(talk.base, place)
    except ReferenceRefusedError:
        return None
    return found.id if found.type == "Subscription" else None


def _take_away(talk: Talk, server_id: str) -> None:
    """Delete the Subscription; where that is refused, it ends by itself."""
    talk.caller.call(
        "DELETE",
        f"{talk.base}/Subscription/{server_id}",
        token=talk.token,
        shown=f"{talk.base}/Subscription/[id]",
    )
