"""Running the demo: its parts in order, the story on top, everything stopped again."""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from middleware.cli.demo_checks import Result, count_story
from middleware.cli.demo_connect import (
    SMS_FROM,
    SMS_SID,
    connect_sandbox,
    subscribe_sandbox,
)
from middleware.cli.demo_parts import (
    Children,
    Ports,
    choose_ports,
    clean_environment,
    wait_until,
)
from middleware.cli.output import progress
from middleware.fhir.client import FhirClient
from middleware.ports import RandomIds
from middleware.sealing import create_key_file
from middleware.settings import Settings, environment_of, list_values, read_settings
from middleware.storage import audit, login_links
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from middleware.storage.migrate import migrate
from middleware.wiring.clockwork import Clockwork
from middleware.wiring.runtime import Runtime, make_runtime
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.story import Story, read_story, send_step

FAULTS = {"drop": 0.05, "duplicate": 0.05, "reorder": 0.05, "seed": 7}
SITE_ZONE = "America/Los_Angeles"
PERSON = "demo administrator"
LINK_LIFE = timedelta(days=1)


@dataclass(frozen=True)
class DemoOptions:
    """Where the demo keeps its state and what it plays."""

    home: Path
    first_port: int | None
    faults: bool
    story: bool


class Demo:
    """The whole product on one machine, as a with statement."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.home = options.home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        for name in ("logs", "sandbox"):  # charts, and the secrets of subscriptions
            (self.home / name).mkdir(mode=0o700, exist_ok=True)
        self.ports: Ports = choose_ports(
            self.home, options.first_port, usual=not options.story
        )
        self.story: Story | None = read_story("thirty-days") if options.story else None
        self.children = Children(self.home / "logs")
        self.control = SandboxControl(f"http://127.0.0.1:{self.ports.sandbox}")
        self._embedded = Embedded(self.home / "postgres")
        self.runtime: Runtime | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.children.stop()
        if self.runtime is not None:
            self.runtime.close()
        self._embedded.stop()

    def _start(self) -> None:
        progress("starting the database")
        settings = self._settings(self._embedded.start())
        database = Database(settings.database_url or "")
        migrate(database)
        database.close()
        if not settings.secret_key_path.exists():
            create_key_file(settings.secret_key_path)
        self._write_settings(settings)
        progress("starting the sandbox EHR")
        self._start_sandbox()
        wait_until("The sandbox EHR", self.control.healthy, self.children)
        self.runtime = make_runtime(settings)
        self._align_clock()
        endpoint = connect_sandbox(
            self.runtime, self.control, SITE_ZONE, settings.sms_auth_token.reveal()
        )
        progress("starting CareCue")
        environment = {**clean_environment(), **environment_of(settings)}
        self.children.start("serve", ["serve"], environment)
        self.children.start("worker", ["worker"], environment)
        wait_until("The web process", self._ready, self.children)
        subscribe_sandbox(self.runtime, endpoint)
        if self.options.faults:
            self.control.call("PUT", "/sandbox/faults", FAULTS)

    def _start_sandbox(self) -> None:
        arguments = [
            "sandbox",
            f"--port={self.ports.sandbox}",
            f"--smtp-port={self.ports.smtp}",
            f"--data={self.home / 'sandbox'}",
            f"--zone={SITE_ZONE}",
            f"--app-launch-url=http://localhost:{self.ports.public}/smart/launch",
        ]
        if self.story is not None:
            arguments.append(f"--start={self.story.start.isoformat()}")
        self.children.start("sandbox", arguments, clean_environment())

    def _align_clock(self) -> None:
        """Take over the sandbox's time: it has kept its own since the last stop."""
        self.clockwork().set(self.control.now())

    def _settings(self, database_url: str) -> Settings:
        token_file = self.home / "sms.token"
        if not token_file.exists():
            token_file.touch(mode=0o600)
            token_file.write_text(RandomIds().secret())
        return read_settings(
            home=self.home,
            database_url=database_url,
            public_url=f"http://localhost:{self.ports.public}",
            listen_port=self.ports.public,
            console_port=self.ports.console,
            movable_clock=True,
            sms_base_url=f"http://127.0.0.1:{self.ports.sandbox}",
            sms_account_sid=SMS_SID,
            sms_auth_token=token_file.read_text(),
            sms_from_number=SMS_FROM,
            smtp_host="127.0.0.1",
            smtp_port=self.ports.smtp,
            smtp_from="Northside Clinic <reminders@northside.example.org>",
            smtp_security="none",
        )

    def _ready(self) -> bool:
        for port in (self.ports.public, self.ports.console):
            url = f"http://127.0.0.1:{port}/health/ready"
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status != 200:
                        return False
            except (urllib.error.URLError, OSError):
                return False
        return True

    def clockwork(self) -> Clockwork:
        """Return what moves both clocks."""
        assert self.runtime is not None
        return Clockwork(self.runtime, self.control.set_clock, self.control.pending)

    def ehr(self) -> FhirClient:
        """Return the EHR as its own staff sees it; the token is fetched afresh."""
        assert self.runtime is not None
        return FhirClient(
            f"{self.control.base_url}/fhir",
            self.control.staff_token,
            clock=self.runtime.clock,
        )

    def welcome(self) -> str:
        """Return the few URLs to open and what to try first."""
        sandbox = self.control.base_url
        return (
            "\nCareCue is running.\n\n"
            f"  EHR, patient list   {sandbox}/ehr/\n"
            f"  Phones              {sandbox}/phone/\n"
            f"  Mailboxes           {sandbox}/mailbox/\n"
            "  Console             (this link opens it once, within a day)\n"
            f"    {self.console_link()}\n\n"
            "Try this first: open Rosa Delgado in the EHR and press Discharge home.\n"
            "In the console, press Forward to the next message, then look at her "
            "phone.\n"
            "Launch CareCue from her chart to see why she got it.\n\n"
            "For another console link, or any other command, in a second terminal:\n"
            f"  export CARECUE_CONFIG_FILE={shlex.quote(str(self.settings_file))}\n"
            "  carecue console-link\n\n"
            "Ctrl-C stops everything; the state is kept in\n"
            f"  {self.home}\n"
        )

    def console_link(self) -> str:
        """Make a one-time link to the console and return its URL."""
        assert self.runtime is not None
        token, now = self.runtime.ids.secret(), self.runtime.clock.now()
        with self.runtime.database.tx() as tx:
            login_links.insert_login_link(
                tx,
                token_hash=login_links.hash_token(token),
                person=PERSON,
                expires_at=now + LINK_LIFE,
            )
            audit.insert_audit(tx, PERSON, "console-link", now)
        return f"http://127.0.0.1:{self.ports.console}/console/login?token={token}"

    @property
    def settings_file(self) -> Path:
        """Where other commands find this demo's settings."""
        return self.home / "settings.toml"

    def _write_settings(self, settings: Settings) -> None:
        """Write the settings as TOML, for their owner only: they name a token."""
        values = list_values(settings)
        lines = (
            f"{name} = {orjson.dumps(it).decode()}\n" for name, it in values.items()
        )
        self.settings_file.touch(mode=0o600)
        self.settings_file.write_text("".join(lines))


def play_story(running: Demo) -> Result:
    """Play the scenario with the clock fast-forwarded, then count."""
    story, runtime = running.story, running.runtime
    assert story is not None
    assert runtime is not None
    clockwork, ehr = running.clockwork(), running.ehr()

    def told(_instant: datetime) -> None:
        running.children.check()

    for step in story.steps:
        clockwork.forward(step.at.astimezone(UTC), told)
        progress(f"{step.at:%a %b %d %H:%M}  {step.patient} {step.title}")
        if "reply" in step.body:
            running.control.reply(step.body["reply"]["to"], step.body["reply"]["text"])
        else:
            send_step(step, ehr)
        clockwork.wait_quiet()
        clockwork.poll()
    clockwork.forward(story.end.astimezone(UTC), told)
    clockwork.wait_quiet()
    progress("counting in the EHR, the database and the phones")
    return count_story(story, runtime.database, ehr, running.control.messages())
