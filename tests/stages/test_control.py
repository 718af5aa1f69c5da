"""Every path of a Subscription's life, against a server over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from mappings.instants import read_instant, write_instant
from middleware.fhir.client import FhirClient
from middleware.fhir.transport import Limits
from middleware.stages.control import ControlPorts, control_one, control_subscriptions
from middleware.storage import controls, subscriptions
from middleware.storage.claims import claim
from middleware.storage.controls import ControlRow
from middleware.storage.notifications import NewNotification, insert_notifications
from middleware.storage.subscriptions import SubscriptionRow
from subscriptions.case import ALERT_AFTER, Action
from subscriptions.memory import Memory, load_memory
from subscriptions.wanting import Wanted, Way, dump_wanted
from tests.stages.subscription_server import SubscriptionServer, outcome
from tests.stages.world import ENDPOINT, World

ID = "sub-1"
SECRET = "first-secret-0123456789abcdef"
TOPIC = "http://example.org/topic"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
URL = "http://127.0.0.1:8080/hooks/hook-key"
TOPIC_WAY = Way("backport", TOPIC, filters=(("trigger", "feed-event"),))
CRITERIA = Way("criteria", content="full-resource", heartbeat=None)
WANTED = Wanted("Encounter", (TOPIC_WAY, CRITERIA))


def plain_seal(secrets: tuple[str, ...]) -> bytes:
    return "\n".join(secrets).encode()


def plain_open(sealed: bytes) -> tuple[str, ...]:
    return tuple(sealed.decode().split("\n"))


class Life:
    """One Subscription under control, its server, and time."""

    def __init__(self, world: World, server: SubscriptionServer, client: Any) -> None:
        self.world, self.server, self.client = world, server, client
        self.endpoint = replace(ENDPOINT, fhir_base=server.base)
        context = replace(
            world.context,
            fhir=lambda endpoint: self.client,
            status_base="http://127.0.0.1:8080",
        )
        self.ports = ControlPorts(context, plain_seal, plain_open)

    def want(
        self, wanted: Wanted = WANTED, memory: dict[str, Any] | None = None
    ) -> None:
        now = self.world.clock.now()
        row = SubscriptionRow(
            id=ID,
            endpoint_id=ENDPOINT.id,
            hook_key="hook-key",
            secrets=SECRET.encode(),
            resource_type=wanted.resource_type,
            form="none",
            criteria=wanted.resource_type,
            server_id=None,
            status="requested",
            last_number=None,
            last_seen_at=None,
            created_at=now,
        )
        with self.world.database.tx() as tx:
            subscriptions.insert_subscription(tx, row)
            controls.insert_control(tx, ID, "", dump_wanted(wanted), memory or {}, now)

    def run(self) -> Action:
        return control_one(self.ports, self.endpoint, ID).action

    def after(self, **delta: float) -> Action:
        self.world.clock.instant += timedelta(**delta)
        return self.run()

    def sets(self, **columns: Any) -> None:
        for name, value in columns.items():
            with self.world.database.tx() as tx:
                tx.execute(
                    f"UPDATE subscription SET {name} = %s WHERE id = %s", (value, ID)
                )

    def recovers(self) -> None:
        self.sets(recovered_at=self.world.clock.now())

    def hears(self, reference: str) -> None:
        """Keep a handshake that names a Subscription."""
        parts = [
            {"name": "subscription", "valueReference": {"reference": reference}},
            {"name": "status", "valueCode": "requested"},
            {"name": "type", "valueCode": "handshake"},
        ]
        status = {"resourceType": "Parameters", "parameter": parts}
        bundle = {
            "resourceType": "Bundle",
            "type": "history",
            "entry": [{"resource": status}],
        }
        with self.world.database.tx() as tx:
            kept = NewNotification(
                subscription_id=ID,
                received_at=self.now,
                method="POST",
                path="",
                headers={"Content-Type": "application/fhir+json"},
                body=orjson.dumps(bundle),
                state="stored",
                type="handshake",
                form="r4-backport",
            )
            insert_notifications(tx, [(kept, [])])

    @property
    def row(self) -> ControlRow:
        with self.world.database.tx() as tx:
            row = controls.get_control(tx, ID)
        assert row is not None
        return row

    @property
    def memory(self) -> Memory:
        return load_memory(self.row.memory)

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    def becomes_active(self) -> None:
        self.run()
        self.server.activate()
        assert self.after(seconds=10) is Action.KEEP


@pytest.fixture
def server() -> Iterator[SubscriptionServer]:
    made = SubscriptionServer()
    yield made
    made.stop()


@pytest.fixture
def life(world: World, server: SubscriptionServer) -> Iterator[Life]:
    limits = Limits(retry_seconds=0.0, attempts=1)
    client = FhirClient(server.base, lambda: None, clock=world.clock, limits=limits)
    yield Life(world, server, client)
    client.close()


def criteria(server: SubscriptionServer) -> Any:
    return server.only["criteria"]


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@23")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@24")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@76")
def test_it_is_created_and_becomes_active(life: Life, server) -> None:
    life.want()
    assert life.run() is Action.WAIT
    assert (server.only["status"], criteria(server)) == ("requested", TOPIC)
    assert server.only["channel"]["endpoint"] == URL
    assert server.only["channel"]["header"] == [f"Authorization: Bearer {SECRET}"]
    assert (life.row.server_id, life.row.status) == ("s1", "requested")
    server.activate()
    assert life.after(seconds=5) is Action.KEEP
    assert (life.row.status, life.memory.reason) == ("active", "Active, as asked.")
    rows = life.world.rows("SELECT form, criteria, heartbeat_seconds FROM subscription")
    assert rows == [{"form": "backport", "criteria": TOPIC, "heartbeat_seconds": 300}]
    assert SECRET not in str((life.row.asked, life.row.accepted, life.row.memory))
    assert server.verbs() == ["POST"]


def test_looking_again_changes_nothing(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    for _ in range(3):
        assert life.after(minutes=10) is Action.KEEP
    assert server.verbs() == ["POST"]


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@82")
@pytest.mark.parametrize("status", ["error", "off"])
def test_what_failed_is_recovered_and_then_asked_back(
    life: Life, server, status: str
) -> None:
    life.want()
    life.becomes_active()
    server.put("s1", status=status)
    assert life.after(minutes=10) is Action.WAIT
    assert (life.row.trouble, life.row.trouble_at) == (status, life.now)
    assert "read again" in life.memory.reason
    assert life.after(minutes=1) is Action.WAIT
    assert server.verbs() == ["POST"]
    life.recovers()
    assert life.after(seconds=30) is Action.WAIT
    assert (server.only["status"], server.verbs()) == ("requested", ["POST", "PUT"])
    server.activate()
    assert life.after(seconds=10) is Action.KEEP
    assert (life.row.trouble, life.row.status) == (None, "active")


def test_a_person_is_alerted_after_some_tries_in_vain(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    server.put("s1", status="error")
    life.run()
    life.recovers()
    asked = []
    for _ in range(60):
        life.after(minutes=2)
        asked.append((server.only["status"] == "requested", life.memory.alert))
        server.put("s1", status="error")
    # Each pause is four times the one before.
    assert [tried for tried, _ in asked].count(True) == 5
    assert life.memory.tries == ALERT_AFTER + 2
    assert life.memory.alert


def test_a_change_meanwhile_is_read_before_it_is_written_over(
    life: Life, server
) -> None:
    life.want()
    life.becomes_active()
    life.sets(server_id="s1")

    def change_first(verb: str, resource: Any) -> None:
        if verb == "PUT" and server.only.get("reason") != "by another":
            server.put("s1", reason="by another", status="active")

    server.refuse = change_first
    life.world.clock.instant += timedelta(days=46)
    life.run()
    statuses = [server.only["reason"], server.only["status"], server.verbs()]
    assert statuses == ["by another", "requested", ["POST", "PUT", "PUT"]]


def test_its_end_is_renewed_at_half_of_its_life(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    assert life.after(days=44) is Action.KEEP
    assert life.after(days=2) is Action.WAIT
    assert read_instant(server.only["end"]) - life.now == timedelta(days=90)
    server.activate()
    assert life.after(seconds=10) is Action.KEEP
    assert life.after(days=44) is Action.KEEP
    assert server.verbs() == ["POST", "PUT"]


def test_an_end_that_the_server_shortened_is_renewed_at_half_of_that(
    life: Life, server
) -> None:
    def shorten(resource: Any) -> Any:
        return {**resource, "end": write_instant(life.now + timedelta(days=10))}

    server.adjust = shorten
    life.want()
    life.becomes_active()
    assert life.after(days=4) is Action.KEEP
    life.after(days=2)
    assert server.verbs() == ["POST", "PUT"]


def test_an_expired_one_is_asked_back(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    life.world.clock.instant += timedelta(days=91)
    server.put("s1", status="off")
    life.run()
    assert "expired" in life.memory.reason
    life.recovers()
    life.after(seconds=30)
    assert server.only["status"] == "requested"
    assert read_instant(server.only["end"]) > life.now


def test_what_the_server_deleted_is_created_anew(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    server.held.clear()
    assert life.after(minutes=10) is Action.WAIT
    assert (life.row.server_id, list(server.held)) == ("s2", ["s2"])
    assert server.verbs() == ["POST", "POST"]


DRIFTS = [
    ("criteria", "http://example.org/other"),
    ("_criteria", ...),
    ("channel", "endpoint"),
    ("channel", "header"),
    ("channel", "payload"),
]


@pytest.mark.parametrize(("element", "value"), DRIFTS)
def test_what_somebody_changed_is_written_again(
    life: Life, server, element: str, value: Any
) -> None:
    life.want()
    life.becomes_active()
    if element == "channel":
        changed = {
            "endpoint": "https://elsewhere.example.org/",
            "header": ["Authorization: Bearer another-secret-0123456789"],
            "payload": "application/fhir+xml",
        }
        value = {**server.only["channel"], value: changed[value]}
    before = {k: server.only[k] for k in ("criteria", "_criteria", "channel")}
    server.put("s1", **{element: value})
    life.after(minutes=10)
    assert {k: server.only[k] for k in before} == before
    assert (server.only["status"], server.verbs()) == ("requested", ["POST", "PUT"])
    server.activate()
    assert life.after(seconds=10) is Action.KEEP


@pytest.mark.requirement("hl7.fhir.r5.core_5.0.0@accepted")
def test_harmless_differences_are_accepted_and_named(life: Life, server) -> None:
    def adjust(resource: Any) -> Any:
        kept = [e for e in resource["channel"]["extension"] if "timeout" in e["url"]]
        return {**resource, "channel": {**resource["channel"], "extension": kept}}

    server.adjust = adjust
    life.want()
    life.becomes_active()
    assert life.row.differences == [
        "The heartbeat is not kept.",
        "The most events is not kept.",
    ]
    assert life.after(minutes=10) is Action.KEEP
    assert server.verbs() == ["POST"]


@pytest.mark.requirement("hl7.fhir.r5.core_5.0.0@accepted")
def test_one_that_tells_less_is_replaced_by_the_next_form(life: Life, server) -> None:
    def narrow(resource: Any) -> Any:
        url = f"{BACKPORT}backport-filter-criteria"
        text = "Encounter?trigger=feed-event&class=IMP"
        extension = {"url": url, "valueString": text}
        if "_criteria" not in resource:
            return resource
        return {**resource, "_criteria": {"extension": [extension]}}

    server.adjust = narrow
    life.want()
    life.run()
    server.activate()
    life.after(seconds=10)
    assert server.verbs() == ["POST", "DELETE", "POST"]
    assert criteria(server).startswith("Encounter?status=")


def negotiate(replacement: str) -> Any:
    """Do what US Core asks of a server that adjusts filters."""

    def adjust(resource: Any) -> Any:
        if "feed-event" not in str(resource.get("_criteria")):
            return resource
        url = f"{BACKPORT}backport-filter-criteria"
        extension = {"url": url, "valueString": replacement}
        adjusted = {"_criteria": {"extension": [extension]}, "status": "error"}
        return {**resource, **adjusted, "error": "filters were adjusted"}

    return adjust


def test_adjusted_filters_that_will_do_are_accepted_for_good(
    life: Life, server
) -> None:
    text = "Encounter?trigger=feed-event,create"
    adjust = negotiate(text)
    server.adjust = lambda resource: (
        resource if text in str(resource) else adjust(resource)
    )
    life.want()
    life.run()
    assert server.only["status"] == "requested"
    server.activate()
    assert life.after(seconds=10) is Action.KEEP
    life.after(days=46)
    assert text in str(server.only["_criteria"])
    assert (server.only["status"], server.verbs()) == (
        "requested",
        ["POST", "PUT", "PUT"],
    )


def test_adjusted_filters_that_will_not_do_are_deleted(life: Life, server) -> None:
    server.adjust = negotiate("Encounter?trigger=discharge")
    life.want()
    life.run()
    assert server.verbs() == ["POST", "DELETE", "POST"]
    assert criteria(server).startswith("Encounter?status=")


def refusing(word: str, code: str = "not-supported") -> Any:
    def refuse(verb: str, resource: Any) -> Any:
        if verb == "POST" and word in str(resource):
            return 400, outcome(code, f"{word} is not supported")
        return None

    return refuse


def test_refused_heartbeats_are_left_out(life: Life, server) -> None:
    server.refuse = refusing("heartbeat")
    life.want()
    life.becomes_active()
    assert criteria(server) == TOPIC
    assert "heartbeat" not in str(server.only)
    assert server.verbs() == ["POST", "POST"]
    rows = life.world.rows("SELECT heartbeat_seconds FROM subscription")
    assert rows == [{"heartbeat_seconds": None}]


@pytest.mark.parametrize("word", ["filter", "payload-content", "topic"])
def test_a_refused_form_gives_way_to_the_next(life: Life, server, word: str) -> None:
    server.refuse = refusing(word)
    life.want()
    life.becomes_active()
    assert criteria(server).startswith("Encounter?status=")
    rows = life.world.rows("SELECT form FROM subscription")
    assert rows == [{"form": "criteria"}]


def test_where_every_form_is_refused_it_is_polled_and_asked_again(
    life: Life, server
) -> None:
    server.refuse = refusing("Subscription", "invalid")
    life.want()
    assert life.run() is Action.POLL
    assert life.memory.reason.startswith("Polling only: ")
    assert life.after(hours=11) is Action.POLL
    count = len(server.verbs())
    server.refuse = lambda verb, resource: None
    assert life.after(hours=2) is Action.WAIT
    assert (len(server.verbs()), server.only["status"]) == (count + 1, "requested")


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_server_that_takes_none_is_polled(life: Life, server, status: int) -> None:
    server.refuse = lambda verb, resource: (status, outcome("forbidden"))
    life.want()
    assert life.run() is Action.POLL
    assert life.memory.alert == (status in {401, 403})
    assert life.run() is Action.POLL
    assert server.verbs() == ["POST"]


def test_what_is_not_activated_in_time_is_polled_and_asked_again(
    life: Life, server
) -> None:
    life.want()
    life.run()
    assert life.after(minutes=4) is Action.WAIT
    assert "polling alone" not in life.memory.reason
    life.after(minutes=1, seconds=30)
    assert "polling alone" in life.memory.reason
    life.after(minutes=1)
    assert server.verbs() == ["POST", "PUT"]
    for _ in range(12):
        life.after(minutes=5)
    assert life.memory.alert
    server.activate()
    assert life.after(minutes=5) is Action.KEEP
    assert not life.memory.alert


def test_a_server_that_is_down_is_asked_again(life: Life, server) -> None:
    server.refuse = lambda verb, resource: (503, outcome("transient"))
    life.want()
    assert life.run() is Action.CREATE
    assert life.run() is Action.WAIT
    server.refuse = lambda verb, resource: None
    life.after(minutes=2)
    assert (len(server.held), server.verbs()) == (1, ["POST", "POST"])


def test_without_search_a_lost_answer_never_makes_a_second_one(
    life: Life, server
) -> None:
    server.abilities -= {"search"}
    life.want(memory={"begun": True})
    for _ in range(3):
        assert life.after(hours=13) is Action.WAIT
    assert life.memory.alert
    assert server.verbs() == []


@pytest.mark.parametrize("named", ["s1", "s2", "other"])
def test_without_search_a_handshake_tells_which_one_it_is(
    life: Life, server, named: str
) -> None:
    life.want()
    life.becomes_active()
    server.held["s2"] = {
        **server.only,
        "id": "s2",
        "channel": {"type": "rest-hook", "endpoint": "https://other.example.org/"},
    }
    server.abilities -= {"search"}
    life.sets(server_id=None)
    life.hears(f"{server.base}/Subscription/{named}")
    action = life.after(minutes=10)
    assert server.verbs() == ["POST"]
    if named == "s1":
        assert (action, life.row.server_id) == (Action.KEEP, "s1")
    else:
        assert (action, life.row.server_id) == (Action.WAIT, None)


def test_without_search_it_is_created_once(life: Life, server) -> None:
    server.abilities -= {"search", "update", "delete"}
    life.want()
    life.becomes_active()
    life.after(minutes=10)
    assert server.verbs() == ["POST"]


def test_without_updates_a_failed_one_is_replaced(life: Life, server) -> None:
    server.abilities -= {"update", "delete"}
    life.want()
    life.becomes_active()
    server.put("s1", status="off")
    life.after(minutes=10)
    life.recovers()
    life.after(minutes=1)
    life.after(minutes=2)
    assert server.held["s1"]["status"] == "off"
    assert (life.row.server_id, len(server.held)) == ("s2", 2)


def test_without_updates_an_active_one_is_left_alone(life: Life, server) -> None:
    server.abilities -= {"update"}
    life.want()
    life.becomes_active()
    life.after(days=46)
    assert (len(server.held), life.memory.alert) == (1, True)


@pytest.mark.parametrize("without", [set(), {"delete"}])
def test_what_is_not_wanted_is_deleted(life: Life, server, without: set[str]) -> None:
    life.want()
    life.becomes_active()
    server.abilities -= without
    with life.world.database.tx() as tx:
        controls.retire_control(tx, ID, life.now)
    assert life.run() is Action.DONE
    assert len(server.held) == len(without)
    with life.world.database.tx() as tx:
        assert subscriptions.list_subscriptions(tx) == []
        assert controls.list_controls(tx) == []
        assert subscriptions.find_subscription(tx, "hook-key") is not None


def test_a_new_secret_is_written_and_the_old_one_ends(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    fresh = "second-secret-0123456789abcdef"
    with life.world.database.tx() as tx:
        sealed = plain_seal((fresh, SECRET))
        subscriptions.update_subscription(tx, ID, secrets=sealed)
        memory = {**life.row.memory, "rotating": True}
        controls.save_memory(tx, ID, memory, life.now)
    life.run()
    assert server.only["channel"]["header"] == [f"Authorization: Bearer {fresh}"]
    server.activate()
    assert life.after(minutes=1) is Action.KEEP
    assert plain_open(life.row.secrets) == (fresh, SECRET)
    assert life.after(hours=2) is Action.KEEP
    assert plain_open(life.row.secrets) == (fresh,)
    assert server.verbs() == ["POST", "PUT"]


def test_a_create_carries_the_header_that_the_server_wants(life: Life, server) -> None:
    life.want(replace(WANTED, secret_header="X-Hub-Secret"))
    life.run()
    posts = [
        headers
        for (verb, _), headers in zip(server.seen, server.headers, strict=True)
        if verb == "POST"
    ]
    assert [headers["X-Hub-Secret"] for headers in posts] == [SECRET]


def test_an_r5_server_gets_the_r5_form(life: Life, server) -> None:
    life.want(Wanted("Encounter", (replace(TOPIC_WAY, form="r5"),)))
    life.becomes_active()
    assert server.only["topic"] == TOPIC
    assert server.only["filterBy"][0]["value"] == "feed-event"
    life.after(days=46)
    assert (server.only["status"], server.verbs()) == ("requested", ["POST", "PUT"])


def test_silence_that_was_recovered_is_asked_back_once(life: Life, server) -> None:
    life.want()
    life.becomes_active()
    life.sets(trouble="silent", trouble_at=life.now)
    assert life.after(minutes=1) is Action.KEEP
    life.recovers()
    life.after(seconds=1)
    assert server.only["status"] == "requested"
    server.activate()
    assert life.after(seconds=10) is Action.KEEP
    assert (life.row.trouble, server.verbs()) == (None, ["POST", "PUT"])


def test_the_worker_looks_at_what_is_due_or_was_told_to_fail(
    life: Life, server
) -> None:
    life.want()
    control_subscriptions(life.ports)
    server.activate()
    life.world.clock.instant += timedelta(seconds=10)
    control_subscriptions(life.ports)
    assert life.row.status == "active"
    looked = len(server.seen)
    control_subscriptions(life.ports)
    assert len(server.seen) == looked
    life.sets(status="error")
    server.put("s1", status="error")
    control_subscriptions(life.ports)
    assert life.row.trouble == "error"


def test_one_process_at_a_time_controls_an_endpoint(life: Life, server) -> None:
    life.want()
    with claim(life.world.database, "control", ENDPOINT.id) as ours:
        assert ours
        control_subscriptions(life.ports)
        assert server.seen == []
    with claim(life.world.database, "control", ENDPOINT.id) as again:
        assert again


class KilledError(BaseException):
    """The process ends here."""


class Mortal:
    """A FHIR client that dies at its n-th call, before or after the server acts."""

    def __init__(self, client: FhirClient, calls: int, *, after: bool) -> None:
        self._client, self._left, self._after = client, calls, after
        self.base_url = client.base_url

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise KilledError
            answer = target(*args, **kwargs)
            if self._left == 0:
                raise KilledError
            return answer

        return call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("calls", range(1, 15))
@pytest.mark.parametrize("narrowed", [False, True], ids=["plain", "negotiated"])
def test_a_kill_at_any_call_never_leaves_two(
    life: Life, server, calls: int, *, after: bool, narrowed: bool
) -> None:
    if narrowed:
        server.adjust = negotiate("Encounter?trigger=discharge")
    life.want()
    steps = (
        server.activate,
        lambda: server.held and server.put(next(iter(server.held)), status="off"),
        life.recovers,
        server.activate,
    )
    client = life.client
    life.client = Mortal(client, calls, after=after)
    killed = False
    for step in (*steps, lambda: None):
        try:
            life.after(minutes=1)
        except KilledError:
            killed = True
            life.client = client
            life.after(minutes=1)
        assert len(server.held) <= 1
        step()
    life.client = client
    for _ in range(6):
        life.after(minutes=10)
        server.activate()
        life.recovers()
    assert life.run() is Action.KEEP
    assert server.only["status"] == "active"
    assert life.row.server_id == server.only["id"]
    assert killed or calls > 8
