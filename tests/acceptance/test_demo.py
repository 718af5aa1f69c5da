"""The demo as a newcomer runs it: the month at once, and Ctrl-C with a second start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from middleware.clock import SystemClock
from middleware.fhir.client import FhirClient
from middleware.storage.database import Database
from middleware.storage.embedded import Embedded
from middleware.wiring.sandbox_control import SandboxControl
from tests.acceptance.ports import free_ports
from tests.pace import Pace

ROOT = Path(__file__).parents[2]
# How much longer than to load the program once; it is loaded five times, and PostgreSQL.
START_TIMES = 12
STOP_SECONDS = 10.0
KEYS = {
    "events",
    "nudges",
    "delivered",
    "held",
    "communications_in_ehr",
    "lost",
    "doubled",
    "seconds",
}

pytestmark = pytest.mark.demo


def environment() -> dict[str, str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("CARECUE")
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def home() -> Iterator[Path]:
    """A fresh home; its path is short, for PostgreSQL's socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="carecue-") as folder:
        yield Path(folder)


def test_the_month_headless(home: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "middleware.cli", "demo", "--headless", "--json"],
        env={**environment(), "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=1200,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    counts = orjson.loads(result.stdout.splitlines()[-1])
    assert set(counts) == KEYS
    assert (counts["lost"], counts["doubled"]) == (0, 0)
    assert min(counts["events"], counts["nudges"]) > counts["delivered"]
    assert counts["delivered"] == counts["communications_in_ehr"] > 0
    assert all(isinstance(number, int) for number in counts["held"].values())
    assert result.stderr.strip()  # it tells how far it is


class Interactive:
    """`carecue demo` in its own process, until Ctrl-C."""

    def __init__(self, home: Path, port: int) -> None:
        self.allowed = START_TIMES * load_once()
        began = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "middleware.cli", "demo"),
                f"--home={home}",
                f"--port={port}",
            ],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        self.said: list[str] = []
        timer = threading.Timer(300, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.said.append(text)
            if "Ctrl-C stops everything" in text:
                break
        timer.cancel()
        self.seconds = time.monotonic() - began
        assert self.process.poll() is None, "".join(self.said)

    def interrupt(self) -> float:
        """Press Ctrl-C; return the seconds until everything has ended."""
        children = descendants(self.process.pid)
        assert len(children) >= 4  # sandbox, serve, console, worker, PostgreSQL
        with Pace() as granted:
            self.process.send_signal(signal.SIGINT)
            rest, _ = self.process.communicate(timeout=120)
        self.said.append(rest)
        assert self.process.returncode == 0, "".join(self.said)
        assert [pid for pid in children if is_alive(pid)] == []
        return granted.seconds


def load_once() -> float:
    """Return the seconds that a process takes to load what the demo's processes load."""
    began = time.monotonic()
    modules = "middleware.wiring.apps, middleware.wiring.working"
    subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        env=environment(),
        check=True,
        cwd=ROOT,
    )
    return time.monotonic() - began


def descendants(pid: int) -> list[int]:
    """Return the pids of all processes below one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        below = parents.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def is_alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"


def discharge_rosa(control: SandboxControl) -> None:
    """Press "Discharge home", as her clinic would."""
    ehr = FhirClient(
        f"{control.base_url}/fhir", control.staff_token, clock=SystemClock()
    )
    stays = ehr.fetch_search("Encounter?patient=Patient/rosa&_count=50").resources
    stay = next(item for item in stays if item["status"] == "in-progress")
    home = {
        "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
        "code": "home",
    }
    now = control.now().isoformat(timespec="seconds")
    ehr.send_update(
        {
            **stay,
            "status": "finished",
            "period": {**stay["period"], "end": now},
            "hospitalization": {"dischargeDisposition": {"coding": [home]}},
        }
    )
    ehr.close()


def in_ehr(control: SandboxControl) -> dict[str, str]:
    """Return the version of everything that the EHR holds about people."""
    ehr = FhirClient(
        f"{control.base_url}/fhir", control.staff_token, clock=SystemClock()
    )
    found: dict[str, str] = {}
    for kind in ("Patient", "Encounter", "Appointment", "CarePlan", "Task"):
        for item in ehr.fetch_search(f"{kind}?_count=200").resources:
            found[f"{kind}/{item['id']}"] = item["meta"]["versionId"]
    ehr.close()
    return found


def in_database(home: Path) -> dict[str, Any]:
    """Return events and nudges as they lie in the stopped demo's home."""
    embedded = Embedded(home / "postgres")
    database = Database(embedded.start())
    try:
        with database.tx() as tx:
            events = tx.execute("SELECT key, state FROM event ORDER BY key").fetchall()
            nudges = tx.execute(
                "SELECT key, state, due_at FROM nudge ORDER BY key"
            ).fetchall()
    finally:
        database.close()
        embedded.stop()
    return {"events": events, "nudges": nudges}


def wait_for(ready: Any) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def test_ctrl_c_ends_it_and_a_second_start_finds_the_same_state(home: Path) -> None:
    port = free_ports()
    first = Interactive(home, port)
    control = SandboxControl(f"http://127.0.0.1:{port + 2}")
    discharge_rosa(control)
    wait_for(lambda: any(name.startswith("Task/") for name in in_ehr(control)))
    wait_for(lambda: control.pending() == 0)
    stood = in_ehr(control)
    assert first.interrupt() < STOP_SECONDS
    kept = in_database(home)
    assert [row["state"] for row in kept["events"]].count("done") > 0
    assert kept["nudges"] != []

    second = Interactive(home, port)
    assert in_ehr(control) == stood
    assert second.interrupt() < STOP_SECONDS
    assert in_database(home) == kept
    assert first.seconds < first.allowed
    assert second.seconds < second.allowed


def test_a_taken_port_is_one_clear_line(home: Path) -> None:
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        result = subprocess.run(
            [
                *(sys.executable, "-m", "middleware.cli", "demo"),
                f"--home={home}",
                f"--port={port}",
            ],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=180,
            cwd=ROOT,
            check=False,
        )
    assert result.returncode in (1, 2)
    assert f"Port {port + 1}" in result.stderr
    assert "Traceback" not in result.stderr
