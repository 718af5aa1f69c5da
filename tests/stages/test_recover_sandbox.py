"""Recovery over real HTTP: a server that drops, repeats, reorders and restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.serving import make_server

from middleware.fhir.client import FhirClient
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.stages.receive import Intake, ReceivePorts
from middleware.stages.recover import recover_subscriptions
from middleware.stages.track import track_subscriptions
from middleware.storage import endpoints, inbox, subscriptions
from middleware.storage.intake import IntakeDatabase
from middleware.wiring.sandbox_control import SandboxControl
from subscriptions.definition import write_subscription
from subscriptions.receiver import make_receiver
from tests.stages.listening import subscription
from tests.stages.world import ENDPOINT, START, World, encounter, patient

SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = "http://sandbox.example.org/SubscriptionTopic/encounter-change"


class Line:
    """A sandbox EHR and our receiver, both over HTTP, with one subscription."""

    def __init__(self, world: World, running: Running, hooks: str) -> None:
        self.world = world
        self.control = SandboxControl(running.base_url)
        base = f"{running.base_url}/fhir"
        self.ehr = FhirClient(base, self.control.staff_token, clock=world.clock)
        self.context = replace(world.context, fhir=lambda endpoint: self.ehr)
        self.ehr.send_update(patient())
        endpoint = replace(ENDPOINT, id="sandbox", fhir_base=base)
        resource = write_subscription(
            "backport",
            "Encounter",
            f"{hooks}/hook-2",
            SECRET,
            START + timedelta(days=30),
            topic=TOPIC,
        )
        row = subscription(
            id="s2",
            endpoint_id="sandbox",
            hook_key="hook-2",
            secrets=SECRET.encode(),
        )
        with world.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, START)
            inbox.advance_cursor(tx, "sandbox", "Encounter", START, START)
            subscriptions.insert_subscription(tx, row)
        stored = self.ehr.send_create(resource)
        with world.database.tx() as tx:
            subscriptions.update_subscription(tx, "s2", server_id=stored["id"])
        self.quiet()
        self.names: set[str] = set()

    def quiet(self) -> dict[str, Any]:
        """Wait until the EHR has sent what it sends."""
        counts: dict[str, Any] = self.control.call("GET", "/sandbox/notifier?wait=20")
        assert counts["pending"] == 0
        return counts

    def faults(self, **faults: Any) -> None:
        self.control.call("PUT", "/sandbox/faults", faults)

    def stays(self, *numbers: int) -> None:
        for number in numbers:
            stored = self.ehr.send_update(encounter(id=f"stay-{number}"))
            self.names.add(f"Encounter/{stored['id']}")
        self.quiet()

    def settle(self) -> None:
        track_subscriptions(self.context)
        self.world.clock.instant += timedelta(seconds=11)
        recover_subscriptions(self.context)
        track_subscriptions(self.context)

    def inbox(self, *sources: str) -> set[str]:
        rows = self.world.rows(
            "SELECT focus FROM inbox WHERE endpoint_id = 'sandbox' AND source = ANY(%s)",
            list(sources or ("push", "recovery")),
        )
        return {row["focus"] for row in rows}

    def row(self) -> dict[str, Any]:
        (row,) = self.world.rows("SELECT * FROM subscription WHERE id = 's2'")
        return row


@pytest.fixture
def line(world: World, intake: IntakeDatabase) -> Iterator[Line]:
    ports = ReceivePorts(
        database=intake,
        clock=world.clock,
        wake=world.context.wake,
        open_secrets=lambda sealed: (sealed.decode(),),
    )
    app = make_receiver(Intake(ports), world.clock)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        with Running(Options(people=False, start=START)) as running:
            made = Line(world, running, f"http://127.0.0.1:{server.server_port}/hooks")
            yield made
            made.ehr.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@85")
@pytest.mark.parametrize("seed", [7, 8])
def test_what_the_server_drops_its_events_operation_gives_back(line, seed) -> None:
    line.faults(drop=0.5, duplicate=0.3, reorder=0.3, seed=seed)
    line.stays(*range(1, 13))
    line.faults(drop=0, duplicate=0, reorder=0)
    line.stays(13)
    missing = line.names - line.inbox()
    assert missing
    line.settle()
    assert line.inbox("push") == line.names
    assert line.inbox("recovery") == set()
    assert (line.row()["trouble"], line.row()["last_number"]) == (None, 13)


def test_a_restart_that_loses_counter_and_queue_is_read_again(line) -> None:
    line.stays(1, 2, 3)
    line.faults(drop=1)
    line.stays(4, 5)
    line.control.call("POST", "/sandbox/restart")
    line.faults(drop=0)
    line.stays(6)
    line.settle()
    assert line.inbox() == line.names
    row = line.row()
    assert (row["trouble"], row["recovered_at"]) == (None, line.world.clock.now())


def test_the_status_operation_tells_of_loss_at_the_end(line) -> None:
    line.stays(1)
    line.faults(drop=1)
    line.stays(2, 3)
    with line.world.database.tx() as tx:
        tx.execute("UPDATE subscription SET heartbeat_seconds = 60, status = 'active'")
    track_subscriptions(line.context)
    line.world.clock.instant += timedelta(seconds=121)
    line.settle()
    assert line.inbox("push") == line.names
    assert (line.row()["trouble"], line.row()["status"]) == (None, "active")
