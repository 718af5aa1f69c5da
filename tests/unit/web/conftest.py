"""The console over a real database, and the public listener as it is wired."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from mappings.content import load_shipped
from middleware.clock import FixedClock
from middleware.settings import Settings
from middleware.storage import marks
from middleware.storage.login_links import hash_token, insert_login_link
from middleware.storage.schedule import claim
from middleware.web.console import create_console_app
from middleware.web.console_ports import ConsolePorts
from middleware.wiring.apps import make_public_app
from middleware.wiring.runtime import KEYS_MARK, open_runtime
from tests.stages.world import World

TOKEN = "sms-token"
PUBLIC = "https://carecue.example.org"


@dataclass
class Console:
    """A browser at the console of a world."""

    world: World
    client: FlaskClient
    wall: FixedClock
    ports: ConsolePorts
    woken: list[tuple[str, int]] = field(default_factory=list)

    def link(self, token: str = "once", person: str = "A. Mehta", **life: float) -> str:
        """Make a login link; ten minutes long unless told."""
        expires = self.world.clock.now() + timedelta(**(life or {"minutes": 10}))
        with self.world.database.tx() as tx:
            insert_login_link(
                tx, token_hash=hash_token(token), person=person, expires_at=expires
            )
        return token

    def login(self) -> Console:
        """Log in with a fresh link."""
        answer = self.client.post("/console/login", data={"token": self.link()})
        assert answer.status_code == 303
        return self

    def get(self, path: str = "/console", status: int = 200) -> str:
        """Read a page."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def csrf(self) -> str:
        """Return this session's form token."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get())
        assert found
        return found.group(1)

    def post(self, path: str, status: int = 303, **form: str) -> str:
        """Send a form with the session's token."""
        form = {"csrf": self.csrf(), **form}
        answer = self.client.post(path, data=form)
        assert answer.status_code == status, answer.text
        return answer.text

    def tick(self) -> None:
        """Let a worker show that it lives."""
        with self.world.database.tx() as tx:
            claim(tx, "janitor", timedelta(seconds=10), self.world.clock.now())

    def audited(self) -> list[tuple[str, str]]:
        """List (action, subject), oldest first."""
        rows = self.world.rows("SELECT action, subject FROM audit ORDER BY id")
        return [(row["action"], row["subject"]) for row in rows]


@pytest.fixture
def world(database, clock, ids) -> World:
    return World(database, clock, ids)


@pytest.fixture
def console(world, ids) -> Console:
    woken: list[tuple[str, int]] = []
    plans = load_shipped().plans
    wall = FixedClock(world.clock.now())
    ports = ConsolePorts(
        database=world.database,
        clock=world.clock,
        wall=wall,
        ids=ids,
        wake=lambda stage, shard: woken.append((stage, shard)),
        host="console.example.org",
        read_plans=lambda: plans,
        content_fault=lambda: "",
        channels=("email", "screen", "sms"),
        ready=lambda: None,
        forward=lambda leap: f"Moved: {leap}.",
    )
    return Console(world, create_console_app(ports).test_client(), wall, ports, woken)


@pytest.fixture
def public(database_url, tmp_path, keys) -> Iterator[FlaskClient]:
    """The public listener, wired as a process does it."""
    settings = Settings(
        home=tmp_path,
        database_url=database_url,
        public_url=PUBLIC,
        sms_base_url="http://127.0.0.1:9",
        sms_account_sid="AC1",
        sms_auth_token=TOKEN,
        sms_from_number="+14155550199",
    )
    with open_runtime(settings) as runtime:
        with runtime.database.tx() as tx:
            sealed = runtime.sealer.seal(keys.dump()).hex()
            marks.put_mark(tx, KEYS_MARK, sealed)
        yield make_public_app(runtime).test_client()
