"""What the benchmark runs against: a real ``carecue serve`` and its database.

Everything is started here and stopped again. The database is a new one, on the
embedded server or on the one that CARECUE_DATABASE_URL names, and dropped at the end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.errors import CareCueError
from middleware.cli.bench_bodies import FIRST, fill
from middleware.cli.bench_figures import Figures, Used, figures_of
from middleware.cli.bench_load import TEMPLATES, Load, Outcome
from middleware.cli.bench_meter import Meter, postmaster_meter
from middleware.cli.demo_parts import (
    Children,
    choose_ports,
    clean_environment,
    wait_until,
)
from middleware.ports import RandomIds
from middleware.settings import environment_of, read_settings
from middleware.storage import benching, endpoints, subscriptions
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from middleware.storage.migrate import migrate
from middleware.wiring.runtime import Runtime, open_runtime

BASE = "http://ehr.bench.example.org/fhir"
HOOKED, FLOOR = "bench", "floor"
HOOK = f"/hooks/{HOOKED}"
ENDPOINT = Endpoint(
    id="bench",
    name="Benchmark",
    kind=EndpointKind.SANDBOX,
    fhir_base=BASE,
    backend=BackendClient(),
    app=AppClient(),
    site=Site(
        name="Benchmark",
        phone="(312) 555-0100",
        booking_url="https://bench.example.org/book",
        zone="America/Chicago",
    ),
    allow_list=("*",),
)


@dataclass
class Rig:
    """The running parts; ``accepted`` are the numbers whose post was answered 200."""

    runtime: Runtime
    server: benching.Server
    web: Meter
    postgresql: Meter | None
    secret: str
    connections: int
    children: Children
    environment: dict[str, str]
    ehr_port: int
    made: int = 0
    accepted: list[int] = field(default_factory=list)
    refused: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    def post(self, path: str, size: str, seconds: float, count: int) -> Figures:
        """Post new bodies of a size to a path, and measure."""
        load = Load(
            port=self.runtime.settings.listen_port,
            path=path,
            secret=self.secret,
            size=size,
            base=BASE,
            first=FIRST + self.made,
            count=count,
            seconds=seconds,
            connections=self.connections,
        )
        before = self._used(self.web.cpu_seconds())
        outcome = _run(load)
        used = self._used(self.web.cpu_seconds()) - before
        self.made += outcome.sent
        if path == HOOK:
            numbers = range(load.first, load.first + outcome.sent)
            self.refused += len(outcome.refused)
            for status, times in outcome.statuses.items():
                self.statuses[status] = self.statuses.get(status, 0) + times
            self.accepted += sorted(set(numbers).difference(outcome.refused))
        return figures_of(outcome, used)

    def insert(self, size: str, seconds: float) -> Figures:
        """Insert the rows of as many deliveries as go into the time, plainly."""
        template = TEMPLATES[size][0](BASE)
        now = self.runtime.clock.now()
        outcome = Outcome()
        with self.runtime.database.listen_connection() as connection:
            before, began = self._used(time.process_time()), time.perf_counter()
            while (since := time.perf_counter()) < began + seconds:
                number = FIRST + self.made
                self.made += 1
                focus, body = f"Encounter/{number}", fill(template, number)
                benching.insert_plainly(connection, FLOOR, body, focus, now)
                outcome.latencies.append(time.perf_counter() - since)
            used = self._used(time.process_time()) - before
        outcome.seconds = time.perf_counter() - began
        outcome.sent = len(outcome.latencies)
        outcome.statuses = {"200": outcome.sent}
        return figures_of(outcome, used)

    def length(self, size: str) -> int:
        """Return the bytes of one body."""
        return len(fill(TEMPLATES[size][0](BASE), FIRST))

    def count_stored(self) -> tuple[int, int, int]:
        """Count what was answered 200: stored once, missing, doubled."""
        foci = [f"Encounter/{number}" for number in self.accepted]
        with self.runtime.database.tx() as tx:
            return benching.count_stored(tx, HOOKED, foci)

    def _used(self, process: float) -> Used:
        meter = self.postgresql
        return Used(process, meter.cpu_seconds() if meter else None)


def _run(load: Load) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "middleware.cli.bench_load"],
        input=orjson.dumps(asdict(load)),
        capture_output=True,
        check=False,
        timeout=load.seconds + 120,
    )
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise CareCueError(f"The load did not end well: {' '.join(told)}")
    return Outcome(**orjson.loads(done.stdout))


@contextlib.contextmanager
def open_rig(home: Path, connections: int, *, ehr: bool = False) -> Iterator[Rig]:
    """Start everything under a folder; stop it, and drop the database, at the end.

    With ``ehr`` the endpoint's base is a port of this machine, where nothing serves yet.
    """
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(own_database(home))
        ports = choose_ports(home, None, usual=False)
        settings = read_settings(
            home=home,
            database_url=url,
            secret_key_file=None,
            listen_port=ports.public,
            console_port=ports.console,
            movable_clock=False,
        )
        runtime = stack.enter_context(open_runtime(settings))
        secret = RandomIds().secret()
        base = ehr_base(ports.sandbox) if ehr else BASE
        server = _register(runtime, secret, base)
        children = Children(home)
        stack.callback(children.stop)
        environment = {**clean_environment(), **environment_of(settings)}
        children.start("serve", ["serve", "--floors"], environment)
        wait_until("The web process", lambda: is_ready(ports.public), children)
        yield Rig(
            runtime=runtime,
            server=server,
            web=Meter(children.running["serve"].pid),
            postgresql=postmaster_meter(server.backend_pid),
            secret=secret,
            connections=connections,
            children=children,
            environment=environment,
            ehr_port=ports.sandbox,
        )


def ehr_base(port: int) -> str:
    """Return the FHIR base of an EHR on this machine."""
    return f"http://127.0.0.1:{port}/fhir"


@contextlib.contextmanager
def own_database(home: Path) -> Iterator[str]:
    """Make a database with our schema, on the server named or on an embedded one."""
    with contextlib.ExitStack() as stack:
        url = read_settings().database_url
        if url is None:
            url = stack.enter_context(_embedded(home / "postgres"))
        yield stack.enter_context(database_on(url, f"carecue_bench_{os.getpid()}"))


@contextlib.contextmanager
def database_on(url: str, name: str) -> Iterator[str]:
    """Make a database with our schema on a server that runs; drop it at the end."""
    with benching.own_database(url, name) as own:
        database = Database(own)
        migrate(database)
        database.close()
        yield own


@contextlib.contextmanager
def _embedded(home: Path) -> Iterator[str]:
    server = Embedded(home)
    try:
        yield server.start()
    finally:
        server.stop()


def _register(runtime: Runtime, secret: str, base: str) -> benching.Server:
    """Store an endpoint with a hook, and one more subscription for the floor."""
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        endpoints.insert_endpoint(tx, replace(ENDPOINT, fhir_base=base), now)
        for name in (HOOKED, FLOOR):
            subscriptions.insert_subscription(
                tx,
                subscriptions.SubscriptionRow(
                    id=name,
                    endpoint_id=ENDPOINT.id,
                    hook_key=name,
                    secrets=runtime.sealer.seal(secret.encode()),
                    resource_type="Encounter",
                    form="backport",
                    criteria="Encounter",
                    server_id="17",
                    status="active",
                    last_number=None,
                    last_seen_at=None,
                    created_at=now,
                ),
            )
        return benching.read_server(tx)


def is_ready(port: int) -> bool:
    """Tell whether the web process on this port answers."""
    try:
        url = f"http://127.0.0.1:{port}/health/ready"
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
