"""A FHIR server that numbers its notifications, and loses, repeats and delays them.

It is a ``FhirApi`` for the reading side and posts to the real receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from werkzeug.test import Client

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.instants import read_instant, write_instant
from middleware.ports import SearchResult
from middleware.storage import endpoints, inbox, subscriptions
from middleware.storage.intake import IntakeDatabase
from tests.stages.listening import FHIR, SECRET, listen, subscription
from tests.stages.world import ENDPOINT, START, World

Resource = dict[str, Any]
Numbers = Callable[[int], int | None]


def refused(status: int = 404) -> FhirError:
    return FhirError(f"answered {status}", status=status, permanent=True)


@dataclass
class Numbered:
    """One server with one subscription for Encounters.

    ``numbers`` writes an event's number; ``kept`` are the numbers that $events still
    knows, None where it has no such operation; ``date`` is its Date header.
    """

    world: World
    hook: Client
    endpoint: Endpoint
    hook_key: str
    numbers: Numbers = lambda number: number
    kept: Callable[[int], bool] | None = None
    searches: bool = True
    histories: bool = True
    status: str | None = "active"
    date: Callable[[], datetime | None] = lambda: None
    versions: dict[str, list[Resource]] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.endpoint.fhir_base

    # --- what happens at the server -----------------------------------------------

    def change(self, name: str, at: datetime | None = None) -> int:
        """Write a new version; return the event's place, from one."""
        known = self.versions.setdefault(name, [])
        meta = {
            "versionId": str(len(known) + 1),
            "lastUpdated": write_instant(at or self.world.clock.now()),
        }
        kind, _, identifier = name.partition("/")
        known.append({"resourceType": kind, "id": identifier, "meta": meta})
        self.events.append((name, meta["versionId"]))
        return len(self.events)

    def restart(self) -> None:
        """Count from one again, as a counter in memory does."""
        self.events = []

    def deliver(self, *places: int, kind: str = "event-notification") -> None:
        """Post one notification of these events, in the form of the backport."""
        count = self._written(max(places, default=len(self.events)))
        self.post(self.notification(kind, places, count))

    def beat(self) -> None:
        """Post a heartbeat with the present count."""
        self.deliver(kind="heartbeat")

    def post(self, body: bytes) -> None:
        path = f"/hooks/{self.hook_key}"
        answer = self.hook.post(path, data=body, content_type=FHIR, headers=SECRET)
        assert answer.status_code == 200

    def notification(
        self, kind: str, places: Sequence[int], count: int | None
    ) -> bytes:
        """Write the Bundle."""
        parameters = [
            {"name": "subscription", "valueReference": {"reference": "Subscription/1"}},
            {"name": "status", "valueCode": self.status or "active"},
            {"name": "type", "valueCode": kind},
        ]
        if count is not None:
            name = "events-since-subscription-start"
            parameters.append({"name": name, "valueString": str(count)})
        parameters += [self._event(place) for place in places]
        status = {"resourceType": "Parameters", "parameter": parameters}
        entries = [{"resource": status}, *(self._entry(place) for place in places)]
        bundle = {"resourceType": "Bundle", "type": "history", "entry": entries}
        return orjson.dumps(bundle)

    def _event(self, place: int) -> Resource:
        name, version = self.events[place - 1]
        focus = f"{self.base_url}/{name}/_history/{version}"
        part: list[Resource] = [
            {"name": "focus", "valueReference": {"reference": focus}}
        ]
        number = self._written(place)
        if number is not None:
            part.append({"name": "event-number", "valueString": str(number)})
        return {"name": "notification-event", "part": part}

    def _written(self, place: int) -> int | None:
        return self.numbers(place)

    def _entry(self, place: int) -> Resource:
        name, version = self.events[place - 1]
        return {
            "fullUrl": f"{self.base_url}/{name}",
            "request": {"method": "PUT", "url": name},
            "response": {"status": "200", "etag": f'W/"{version}"'},
        }

    # --- what it answers ----------------------------------------------------------

    def fetch(self, reference: str) -> Resource:
        self.asked.append(reference)
        if self.status is None or not reference.startswith("Subscription/"):
            raise refused()
        return {"resourceType": "Subscription", "id": "1", "status": self.status}

    def fetch_operation(
        self, path: str, parameters: Sequence[Mapping[str, Any]] = ()
    ) -> Resource:
        self.asked.append(path)
        if self.kept is None:
            raise refused()
        if path.endswith("$status"):
            count = self._written(len(self.events)) if self.events else 0
            return orjson.loads(self.notification("query-status", (), count))
        given = {one["name"]: one.get("valueString") for one in parameters}
        first, last = (int(given[f"events{end}Number"]) for end in ("Since", "Until"))
        places = [n for n in range(1, len(self.events) + 1) if first <= n <= last]
        known = [place for place in places if self.kept(place)]
        count = self._written(len(self.events))
        return orjson.loads(self.notification("query-event", known, count))

    def fetch_search(self, query: str, *, follow_pages: bool = True) -> SearchResult:
        self.asked.append(query)
        path, _, question = query.partition("?")
        kind = path.partition("/")[0]
        history = path.endswith("/_history")
        if not (self.histories if history else self.searches):
            raise refused(400)
        since = _since(question)
        stored = [item for items in self.versions.values() for item in items]
        if not history:
            stored = [items[-1] for items in self.versions.values()]
        found = [
            item
            for item in stored
            if item["resourceType"] == kind and (since is None or _when(item) >= since)
        ]
        if "_sort=-_lastUpdated" in question:
            found = sorted(found, key=_when)[-1:]
        return SearchResult(tuple(found), server_time=self.date())

    # --- what must come of it -----------------------------------------------------

    def latest(self) -> dict[str, str]:
        """Every resource's newest version."""
        return {
            name: items[-1]["meta"]["versionId"]
            for name, items in self.versions.items()
        }

    def inbox(self) -> set[tuple[str, str]]:
        """Every (focus, version) that the inbox knows."""
        rows = self.world.rows(
            "SELECT focus, version FROM inbox WHERE endpoint_id = %s "
            "AND focus IS NOT NULL",
            self.endpoint.id,
        )
        return {(row["focus"], row["version"]) for row in rows}

    def known(self) -> dict[str, str]:
        """Every resource's newest version in the inbox."""
        found = sorted(self.inbox(), key=lambda pair: int(pair[1]))
        return dict(found)

    def row(self) -> dict[str, Any]:
        """The subscription's row."""
        (row,) = self.world.rows(
            "SELECT * FROM subscription WHERE hook_key = %s", self.hook_key
        )
        return row


def _since(question: str) -> datetime | None:
    for part in question.split("&"):
        name, _, value = part.partition("=")
        if name in {"_lastUpdated", "_since"}:
            return read_instant(value.removeprefix("ge"))
    return None


def _when(item: Resource) -> datetime:
    return read_instant(item["meta"]["lastUpdated"])


class Servers:
    """As many servers as a test wants, each with its endpoint in one world."""

    def __init__(self, world: World, intake: IntakeDatabase) -> None:
        self.world = world
        self.made: dict[str, Numbered] = {}
        self.hook = listen(world, intake)
        self.context = replace(world.context, fhir=self._find)

    def _find(self, endpoint: Endpoint) -> Any:
        return self.made.get(endpoint.id, self.world.fhir)

    def add(self, **options: Any) -> Numbered:
        """Connect another server; its clock is ours."""
        name = f"server-{len(self.made) + 1}"
        base = f"http://127.0.0.1:9/{name}"
        endpoint = replace(ENDPOINT, id=name, name=name, fhir_base=base)
        row = subscription(id=f"s-{name}", endpoint_id=name, hook_key=f"hook-{name}")
        with self.world.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, START)
            subscriptions.insert_subscription(tx, row)
            for kind in ("Encounter", "Appointment", "CarePlan"):
                inbox.advance_cursor(tx, name, kind, START, START)
        made = Numbered(self.world, self.hook, endpoint, row.hook_key, **options)
        self.made[name] = made
        return made
