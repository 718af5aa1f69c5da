"""A real worker process between a real database and the sandbox, over loopback.

The sandbox's HTTP can hold one request open, before or after it has worked on it: that
is how a test stops the worker where it wants to, from outside.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mappings.endpoint import Endpoint
from mappings.instants import write_instant
from mappings.preference import ConsentRecord, Who
from middleware.cli.demo_connect import SMS_FROM, SMS_SID, connect_sandbox
from middleware.fhir.client import FhirClient
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.sealing import create_key_file
from middleware.settings import environment_of, read_settings
from middleware.storage import endpoints, inbound, inbox, preferences
from middleware.storage.ids import shard_of
from middleware.wiring.runtime import Runtime, make_runtime
from middleware.wiring.sandbox_control import SandboxControl

NUMBER = "+14155550187"
PATIENT = "Patient/vera"
STAY = "Encounter/vera-stay"
PATIENCE = 120.0


class Holding:
    """Wraps a WSGI application; holds the first request that ``wanted`` matches."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner
        self._guard = threading.Lock()
        self._wanted: tuple[str, str, bool] | None = None
        self.reached = threading.Event()
        self._go_on = threading.Event()

    def arm(self, method: str, path: str, *, after: bool) -> None:
        """Hold the next ``method`` whose path ends so; ``after`` it was worked on."""
        self.reached.clear()
        self._go_on.clear()
        self._wanted = (method, path, after)

    def let_go(self) -> None:
        """Let the held request end."""
        self._go_on.set()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with self._guard:
            wanted = self._wanted
            hit = wanted is not None and (
                environ["REQUEST_METHOD"] == wanted[0]
                and environ["PATH_INFO"].endswith(wanted[1])
            )
            if hit:
                self._wanted = None
        if not hit or wanted is None:
            return self._inner(environ, start_response)
        body: list[bytes] = []
        if wanted[2]:
            body = list(self._inner(environ, start_response))
        self.reached.set()
        self._go_on.wait(PATIENCE)
        if not wanted[2]:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
        return body


def open_every_day(runtime: Runtime, endpoint: Endpoint) -> Endpoint:
    """Let a site send on public holidays: these tests run on any day of the year."""
    found = replace(endpoint, site=replace(endpoint.site, holiday_messages=True))
    with runtime.database.tx() as tx:
        endpoints.update_endpoint(tx, found)
    return found


class Line:
    """The sandbox with one patient who went home a day ago, and workers to kill."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.home = home
        self.workers: list[subprocess.Popen[bytes]] = []
        self.running = Running(Options(people=False)).start()
        self.holding = Holding(self.running.app.wsgi_app)
        self.running.app.wsgi_app = self.holding  # type: ignore[method-assign]
        self.control = SandboxControl(self.running.base_url)
        create_key_file(home / "secret.key")
        self.settings = read_settings(
            home=home,
            database_url=database_url,
            poll_seconds=3600,
            sms_base_url=self.running.base_url,
            sms_account_sid=SMS_SID,
            sms_auth_token="token",
            sms_from_number=SMS_FROM,
            public_url="http://127.0.0.1:9",
        )
        self.runtime = make_runtime(self.settings)
        self.endpoint = open_every_day(
            self.runtime,
            connect_sandbox(self.runtime, self.control, "America/Chicago", "token"),
        )
        self.ehr = FhirClient(
            self.endpoint.fhir_base,
            self.control.staff_token,
            clock=self.runtime.clock,
        )
        self._admit()

    def _admit(self) -> None:
        """Make the patient, her permission and zone, and her discharge a day ago."""
        now = datetime.now(UTC)
        self.ehr.send_update(
            {"resourceType": "Organization", "id": "northside", "name": "Northside"}
        )
        self.ehr.send_update(vera())
        self.ehr.send_update(stay(now - timedelta(hours=25)))
        with self.runtime.database.tx() as tx:
            preferences.insert_consent(
                tx,
                ConsentRecord(
                    id="consent-vera",
                    endpoint_id=self.endpoint.id,
                    patient=PATIENT,
                    system="sms",
                    value=NUMBER,
                    topic="*",
                    permit=True,
                    who=Who.PATIENT,
                    how="asked at the desk",
                    recorded_at=now - timedelta(days=9),
                ),
            )
            preferences.insert_preference(
                tx,
                id="zone-vera",
                endpoint_id=self.endpoint.id,
                patient=PATIENT,
                name="zone",
                value=_afternoon(now),
                who=Who.STAFF,
                how="in the chart",
                recorded_by=None,
                recorded_at=now,
            )
            inbox.insert_inbox(tx, [_item(self.endpoint.id, now)])

    # --- workers -----------------------------------------------------------------

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start `carecue worker`."""
        log = (self.home / f"worker-{len(self.workers)}.log").open("wb")
        worker = subprocess.Popen(
            [sys.executable, "-m", "middleware.cli", "worker"],
            env=environment_of(self.settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
        log.close()
        self.workers.append(worker)
        return worker

    def kill(self) -> None:
        """kill -9 the newest worker."""
        self.workers[-1].kill()
        self.workers[-1].wait()

    def close(self) -> None:
        """End everything."""
        self.holding.let_go()
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.ehr.close()
        self.runtime.close()
        self.running.stop()

    def reply(self, text: str) -> None:
        """Let the patient answer, as the provider's webhook would store it."""
        with self.runtime.database.tx() as tx:
            inbound.insert_inbound(
                tx,
                key="sms:IN1:reply",
                channel="sms",
                source="reply",
                address=NUMBER,
                body=text,
                detail={},
                received_at=self.runtime.clock.now(),
                shard=shard_of("sms", NUMBER),
            )

    # --- looking -----------------------------------------------------------------

    def wait_for(self, what: str, ready: Callable[[], Any]) -> Any:
        """Return the first true answer of ``ready``."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while time.monotonic() < deadline:
            if found := ready():
                return found
            if self._died():
                break
            pause.wait(0.02)
        raise AssertionError(f"not seen in {PATIENCE:.0f} s: {what}\n{self._logs()}")

    def _died(self) -> bool:
        """Tell whether the newest worker ended by itself."""
        newest = self.workers[-1]
        return newest.returncode is None and newest.poll() is not None

    def _logs(self) -> str:
        files = sorted(self.home.glob("worker-*.log"))
        return "\n".join(file.read_text()[-3000:] for file in files)

    def wait_for_hold(self) -> None:
        """Return when the held request has come."""
        self.wait_for("the held request", self.holding.reached.is_set)

    def wait_for_lock(self) -> None:
        """Return when a session waits for a lock."""
        self.wait_for(
            "a session that waits for a lock",
            lambda: self.count(
                "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = "
                "'Lock' AND datname = current_database()"
            ),
        )

    def count(self, query: str) -> int:
        """Return the number that a query counts as ``n``."""
        with self.runtime.database.tx() as tx:
            row = tx.execute(query).fetchone()
        return int(row["n"]) if row else 0

    def nudge_state(self) -> str:
        """Return ``state: reason`` of the check-in; empty while there is none."""
        with self.runtime.database.tx() as tx:
            row = tx.execute(
                "SELECT state, reason FROM nudge WHERE action = 'check-in'"
            ).fetchone()
        return f"{row['state']}: {row['reason']}" if row else ""

    def texts(self) -> list[str]:
        """Return what the phone received."""
        return [
            item["body"]
            for item in self.control.messages()["sms"]
            if item["direction"].startswith("outbound")
        ]

    def recorded(self) -> bool:
        """Tell whether everything that is to be written back is written."""
        waiting = self.count("SELECT count(*) AS n FROM outbox WHERE state <> 'done'")
        written = self.count(
            "SELECT count(*) AS n FROM outbox WHERE state = 'done' "
            "AND resource->>'resourceType' = 'Communication'"
        )
        return waiting == 0 and written > 0

    def in_ehr(self, kind: str) -> int:
        """Count the resources of a type in the EHR."""
        return len(self.ehr.fetch_search(f"{kind}?_count=100").resources)


def _afternoon(now: datetime) -> str:
    """Return a zone in which it is between two and three in the afternoon."""
    offset = (14 - now.hour + 12) % 24 - 12
    # POSIX signs: Etc/GMT+5 lies west of Greenwich.
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def vera() -> dict[str, Any]:
    """Return the patient as she is at first."""
    return {
        "resourceType": "Patient",
        "id": "vera",
        "active": True,
        "birthDate": "1991-03-02",
        "name": [{"given": ["Vera"], "family": "Lind"}],
        "telecom": [{"system": "sms", "value": NUMBER, "use": "mobile"}],
        "address": [{"state": "IL"}],
        "communication": [
            {
                "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]},
                "preferred": True,
            }
        ],
    }


def stay(end: datetime) -> dict[str, Any]:
    """Return her stay, which ended then, at home."""
    home = {
        "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
        "code": "home",
    }
    return {
        "resourceType": "Encounter",
        "id": "vera-stay",
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
        },
        "subject": {"reference": PATIENT},
        "period": {
            "start": write_instant(end - timedelta(days=3)),
            "end": write_instant(end),
        },
        "hospitalization": {"dischargeDisposition": {"coding": [home]}},
    }


def _item(endpoint_id: str, now: datetime) -> inbox.NewItem:
    return inbox.NewItem(
        key="vera-stay|1",
        endpoint_id=endpoint_id,
        subscription_id=None,
        notification_id=None,
        source="push",
        focus=STAY,
        version="1",
        event_number=1,
        resource_type="Encounter",
        interaction="update",
        shard=shard_of(endpoint_id, STAY),
        received_at=now,
    )
