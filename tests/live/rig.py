"""The whole product around a FHIR server that we did not write.

Real parts on loopback: the public listener and the worker in threads, phones and
mailboxes of the sandbox, the server itself in a process of its own. Everything that
is waited for is a condition with a deadline.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from mappings.endpoint import AppClient, BackendClient
from mappings.instants import write_instant
from middleware.cli.demo_checks import Result, count_story
from middleware.cli.demo_connect import SMS_FROM, SMS_SID, sandbox_endpoint
from middleware.clock import SystemClock
from middleware.fhir.client import FhirClient
from middleware.ports import SearchResult
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.settings import Settings
from middleware.storage import endpoints, inbox
from middleware.wiring.apps import make_public_app
from middleware.wiring.choosing import begin_polling, choose_subscriptions
from middleware.wiring.clockwork import Clockwork
from middleware.wiring.runtime import open_runtime
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.story import Step, Story, send_step
from middleware.wiring.subscribing import settle, want
from middleware.wiring.working import run_worker
from subscriptions.wanting import Wish

TYPES = ("Encounter", "Appointment", "CarePlan")
TOKEN = "live-token"
PUSH_SECONDS = 8.0
WAIT_SECONDS = 30.0


class Silent(WSGIRequestHandler):
    """No access log; a connection per request, so that a stop is a stop."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


class Listener:
    """Our public listener in a thread; it comes back at the port that it had."""

    def __init__(self) -> None:
        self._app: Callable[..., Any] = lambda *_: []
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self._bind()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serve(self, app: Callable[..., Any]) -> None:
        self._app = app
        self.start()

    def start(self) -> None:
        if self._server is None:
            self._bind()
        self._server.app = self._app
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="listener"
        )
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        if self._server is not None:
            self._server.server_close()
        self._server = self._thread = None

    def _bind(self) -> None:
        self._server = make_server(
            "127.0.0.1",
            self._port,
            lambda *_: [],
            threaded=True,
            request_handler=Silent,
        )
        self._port = self._server.server_port


class Connected:
    """The server as it is since we were connected: what came before is no news."""

    def __init__(self, ehr: FhirClient, since: datetime) -> None:
        self._ehr = ehr
        self._since = write_instant(since)

    def fetch_search(self, query: str) -> SearchResult:
        return self._ehr.fetch_search(f"{query}&_lastUpdated=ge{self._since}")

    def fetch_history(self, reference: str) -> tuple[dict[str, Any], ...]:
        return self._ehr.fetch_history(reference)


class Rig:
    """One story's world: server, product, phones, and the clock of the last two."""

    def __init__(self, base: str, database_url: str, home: Path, story: Story) -> None:
        self.base, self.story = base, story
        self.listener = Listener()
        self.phones = Running(Options(people=False, start=story.start))
        self._database_url, self._home = database_url, home
        self._stop = threading.Event()
        self._pause = threading.Event()
        self._worker: threading.Thread | None = None
        self.connected_at: datetime | None = None

    @contextmanager
    def opened(self) -> Iterator["Rig"]:
        """Open everything but the worker; close all of it at the end."""
        try:
            with self.phones, open_runtime(self._settings()) as self.runtime:
                self.control = SandboxControl(self.phones.base_url)
                self.clockwork = Clockwork(
                    self.runtime, self.control.set_clock, self.control.pending
                )
                self.ehr = FhirClient(self.base, lambda: None, clock=self.runtime.clock)
                self._open_sms()
                self.listener.serve(make_public_app(self.runtime))
                try:
                    yield self
                finally:
                    self._end()
        finally:
            self.listener.stop()

    def _settings(self) -> Settings:
        return Settings(
            home=self._home,
            database_url=self._database_url,
            public_url=self.listener.url,
            movable_clock=True,
            sms_base_url=self.phones.base_url,
            sms_account_sid=SMS_SID,
            sms_auth_token=TOKEN,
            sms_from_number=SMS_FROM,
            smtp_host="127.0.0.1",
            smtp_port=self.phones.smtp_port,
            smtp_from="Northside Clinic <reminders@northside.example.org>",
            smtp_security="none",
            log_level="WARNING",
        )

    def _open_sms(self) -> None:
        account = {
            "account_sid": SMS_SID,
            "auth_token": TOKEN,
            "inbound_url": f"{self.listener.url}/channels/sms/inbound",
            "from_number": SMS_FROM,
        }
        self.control.call("PUT", "/sandbox/sms", account)

    def _end(self) -> None:
        self._stop.set()
        if self._worker is not None:
            self._worker.join()
        for row in self.rows("SELECT server_id FROM subscription"):
            # After a failure the server may be down.
            with suppress(requests.RequestException):
                url = f"{self.base}/Subscription/{row['server_id']}"
                requests.delete(url, timeout=30)
        self.ehr.close()

    # --- connecting --------------------------------------------------------------

    def connect(self) -> None:
        """Connect the server as a site would, then begin the story's time."""
        self.connected_at = SystemClock().now()
        endpoint = replace(
            sandbox_endpoint(self.base.removesuffix("/fhir"), self.story.zone.key),
            id="hapi",
            name="HAPI FHIR",
            backend=BackendClient(token_url=None),
            app=AppClient(),
            profile={"server": "hapi"},
        )
        with self.runtime.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, self.runtime.clock.now())
        begin_polling(self.runtime, endpoint)
        choice = choose_subscriptions(self.runtime, endpoint, Wish(), TYPES)
        want(self.runtime, endpoint, choice.wanted)
        rows = settle(self.runtime, endpoint, WAIT_SECONDS, lambda row: None)
        assert [row.seen_status for row in rows] == ["active"] * len(TYPES)
        self.clockwork.set(self.story.start.astimezone(UTC))
        self._worker = threading.Thread(
            target=run_worker, args=(self.runtime, self._stop), name="worker"
        )
        self._worker.start()

    # --- time --------------------------------------------------------------------

    def wait_for(self, what: str, ready: Callable[[], bool]) -> None:
        """Return when ``ready()``; AssertionError after 30 s."""
        assert self.happens(ready, WAIT_SECONDS), f"waited in vain for {what}"

    def happens(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Tell whether ``ready()`` within some seconds."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                return False
            self._pause.wait(0.03)
        return True

    def at(self, offset: str) -> datetime:
        """Return the instant of "+1d 16:30" in UTC."""
        return self.story.instant(offset).astimezone(UTC)

    def forward(self, instant: datetime) -> None:
        """Let time pass until then, stopping wherever something is due."""
        self.clockwork.forward(instant.astimezone(UTC), lambda _: None)

    def poll(self) -> None:
        """Let the poll come round once, to its end."""
        now = self.runtime.clock.now() + timedelta(
            seconds=self.runtime.settings.poll_seconds + 1
        )
        self.clockwork.set(now)
        self.wait_for("the poll", lambda: self._polled_since(now))
        self.clockwork.wait_quiet()

    def _polled_since(self, instant: datetime) -> bool:
        return all(
            cursor.polled_at is not None and cursor.polled_at >= instant
            for cursor in self.cursors()
        )

    def cursors(self) -> list[inbox.PollCursor]:
        """Return the poll cursors of the three types."""
        with self.runtime.database.tx() as tx:
            found = [inbox.read_cursor(tx, "hapi", name) for name in TYPES]
        return [cursor for cursor in found if cursor is not None]

    def newest(self, resource_type: str) -> datetime:
        """Return the server's own time of the last change of a type."""
        query = f"{resource_type}?_sort=-_lastUpdated&_count=1"
        (found,) = self.ehr.fetch_search(query, follow_pages=False).resources
        return datetime.fromisoformat(found["meta"]["lastUpdated"])

    # --- what happens ------------------------------------------------------------

    def send(self, step: Step) -> str:
        """Do what a step says; return ``Type/id/version``, or "" for a reply.

        Returns when what was pushed or, failing that, polled has been dealt with.
        """
        if "reply" in step.body:
            reply = step.body["reply"]
            self.control.reply(reply["to"], reply["text"])
            self.clockwork.wait_quiet()
            return ""
        stored = send_step(step, self.ehr)
        if not self.happens(lambda: self.resolved(stored), PUSH_SECONDS):
            self.poll()
            self.wait_for(f"{stored} to be read", lambda: self.resolved(stored))
        self.clockwork.wait_quiet()
        return stored

    def resolved(self, stored: str) -> bool:
        """Tell whether the inbox is done with ``Type/id/version``."""
        focus, _, version = stored.rpartition("/")
        rows = self.rows(
            "SELECT state FROM inbox WHERE focus = %s AND version = %s", focus, version
        )
        return any(row["state"] == "done" for row in rows)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read from the database."""
        with self.runtime.database.tx() as tx:
            return list(tx.execute(query, values).fetchall())

    def texts_to(self, number: str) -> list[str]:
        """Return the texts that a phone has received."""
        return [
            text["body"]
            for text in self.control.messages()["sms"]
            if text["to"] == number
        ]

    def news(self) -> Connected:
        """Return the server without what was there before we were connected."""
        assert self.connected_at is not None
        return Connected(self.ehr, self.connected_at)

    def count(self) -> Result:
        """Compare with what the scenario expects."""
        return count_story(
            self.story, self.runtime.database, self.news(), self.control.messages()
        )
