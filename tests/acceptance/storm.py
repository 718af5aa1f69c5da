"""The whole product as processes, with a relay between EHR and hooks, and what breaks it.

One PostgreSQL, one EHR with phones, one web process, two workers. Everything is real, and
started again after it was killed, as a service manager would.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mappings.errors import CareCueError
from mappings.preference import ConsentRecord, Who
from middleware.cli.demo_connect import (
    SMS_FROM,
    SMS_SID,
    TOPICS,
    connect_sandbox,
)
from middleware.fhir.client import FhirClient
from middleware.sealing import create_key_file
from middleware.settings import environment_of, read_settings
from middleware.storage import preferences
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from middleware.storage.migrate import migrate
from middleware.wiring.runtime import make_runtime
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.subscribing import settle, want
from subscriptions.wanting import Wanted, Way
from tests.acceptance.line import _afternoon, open_every_day, vera
from tests.acceptance.line import stay as went_home
from tests.acceptance.ports import free_ports
from tests.acceptance.relay import Rates, Relay

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
POLL_SECONDS = 3
FAULTS = {"drop": 0.1, "duplicate": 0.1, "reorder": 0.1}
RATES = Rates(before=0.05, after=0.05, twice=0.05)


class Storm:
    """Opened with ``start``; each method of ``break_*`` breaks one thing and mends it."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home = home
        self.began = datetime.now(UTC)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._pause = threading.Event()
        self._closing = contextlib.ExitStack()
        # What was committed outlives PostgreSQL, though not the machine.
        self._postgres = Embedded(home / "pg", settings={"fsync": "off"})
        names = ("web", "console", "ehr", "smtp")
        ports = dict(zip(names, range(free_ports(), 65536), strict=False))
        self._ports = ports
        self.relay = Relay(f"http://127.0.0.1:{ports['web']}", seed, RATES)
        self.control = SandboxControl(f"http://127.0.0.1:{ports['ehr']}")
        create_key_file(home / "secret.key")
        self._seed = seed

    # --- up and down -------------------------------------------------------------

    def start(self) -> None:
        """Start everything and subscribe to Encounters."""
        url = self._postgres.start()
        self._closing.callback(self._postgres.stop)
        database = Database(url)
        migrate(database)
        database.close()
        self.settings = read_settings(
            home=self.home,
            database_url=url,
            poll_seconds=POLL_SECONDS,
            listen_port=self._ports["web"],
            console_port=self._ports["console"],
            public_url=self.relay.url,
            sms_base_url=self.control.base_url,
            sms_account_sid=SMS_SID,
            sms_auth_token="token",
            sms_from_number=SMS_FROM,
        )
        self.runtime = make_runtime(self.settings)
        self._closing.callback(self.runtime.close)
        self.relay.start()
        self._closing.callback(self.relay.stop)
        self._run("ehr")
        self._wait("the EHR", self.control.healthy)
        self.endpoint = open_every_day(
            self.runtime,
            connect_sandbox(self.runtime, self.control, "America/Chicago", "token"),
        )
        self.ehr = FhirClient(
            self.endpoint.fhir_base, self.control.staff_token, clock=self.runtime.clock
        )
        self._closing.callback(self.ehr.close)
        for name in ("web", "worker-0", "worker-1"):
            self._run(name)
        self._wait("the web process", self._web_answers)
        way = Way("backport", f"{TOPICS}/encounter-change", "id-only")
        want(self.runtime, self.endpoint, [Wanted("Encounter", (way,))], ("Encounter",))
        settle(self.runtime, self.endpoint, PATIENCE, lambda row: None)
        self.control.call("PUT", "/sandbox/faults", {**FAULTS, "seed": self._seed})

    def stop(self) -> None:
        """End everything."""
        for child in self.children.values():
            with contextlib.suppress(OSError):
                child.send_signal(signal.SIGCONT)
            child.kill()
            child.wait()
        self._closing.close()

    def _run(self, name: str) -> None:
        arguments = {
            "ehr": [
                "sandbox",
                f"--port={self._ports['ehr']}",
                f"--smtp-port={self._ports['smtp']}",
                f"--data={self.home / 'ehr'}",
            ],
            "web": ["serve"],
        }.get(name, ["worker"])
        with (self.home / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", "middleware.cli", *arguments],
                env=environment_of(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
            )

    def _web_answers(self) -> bool:
        control = SandboxControl(f"http://127.0.0.1:{self._ports['web']}")
        try:
            control.call("GET", "/health/ready")
        except (CareCueError, ValueError):
            return False
        return True

    def _wait(self, what: str, ready: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(CareCueError):
                if found := ready():
                    return found
            self._pause.wait(0.05)
        raise AssertionError(f"not seen in {PATIENCE:.0f} s: {what}\n{self._logs()}")

    def _logs(self) -> str:
        files = sorted(self.home.glob("*.log"))
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in files)

    # --- what is broken ----------------------------------------------------------

    def _kill(self, name: str) -> None:
        os.killpg(self.children[name].pid, signal.SIGKILL)
        self.children[name].wait()
        self._run(name)

    def break_worker(self) -> None:
        """kill -9 one worker of two."""
        self._kill("worker-0")

    def break_workers(self) -> None:
        """kill -9 both workers."""
        self._kill("worker-0")
        self._kill("worker-1")

    def break_web(self) -> None:
        """kill -9 the web process, its console with it."""
        self._kill("web")

    def break_ehr(self) -> None:
        """kill -9 the EHR, which is the SMS provider too."""
        self._kill("ehr")

    def break_postgres(self) -> None:
        """kill -9 PostgreSQL; it recovers from its log."""
        pid = int((self._postgres.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        self._wait("the end of PostgreSQL", lambda: not _alive(pid))
        # What owned the server is gone with it; a new owner takes over what it left.
        self._postgres._server = None
        self._postgres._owner.release()
        self._postgres.start()

    def break_sessions(self) -> None:
        """End every database session."""
        with contextlib.suppress(CareCueError), self.runtime.database.tx() as tx:
            tx.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "datname = current_database() AND pid <> pg_backend_pid()"
            )

    def break_hooks(self) -> None:
        """Cut every connection between the EHR and the hooks for a second."""
        self.relay.cut()
        self._pause.wait(1.0)
        self.relay.heal()

    def freeze_worker(self) -> None:
        """SIGSTOP a worker past its turn, then let it go on."""
        self._freeze("worker-0", 5.0)

    def freeze_ehr(self) -> None:
        """SIGSTOP the EHR for a while."""
        self._freeze("ehr", 3.0)

    def _freeze(self, name: str, seconds: float) -> None:
        os.killpg(self.children[name].pid, signal.SIGSTOP)
        self._pause.wait(seconds)
        os.killpg(self.children[name].pid, signal.SIGCONT)

    # --- what happens at the clinic ----------------------------------------------

    def admit(self, names: list[str]) -> None:
        """Make patients in hospital, with permission to be texted."""
        now = datetime.now(UTC)
        for name in names:
            self._write(person(name, number_of(name)))
            self._write(in_hospital(name, now))
        zone = _afternoon(now)
        with self.runtime.database.tx() as tx:
            for name in names:
                preferences.insert_consent(tx, consent(self.endpoint.id, name, now))
                preferences.insert_preference(
                    tx,
                    id=f"zone-{name}",
                    endpoint_id=self.endpoint.id,
                    patient=f"Patient/{name}",
                    name="zone",
                    value=zone,
                    who=Who.STAFF,
                    how="in the chart",
                    recorded_by=None,
                    recorded_at=now,
                )

    def discharge(self, name: str) -> None:
        """Discharge one, a day ago, so that the check-in is due at once."""
        stay = {
            **went_home(datetime.now(UTC) - timedelta(hours=25)),
            "id": f"{name}-stay",
        }
        self._write({**stay, "subject": {"reference": f"Patient/{name}"}})

    def _write(self, resource: dict[str, Any]) -> None:
        self._wait("a write at the EHR", lambda: self.ehr.send_update(resource))

    # --- looking -----------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return rows, asking again while the database is away."""

        def ask() -> list[list[dict[str, Any]]]:
            with self.runtime.database.tx() as tx:
                return [tx.execute(query, values).fetchall()]

        return list(self._wait("an answer of the database", ask)[0])

    def wait_quiet(self, names: list[str]) -> None:
        """Return when each one's check-in has come to an end."""
        patients = [f"Patient/{name}" for name in names]

        def ended() -> bool:
            rows = self.rows(
                "SELECT patient FROM nudge WHERE action = 'check-in' "
                "AND state IN ('sent', 'failed') AND patient = ANY(%s)",
                patients,
            )
            return len({row["patient"] for row in rows}) == len(patients)

        try:
            self._wait(f"the check-ins of {len(names)} patients", ended)
        except AssertionError as error:
            raise AssertionError(f"{self._standing(patients)}\n{error}") from None

    def _standing(self, patients: list[str]) -> str:
        """Say how far each stage has come with these patients."""
        foci = [f"Encounter/{name.rpartition('/')[2]}-stay" for name in patients]
        found = [
            self.rows(f"SELECT {columns} FROM {table} WHERE {key} = ANY(%s)", values)
            for table, columns, key, values in (
                ("inbox", "focus, source, state, due_at, error", "focus", foci),
                ("event", "patient, kind, state, due_at, error", "patient", patients),
                ("nudge", "patient, state, reason, due_at", "patient", patients),
            )
        ]
        lines = [
            f"now {datetime.now(UTC)}",
            *(str(row) for many in found for row in many),
        ]
        return "\n".join(lines)

    def texts(self) -> dict[str, int]:
        """Return how many texts each number received."""
        found: dict[str, int] = {}
        messages = self._wait("the phones", self.control.messages)["sms"]
        for item in messages:
            if item["direction"].startswith("outbound"):
                found[item["to"]] = found.get(item["to"], 0) + 1
        return found


def number_of(name: str) -> str:
    """Return a fictional number for the n-th patient (name ``p<n>``)."""
    number = int(name[1:])
    return f"+1{212 + number // 100:03d}55501{number % 100:02d}"


def person(name: str, number: str) -> dict[str, Any]:
    """Return the chart's first page."""
    telecom = [{"system": "sms", "value": number, "use": "mobile"}]
    return {**vera(), "id": name, "telecom": telecom}


def in_hospital(name: str, now: datetime) -> dict[str, Any]:
    """Return a stay that goes on."""
    stay = {**went_home(now), "id": f"{name}-stay", "status": "in-progress"}
    stay.pop("hospitalization")
    start = (now - timedelta(days=3)).isoformat(timespec="seconds")
    return {
        **stay,
        "subject": {"reference": f"Patient/{name}"},
        "period": {"start": start},
    }


def consent(endpoint_id: str, name: str, now: datetime) -> ConsentRecord:
    """Return a yes to texts."""
    return ConsentRecord(
        id=f"consent-{name}",
        endpoint_id=endpoint_id,
        patient=f"Patient/{name}",
        system="sms",
        value=number_of(name),
        topic="*",
        permit=True,
        who=Who.PATIENT,
        how="asked at the desk",
        recorded_at=now - timedelta(days=9),
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    # A zombie is dead to everybody else.
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()
