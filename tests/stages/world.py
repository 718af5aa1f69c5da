"""A whole world for the stages: a real database, a scripted EHR and scripted channels.

Only the network's other end and time are made up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mappings.content import load_shipped
from mappings.delivery import Message, Receipt
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import ChannelError, FhirError
from mappings.instants import write_instant
from mappings.preference import ConsentRecord, Who
from mappings.reference import focus_patient
from middleware.clock import FixedClock
from middleware.ports import Ids, SearchResult
from middleware.sandbox.patch import apply_patch
from middleware.stages import decide, deliver, listen, record, resolve
from middleware.stages.context import StageContext
from middleware.stages.listen import keep_receipt, keep_reply
from middleware.stages.reconcile import poll_endpoints
from middleware.storage import endpoints, inbox, preferences, shards
from middleware.storage.database import Database
from middleware.storage.ids import SHARDS, shard_of

Resource = dict[str, Any]

START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)  # Friday 17:00 in Chicago
CHECK_IN = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)  # the day after the discharge
NUMBER = "+13125550142"
MAIL = "rosa@example.org"
ROSA = "Patient/rosa"
DISPOSITION = "http://terminology.hl7.org/CodeSystem/discharge-disposition"
_WHOLE = load_shipped({"es": "L. Ortiz"})
LIBRARY = replace(_WHOLE, plans=tuple(plan for plan in _WHOLE.plans if plan.default_on))
STAGES = {
    "resolve": resolve.step,
    "decide": decide.step,
    "deliver": deliver.step,
    "record": record.step,
    "listen": listen.step,
}
ENDPOINT = Endpoint(
    id="north",
    name="North",
    kind=EndpointKind.SANDBOX,
    fhir_base="http://127.0.0.1:9/fhir",
    backend=BackendClient(),
    app=AppClient(),
    site=Site(
        name="Northside Clinic",
        phone="(312) 555-0100",
        booking_url="northside.example.org/book",
        zone="America/Chicago",
        reviewers={"es": "L. Ortiz"},
    ),
    allow_list=("*",),
)

DOWN = FhirError("the server did not answer; it may be tried again", status=None)


def outcome(code: str) -> Resource:
    """An OperationOutcome with one issue."""
    issue = {"severity": "error", "code": code}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


class ScriptedFhir:
    """A FHIR server in memory; ``fault`` and ``on_read`` are set by the test.

    ``fault(verb, what)`` may return an exception to raise (verbs: batch, read, history,
    search, create), or for a part of a batch (verb part) an issue code.
    """

    base_url = ENDPOINT.fhir_base

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock
        self.versions: dict[str, list[Resource]] = {}
        self.created: list[Resource] = []
        self.ways: list[str] = []
        self.fault: Callable[[str, str], Any] = lambda verb, what: None
        self.on_read: Callable[[str], None] = lambda what: None
        self._numbers = itertools.count(1)

    def put(self, resource: Resource, at: datetime | None = None) -> str:
        """Store a new version; return ``Type/id``."""
        name = f"{resource['resourceType']}/{resource['id']}"
        known = self.versions.setdefault(name, [])
        meta = {
            "versionId": str(len(known) + 1),
            "lastUpdated": write_instant(at or self._clock.now()),
        }
        known.append({**resource, "meta": meta})
        return name

    def change(self, name: str, **changes: Any) -> str:
        """Store a changed version; ``...`` takes an element away."""
        merged = {**self.versions[name][-1], **changes}
        return self.put({key: value for key, value in merged.items() if value != ...})

    def remove(self, name: str) -> None:
        """Take a resource away for good."""
        del self.versions[name]

    def _check(self, verb: str, what: str) -> None:
        fault = self.fault(verb, what)
        if isinstance(fault, Exception):
            raise fault

    def fetch(self, reference: str) -> Resource:
        self.on_read(reference)
        self._check("read", reference)
        for item in self.created:
            if f"{item['resourceType']}/{item['id']}" == reference:
                return item
        if reference not in self.versions:
            raise FhirError("answered 404", status=404, permanent=True)
        return self.versions[reference][-1]

    def fetch_history(self, reference: str) -> tuple[Resource, ...]:
        self._check("history", reference)
        if reference not in self.versions:
            raise FhirError("answered 404", status=404, permanent=True)
        return tuple(self.versions[reference])

    def fetch_search(self, query: str, *, follow_pages: bool = True) -> SearchResult:
        self._check("search", query)
        kind, _, parameters = query.partition("?")
        wanted = dict(part.split("=", 1) for part in parameters.split("&") if part)
        stored = [item[-1] for name, item in self.versions.items() if _is(name, kind)]
        found = [item for item in stored if isinstance(item, dict)]
        found += [item for item in self.created if item["resourceType"] == kind]
        if "patient" in wanted:
            found = [item for item in found if _whose(item) == wanted["patient"]]
        return SearchResult(tuple(found))

    def fetch_many(self, queries: Sequence[str]) -> tuple[SearchResult, ...]:
        self.on_read(" ".join(queries))
        self._check("batch", " ".join(queries))
        return tuple(self._part(query) for query in queries)

    def fetch_each(self, queries: Sequence[str]) -> Iterator[tuple[str, SearchResult]]:
        return zip(queries, self.fetch_many(queries), strict=True)

    def fetch_first(
        self, queries: Sequence[str], most: int
    ) -> tuple[SearchResult | None, ...]:
        return self.fetch_many(queries) if most else tuple(None for _ in queries)

    def _part(self, query: str) -> SearchResult:
        fault = self.fault("part", query)
        if fault is not None:
            return SearchResult((), complete=False, outcomes=(outcome(fault),))
        name = query.removesuffix("/_history")
        if "?" in query:
            return self.fetch_search(query)
        if name not in self.versions:
            return SearchResult((), complete=False, outcomes=(outcome("not-found"),))
        versions = self.versions[name]
        return SearchResult(tuple(versions) if name != query else (versions[-1],))

    def fetch_operation(
        self, path: str, parameters: Sequence[Mapping[str, Any]] = ()
    ) -> Resource:
        self._check("operation", path)
        raise FhirError("answered 404", status=404, permanent=True)

    def send_create(
        self,
        resource: Resource,
        *,
        if_none_exist: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Resource:
        # A server that does not declare conditional creation may not know of it.
        assert set(headers or {}) <= {"If-None-Exist"}
        kind = resource["resourceType"]
        self._check("create", kind)
        for known in self.created:
            same = known.get("identifier") == resource.get("identifier")
            if same and known["resourceType"] == kind and if_none_exist:
                return known
        stored = {**resource, "id": f"s{next(self._numbers)}"}
        self.created.append(stored)
        self._check("created", kind)
        return stored

    def send_patch(
        self,
        reference: str,
        patch: Any,
        *,
        if_match: str | None = None,
    ) -> Resource:
        self._check("patch", reference.partition("/")[0])
        if isinstance(patch, dict):
            changed, way = apply_fhirpath(self.fetch(reference), patch), "fhirpath"
        else:
            changed, way = apply_patch(self.fetch(reference), patch), "json"
        stored = self.send_update(changed, if_match=if_match)
        self.ways[-1] = way
        return stored

    def send_update(
        self, resource: Resource, *, if_match: str | None = None
    ) -> Resource:
        self._check("update", resource["resourceType"])
        name = f"{resource['resourceType']}/{resource['id']}"
        if name in self.versions:
            present = self.fetch(name)["meta"]["versionId"]
            if if_match != f'W/"{present}"':
                raise FhirError("answered 412", status=412)
            self.put(resource)
            self.ways.append("update")
            return self.fetch(name)
        for index, known in enumerate(self.created):
            if (known["resourceType"], known["id"]) == (
                resource["resourceType"],
                resource["id"],
            ):
                self.created[index] = dict(resource)
                return dict(resource)
        raise FhirError("answered 404", status=404, permanent=True)

    def send_delete(self, reference: str) -> None:
        self._check("delete", reference)
        self.created = [
            item
            for item in self.created
            if f"{item['resourceType']}/{item['id']}" != reference
        ]

    def list_created(self, kind: str) -> list[Resource]:
        """What stands of one type."""
        return [item for item in self.created if item["resourceType"] == kind]


def apply_fhirpath(resource: Resource, patch: Resource) -> Resource:
    """Do what a FHIRPath Patch of telecom asks for, as a server would."""
    telecom = list(resource["telecom"])
    for operation in patch["parameter"]:
        parts = {part["name"]: part for part in operation["part"]}
        entry, path = parts["value"]["valueContactPoint"], parts["path"]["valueString"]
        if parts["type"]["valueCode"] == "add":
            assert (path, parts["name"]["valueString"]) == ("Patient", "telecom")
            telecom.append(entry)
        else:
            telecom[int(path.removeprefix("Patient.telecom[").removesuffix("]"))] = (
                entry
            )
    return {**resource, "telecom": telecom}


def _whose(item: Resource) -> str | None:
    if item["resourceType"] == "AuditEvent":
        return str(item["entity"][0]["what"]["reference"])
    return focus_patient(item)


def _is(name: str, kind: str) -> bool:
    return name.partition("/")[0] == kind


class ScriptedChannel:
    """A provider: takes what it is given unless ``answers`` says otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[Message] = []
        self.answers: list[Any] = []
        self.finds: list[Any] = []
        self.on_send: Callable[[Message], None] = lambda message: None

    def send(self, message: Message) -> Receipt:
        self.on_send(message)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, ChannelError) and not answer.maybe_sent:
            raise answer
        self.sent.append(message)
        if isinstance(answer, Exception):
            raise answer
        return Receipt(f"SM-{message.delivery_id}")

    def find(self, message: Message, since: datetime) -> Receipt | None:
        answer = self.finds.pop(0) if self.finds else None
        if isinstance(answer, Exception):
            raise answer
        known = {item.delivery_id for item in self.sent}
        if answer == "look":
            found = message.delivery_id in known
            return Receipt(f"SM-{message.delivery_id}") if found else None
        return answer


class World:
    """Everything together, with the verbs of a story."""

    def __init__(self, database: Database, clock: FixedClock, ids: Ids) -> None:
        clock.instant = START
        self.database, self.clock = database, clock
        self.fhir = ScriptedFhir(clock)
        self.sms, self.email = ScriptedChannel("sms"), ScriptedChannel("email")
        self.wakes: list[tuple[str, int]] = []
        self.context = StageContext(
            database=database,
            clock=clock,
            ids=ids,
            wake=lambda stage, shard: self.wakes.append((stage, shard)),
            fhir=lambda endpoint: self.fhir,
            channels={"sms": self.sms, "email": self.email},
            library=lambda endpoint: LIBRARY,
            status_base="http://localhost:8080",
        )
        self._numbers = itertools.count(1)
        with database.tx() as tx:
            endpoints.insert_endpoint(tx, ENDPOINT, START)
            for kind in ("Encounter", "Appointment", "CarePlan"):
                inbox.advance_cursor(tx, ENDPOINT.id, kind, START, START)
        self.fhir.put(patient(), START - timedelta(days=90))
        self.permit()

    # --- the EHR and the patient -------------------------------------------------

    def permit(self, **changes: Any) -> None:
        """Record a consent."""
        values: dict[str, Any] = {
            "id": f"consent-{next(self._numbers)}",
            "endpoint_id": ENDPOINT.id,
            "patient": ROSA,
            "system": "sms",
            "value": NUMBER,
            "topic": "*",
            "permit": True,
            "who": Who.PATIENT,
            "how": "asked at the desk",
            "recorded_at": START - timedelta(days=30),
        }
        with self.database.tx() as tx:
            preferences.insert_consent(tx, ConsentRecord(**(values | changes)))

    def discharge(self, **changes: Any) -> str:
        """Admit and discharge Rosa; notify twice."""
        name = self.fhir.put(
            encounter(status="in-progress", hospitalization=...),
            START - timedelta(days=3),
        )
        self.fhir.put(encounter(**changes))
        self.notify(name)
        return name

    def book(self, start: datetime, **changes: Any) -> str:
        """Book a visit and notify."""
        name = self.fhir.put(appointment(start=write_instant(start), **changes))
        self.notify(name)
        return name

    def notify(self, name: str, key: str | None = None) -> int:
        """Put one item into the inbox, as a delivery would."""
        item = inbox.NewItem(
            key=key or f"k{next(self._numbers)}",
            endpoint_id=ENDPOINT.id,
            subscription_id=None,
            notification_id=None,
            source="push",
            focus=name,
            version=None,
            event_number=None,
            resource_type=name.partition("/")[0],
            interaction="update",
            shard=shard_of(ENDPOINT.id, name),
            received_at=self.clock.now(),
        )
        with self.database.tx() as tx:
            return inbox.insert_inbox(tx, [item])

    def reply(self, text: str, provider_id: str | None = None) -> bool:
        """Answer from Rosa's phone."""
        number = provider_id or f"IN{next(self._numbers)}"
        return keep_reply(self.context, "sms", NUMBER, number, text, self.clock.now())

    def receipt(self, delivery_id: str, status: str, **detail: Any) -> bool:
        """Let the provider report."""
        return keep_receipt(
            self.context, "sms", delivery_id, status, detail, self.clock.now()
        )

    # --- time and work -----------------------------------------------------------

    def run(self, *names: str) -> int:
        """Drain the stages until nothing is due now; return rows handled."""
        total = 0
        for _ in range(50):
            handled = sum(self.drain(name) for name in names or STAGES)
            total += handled
            if not handled:
                return total
        raise AssertionError("the stages do not come to rest")

    def drain(self, name: str) -> int:
        """One step of a stage over every shard that has something due."""
        with self.database.tx() as tx:
            due = shards.list_idle_due(tx, self.clock.now())
        return sum(self.step(stage, shard) for stage, shard in due if stage == name)

    def step(self, name: str, shard: int) -> int:
        """One step of one shard, as its holder."""
        with shards.hold(self.database, name, shard) as held:
            assert held is not None
            return STAGES[name](self.context, {shard: held.epoch}, self.clock.now())

    def step_everywhere(self, name: str) -> int:
        """One step of every shard, due or not."""
        return sum(self.step(name, shard) for shard in range(SHARDS))

    def go(self, instant: datetime) -> World:
        """Set the clock and drain."""
        self.clock.instant = instant
        self.run()
        return self

    def wait(self, **span: float) -> World:
        """Let time pass and drain."""
        return self.go(self.clock.instant + timedelta(**span))

    def poll(self) -> None:
        """Run the reconciliation poll once."""
        poll_endpoints(self.context)

    # --- what came of it ---------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Read rows of the database."""
        with self.database.tx() as tx:
            return list(tx.execute(query, values).fetchall())

    def one(self, query: str, *values: Any) -> Any:
        """Read one value."""
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    def nudge(self, action: str = "check-in") -> dict[str, Any]:
        """Return the one nudge of an action."""
        (row,) = self.rows("SELECT * FROM nudge WHERE action = %s", action)
        return row

    def state(self, action: str = "check-in") -> str:
        """Return ``state: reason`` of a nudge."""
        row = self.nudge(action)
        return f"{row['state']}: {row['reason']}"

    def state_of(self, focus: str) -> str:
        """Return the state of a focus's inbox row."""
        return str(self.one("SELECT state FROM inbox WHERE focus = %s", focus))

    def deliveries(self) -> list[str]:
        """Return ``channel state`` of every delivery of a nudge, oldest first."""
        rows = self.rows(
            "SELECT channel, state FROM delivery WHERE nudge_id IS NOT NULL "
            "ORDER BY sending_at, id"
        )
        return [f"{row['channel']} {row['state']}" for row in rows]

    def tasks(self) -> list[tuple[str, str]]:
        """Return (reason, priority) of every open task that a person must see."""
        rows = self.rows(
            "SELECT reason, priority FROM staff_task WHERE reason NOT LIKE %s "
            "ORDER BY created_at, id",
            "%contact-task",
        )
        return [(row["reason"], row["priority"]) for row in rows]

    def reasons(self, action: str = "check-in") -> list[str]:
        """Return every decided ``stage outcome reason`` of an action, in order."""
        rows = self.rows(
            "SELECT stage, outcome, reason FROM decision WHERE action = %s ORDER BY seq",
            action,
        )
        return [f"{row['stage']} {row['outcome']} {row['reason']}" for row in rows]

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Return what must not change when the same news comes again."""
        return {
            "events": self.rows("SELECT key, kind FROM event ORDER BY key"),
            "nudges": self.rows(
                "SELECT key, state, reason, due_at FROM nudge ORDER BY key"
            ),
            "deliveries": self.rows("SELECT id, state FROM delivery ORDER BY id"),
            "outbox": self.rows("SELECT key, state FROM outbox ORDER BY key"),
            "tasks": self.rows("SELECT id, state FROM staff_task ORDER BY id"),
        }


def patient(**changes: Any) -> Resource:
    """Rosa, reachable by text and e-mail, in English, in Illinois."""
    values: Resource = {
        "resourceType": "Patient",
        "id": "rosa",
        "active": True,
        "birthDate": "1991-03-02",
        "name": [{"given": ["Rosa"], "family": "Delgado"}],
        "telecom": [
            {"system": "sms", "value": NUMBER, "use": "mobile", "rank": 1},
            {"system": "email", "value": MAIL, "rank": 2},
        ],
        "address": [{"state": "IL"}],
        "communication": [
            {
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]},
                "preferred": True,
            }
        ],
    }
    return {name: value for name, value in (values | changes).items() if value != ...}


def encounter(**changes: Any) -> Resource:
    """A stay that ended at home half an hour ago."""
    code = changes.pop("disposition", "home")
    coding = {"system": DISPOSITION, "code": code}
    values: Resource = {
        "resourceType": "Encounter",
        "id": "stay",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": ROSA},
        "period": {
            "start": "2026-11-17T10:00:00-06:00",
            "end": "2026-11-20T16:30:00-06:00",
        },
        "hospitalization": {"dischargeDisposition": {"coding": [coding]}},
    }
    return {name: value for name, value in (values | changes).items() if value != ...}


def appointment(**changes: Any) -> Resource:
    """A booked visit."""
    values: Resource = {
        "resourceType": "Appointment",
        "id": "visit",
        "status": "booked",
        "start": "2026-12-02T09:30:00-06:00",
        "participant": [{"actor": {"reference": ROSA}, "status": "accepted"}],
    }
    return {name: value for name, value in (values | changes).items() if value != ...}
