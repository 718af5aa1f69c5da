"""Listening at a real WebSocket: bind, several at once, renewal, and what was missed."""

from __future__ import annotations

import itertools
import queue
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from mappings.instants import write_instant
from middleware.fhir.socket import open_socket
from middleware.stages.sockets import SocketPorts, close_lines, open_lines, take_turn
from middleware.stages.track import track_subscriptions
from middleware.storage import subscriptions
from middleware.wiring.listening import Listeners
from tests.certificates import issue, server_context
from tests.stages.listening import notification, subscription
from tests.stages.world import ENDPOINT, START, World, encounter

PATIENCE = 60.0
# More than what lies between two sockets of this machine.
MANY, MEGABYTE = 16, 1_000_000


class Server:
    """An EHR's WebSocket that notes what it is told and says what a test wants."""

    def __init__(self, **options: Any) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.open: list[ServerConnection] = []
        self.reading = threading.Event()
        self.reading.set()
        self._server = serve(self._talk, "127.0.0.1", 0, **options)
        port = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/ws"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def _talk(self, connection: ServerConnection) -> None:
        self.open.append(connection)
        self.reading.wait(PATIENCE)
        try:
            for text in connection:
                self.heard.put(str(text))
        except ConnectionClosed:
            return

    def hear(self) -> str:
        return self.heard.get(timeout=PATIENCE)

    def say(self, text: str | bytes) -> None:
        self.open[-1].send(text if isinstance(text, str) else text.decode())

    def hang_up(self) -> None:
        self.open[-1].close()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()


class Operations:
    """``$get-ws-binding-token`` beside the world's scripted server."""

    def __init__(self, world: World, url: str, *, whole: bool = True) -> None:
        self._inner = world.fhir
        self._clock = world.clock
        self._tokens = itertools.count(1)
        self.url = url
        self.whole = whole
        self.known = True
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def fetch_operation(self, path: str, parameters: Any = ()) -> dict[str, Any]:
        self.asked.append(path)
        single = path.count("/") == 2
        if not self.known or not (single or self.whole):
            raise FhirError("no such operation", status=404)
        ends = self._clock.now() + timedelta(minutes=10)
        return {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "token", "valueString": f"token-{next(self._tokens)}"},
                {"name": "expiration", "valueDateTime": write_instant(ends)},
                {"name": "websocket-url", "valueUrl": self.url},
            ],
        }


@pytest.fixture
def server() -> Iterator[Server]:
    opened = Server()
    yield opened
    opened.stop()


@pytest.fixture
def world_of_two(world: World) -> World:
    """Two topic-based Subscriptions, 1 and 2, that want a socket."""
    for number, kind in (("1", "Encounter"), ("2", "Appointment")):
        row = replace(
            subscription(),
            id=f"s{number}",
            hook_key=f"hook-{number}",
            server_id=number,
            resource_type=kind,
            channel="websocket",
        )
        with world.database.tx() as tx:
            subscriptions.insert_subscription(tx, row)
    return world


def ports(world: World, api: Operations, **changes: Any) -> SocketPorts:
    def capabilities(endpoint: Endpoint) -> dict[str, Any]:
        url = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
        return {"rest": [{"extension": [{"url": url, "valueUri": api.url}]}]}

    made = SocketPorts(
        context=replace(world.context, fhir=lambda _: api),
        open_socket=lambda endpoint, url: open_socket(url, endpoint.fhir_base),
        fetch_capabilities=capabilities,
        as_json=lambda _: False,
    )
    return replace(made, **changes)


def rows_of(world: World) -> dict[str, Any]:
    with world.database.tx() as tx:
        rows = subscriptions.list_subscriptions(tx, ENDPOINT.id)
    return {str(row.server_id): row for row in rows}


def opened(world: World, listening: SocketPorts) -> list[Any]:
    return open_lines(listening, ENDPOINT, rows_of(world), world.clock.now())


def foci(world: World) -> list[str]:
    rows = world.rows("SELECT focus FROM inbox WHERE focus IS NOT NULL ORDER BY id")
    return [row["focus"] for row in rows]


def blind(world: World) -> int:
    return int(world.one("SELECT count(*) FROM inbox WHERE focus IS NULL"))


def heartbeat(*server_ids: str) -> bytes:
    """One Bundle in which several Subscriptions show that they live."""
    entries = [
        {
            "resource": {
                "resourceType": "SubscriptionStatus",
                "status": "active",
                "type": "heartbeat",
                "subscription": {"reference": f"Subscription/{name}"},
            }
        }
        for name in server_ids
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "history", "entry": entries})


def test_one_token_binds_all_and_what_comes_is_kept(world_of_two, server):
    api = Operations(world_of_two, server.url)
    listening = ports(world_of_two, api)

    lines = opened(world_of_two, listening)
    assert server.hear() == "bind-with-token token-1"
    assert api.asked == ["Subscription/$get-ws-binding-token"]
    server.say(notification(1, "Encounter/stay"))
    assert take_turn(listening, ENDPOINT, lines[0], PATIENCE) == lines[0]
    close_lines(lines)

    assert foci(world_of_two) == ["Encounter/stay"]
    kept = world_of_two.rows("SELECT method, form FROM notification ORDER BY id")
    assert kept[-1] == {"method": "WEBSOCKET", "form": "r4-backport"}


def test_opening_searches_what_was_missed_for_each(world_of_two, server):
    lines = opened(
        world_of_two, ports(world_of_two, Operations(world_of_two, server.url))
    )
    close_lines(lines)

    assert blind(world_of_two) == 2


@pytest.mark.peer("Medplum", "WebSocket: several statuses in one Bundle")
def test_heartbeat_for_several_counts_for_each(world_of_two, server):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    lines = opened(world_of_two, listening)
    track_subscriptions(world_of_two.context)
    world_of_two.wait(minutes=3)

    server.say(heartbeat("1", "2", "99"))
    take_turn(listening, ENDPOINT, lines[0], PATIENCE)
    close_lines(lines)
    track_subscriptions(world_of_two.context)

    seen = {row.last_seen_at for row in rows_of(world_of_two).values()}
    assert seen == {START + timedelta(minutes=3)}


def test_server_that_gives_single_tokens_only_is_bound_one_by_one(world_of_two, server):
    api = Operations(world_of_two, server.url, whole=False)

    lines = opened(world_of_two, ports(world_of_two, api))
    close_lines(lines)

    assert [server.hear(), server.hear()] == [
        "bind-with-token token-1",
        "bind-with-token token-2",
    ]
    assert len(lines) == 1


@pytest.mark.peer("Medplum", "WebSocket: bind as JSON")
def test_json_bind_is_said_where_the_server_wants_it(world_of_two, server):
    api = Operations(world_of_two, server.url)
    lines = opened(world_of_two, ports(world_of_two, api, as_json=lambda _: True))
    close_lines(lines)

    assert orjson.loads(server.hear()) == {
        "type": "bind-with-token",
        "payload": {"token": "token-1"},
    }


@pytest.mark.peer("HAPI FHIR 8.8", "WebSocket: bind by id, then pings")
def test_criteria_are_bound_by_id_and_a_ping_is_searched(world_of_two, server):
    with world_of_two.database.tx() as tx:
        tx.execute("UPDATE subscription SET form = 'criteria'")
    api = Operations(world_of_two, server.url)
    api.known = False
    listening = ports(world_of_two, api)
    lines = opened(world_of_two, listening)
    assert {server.hear(), server.hear()} == {"bind 1", "bind 2"}
    world_of_two.run("resolve")
    before = blind(world_of_two)

    server.say("bound 1")
    server.say("ping 1")
    for _ in range(2):
        take_turn(listening, ENDPOINT, lines[0], PATIENCE)
    close_lines(lines)

    assert blind(world_of_two) == before + 1
    asked = world_of_two.one(
        "SELECT subscription_id FROM inbox WHERE state = 'waiting' AND focus IS NULL"
    )
    assert asked == "s1"


def test_token_is_renewed_at_half_its_life_on_the_same_socket(world_of_two, server):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    (line,) = opened(world_of_two, listening)
    assert server.hear() == "bind-with-token token-1"

    world_of_two.wait(minutes=4, seconds=59)
    assert take_turn(listening, ENDPOINT, line, 0.01) == line
    world_of_two.wait(seconds=2)
    renewed = take_turn(listening, ENDPOINT, line, 0.01)
    close_lines([line])

    assert server.hear() == "bind-with-token token-2"
    assert renewed is not None
    assert renewed.renew_at > world_of_two.clock.now()
    assert len(server.open) == 1


def test_new_url_means_a_new_socket(world_of_two, server):
    api = Operations(world_of_two, server.url)
    listening = ports(world_of_two, api)
    (line,) = opened(world_of_two, listening)
    api.url = server.url.replace("/ws", "/other")
    world_of_two.wait(minutes=6)

    assert take_turn(listening, ENDPOINT, line, 0.01) is None
    close_lines([line])


def test_unreadable_frame_is_kept_for_a_person(world_of_two, server):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    (line,) = opened(world_of_two, listening)
    broken = orjson.loads(notification(1, "Encounter/stay"))
    broken["entry"][0]["resource"]["parameter"][2]["valueCode"] = "unheard-of"

    server.say(orjson.dumps(broken))
    take_turn(listening, ENDPOINT, line, PATIENCE)
    close_lines([line])

    assert (
        world_of_two.one(
            "SELECT count(*) FROM notification WHERE state = 'quarantined'"
        )
        == 1
    )


@pytest.mark.parametrize("text", ["hello", "{}", "[1]", "ping 77", "bound 1", '"x"'])
def test_frame_that_says_nothing_to_us_changes_nothing(world_of_two, server, text):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    (line,) = opened(world_of_two, listening)
    before = world_of_two.one("SELECT count(*) FROM notification")

    server.say(text)
    assert take_turn(listening, ENDPOINT, line, PATIENCE) == line
    close_lines([line])

    assert world_of_two.one("SELECT count(*) FROM notification") == before


def test_lost_socket_is_opened_again_and_the_gap_is_searched(world_of_two, server):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    listeners = Listeners(listening, first_rest=0.05)
    listeners.start()
    try:
        assert server.hear() == "bind-with-token token-1"
        world_of_two.fhir.put(encounter())
        server.hang_up()
        assert server.hear() == "bind-with-token token-2"
    finally:
        listeners.stop()

    assert blind(world_of_two) == 4


def test_one_worker_of_two_listens(world_of_two, server):
    listening = ports(world_of_two, Operations(world_of_two, server.url))
    first, second = Listeners(listening), Listeners(listening)
    first.start()
    try:
        server.hear()
        second.start()
        assert server.heard.empty()
        assert len(server.open) == 1
    finally:
        second.stop()
        first.stop()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("wss://elsewhere.example.org/ws", "nobody has reviewed"),
        ("ws://ehr.example.org/ws", "not wss"),
        ("http://ehr.example.org/ws", "not wss"),
        ("wss://[broken/ws", "nobody has reviewed"),
    ],
)
def test_socket_goes_to_the_endpoints_own_host_only_and_protected(url, said):
    with pytest.raises(FhirError, match=said):
        open_socket(url, "https://ehr.example.org/fhir")


def mean(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the name ehr.test mean these addresses."""
    real = socket.getaddrinfo

    def resolve(host: Any, *values: Any, **options: Any) -> Any:
        names = addresses if host == "ehr.test" else (host,)
        return [found for name in names for found in real(name, *values, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.1.1", "169.254.169.254"])
def test_socket_goes_to_no_address_out_of_reach(server, monkeypatch, address):
    mean(monkeypatch, address)
    url = server.url.replace("ws://127.0.0.1", "wss://ehr.test")
    with pytest.raises(FhirError, match="may not be gone to") as caught:
        open_socket(url, "https://ehr.test/fhir")
    assert caught.value.permanent


def test_socket_takes_the_address_within_reach(monkeypatch, tmp_path):
    authority = issue(None)
    context = server_context(issue(authority, host="ehr.test"), tmp_path)
    mean(monkeypatch, "169.254.169.254", "127.0.0.1")
    secure = Server(ssl=context)
    try:
        opened = open_socket(
            secure.url.replace("ws://127.0.0.1", "wss://ehr.test"),
            "https://ehr.test/fhir",
            private_network=True,
            ca_file=str(authority.save(tmp_path, "authority")),
        )
        opened.send("bind-with-token t1")
        assert secure.hear() == "bind-with-token t1"
        opened.close()
    finally:
        secure.stop()


def test_socket_may_wait_for_longer_than_opening_may_take():
    """The server is silent, and does not read what it is sent, for far longer."""
    slow = Server(max_queue=1, compression=None)
    slow.reading.clear()
    reads = threading.Timer(3.0, slow.reading.set)
    try:
        opened = open_socket(slow.url, "http://127.0.0.1/fhir", open_seconds=1.0)
        reads.start()
        for _ in range(MANY):
            opened.send("x" * MEGABYTE)
        assert {len(slow.hear()) for _ in range(MANY)} == {MEGABYTE}
        slow.say("ping s1")
        assert opened.receive(PATIENCE) == "ping s1"
        opened.close()
    finally:
        reads.cancel()
        slow.reading.set()
        slow.stop()


def test_socket_follows_no_redirect(server):
    def redirect(connection: ServerConnection, _: Request) -> Response:
        answer = connection.respond(HTTPStatus.FOUND, "")
        answer.headers["Location"] = server.url
        return answer

    elsewhere = Server(process_request=redirect)
    try:
        with pytest.raises(FhirError, match="could not be opened"):
            open_socket(elsewhere.url, "http://127.0.0.1/fhir")
    finally:
        elsewhere.stop()
    assert server.open == []


def test_socket_that_cannot_be_opened_is_an_error(server):
    with pytest.raises(FhirError, match="could not be opened"):
        open_socket("ws://127.0.0.1:9/ws", "http://127.0.0.1:9/fhir")
