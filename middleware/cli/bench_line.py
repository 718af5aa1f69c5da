"""The whole line under load: web process, workers, database and an EHR, each apart.

What is measured is seen from outside: when a notification was to be sent, and when its
events are decided and their messages planned in the database.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from mappings.errors import CareCueError
from middleware.cli.bench_bodies import FIRST, MIX
from middleware.cli.bench_load import Load, Outcome
from middleware.cli.bench_meter import Meter
from middleware.cli.bench_rig import HOOK, HOOKED, Rig, ehr_base, open_rig
from middleware.cli.demo_parts import wait_until
from middleware.storage import benching

LOOK_SECONDS = 0.05
COUNT_SECONDS = 0.5
# What each focus shows, and what is planned for it: step and state.
KINDS = {
    "Appointment": ["appointment-booked"],
    "Encounter": ["encounter-admitted", "encounter-discharged"],
    "CarePlan": ["careplan-activated"],
}
VERSIONS = {"encounter-discharged": "2"}
STEPS = {
    "Appointment": ["one-day planned", "three-days planned"],
    "Encounter": [
        "book-call planned",
        "book-visit planned",
        "check-in planned",
        "contact-attempts planned",
        "contact-lead planned",
    ],
    "CarePlan": ["activity-due planned", "activity-due planned"],
}
EVENTS_PER_NOTIFICATION = sum(len(KINDS[kind]) for kind in MIX) / len(MIX)


@dataclass
class Passage:
    """One load and what came of it; seconds by the system's monotonic clock."""

    outcome: Outcome
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def events(self) -> int:
        """Return how many events the answered notifications stand for."""
        answered = self.outcome.statuses.get("200", 0)
        return round(answered * EVENTS_PER_NOTIFICATION)


@dataclass
class Line:
    """The running line; ``meters`` are of its parts, the sender and we are none."""

    rig: Rig
    meters: dict[str, list[Meter]]

    def run(self, count: int, rate: float, patience: float) -> Passage:
        """Post ``count`` notifications and wait until everything is decided.

        ``rate`` is in notifications per second, 0 as fast as they are taken. Raises
        CareCueError when work is left after ``patience`` seconds.
        """
        load = self._load(count, rate, patience)
        before, began = self._used(), time.perf_counter()
        outcome = None
        with _sender(load, self.rig.children.logs) as sender:
            seen = _Watch(self, load, began)
            while not seen.is_over(ended=outcome is not None):
                if outcome is None and sender.poll() is not None:
                    outcome = _outcome(sender, self.rig.children.logs)
                    seen.forget(outcome)
                if time.perf_counter() > began + patience:
                    raise CareCueError(
                        f"Work was left after {patience:.0f} s; nothing is lost, this "
                        "machine is too slow for so much; try less"
                    )
                self.rig.children.check()
        assert outcome is not None
        used = self._used()
        self._note(load, outcome)
        cost = {name: used[name] - before[name] for name in used}
        return Passage(
            outcome,
            seconds=seen.last - began,
            latencies=seen.latencies(outcome.turns),
            cpu_seconds={**cost, "generator": outcome.cpu_seconds},
        )

    def _load(self, count: int, rate: float, patience: float) -> Load:
        rig = self.rig
        first, rig.made = FIRST + rig.made, rig.made + count
        return Load(
            port=rig.runtime.settings.listen_port,
            path=HOOK,
            secret=rig.secret,
            size="mixed",
            base=ehr_base(rig.ehr_port),
            first=first,
            count=count,
            seconds=patience,
            connections=rig.connections,
            rate=rate,
        )

    def _note(self, load: Load, outcome: Outcome) -> None:
        self.rig.refused += len(outcome.refused)
        for status, times in outcome.statuses.items():
            known = self.rig.statuses.get(status, 0)
            self.rig.statuses[status] = known + times
        numbers = range(load.first, load.first + outcome.sent)
        self.rig.accepted += sorted(set(numbers).difference(outcome.refused))

    def list_wrong(self) -> list[int]:
        """Return the answered notifications without exactly the effects of their focus."""
        with self.rig.runtime.database.tx() as tx:
            found = benching.list_effects(tx, HOOKED)
        return [
            number
            for number in self.rig.accepted
            if found.get(focus_of(number)) != _expected(number)
        ]

    def describe(self, number: int) -> dict[str, object]:
        """Return what a notification should have led to and what it did."""
        with self.rig.runtime.database.tx() as tx:
            found = benching.list_effects(tx, HOOKED)
        focus = focus_of(number)
        return {"focus": focus, "found": found.get(focus), "due": _expected(number)}

    def count_open(self) -> tuple[int, int]:
        """Count the rows that still wait and those that were given up."""
        with self.rig.runtime.database.tx() as tx:
            return benching.count_open(tx)

    def _used(self) -> dict[str, float]:
        return {
            name: sum(meter.cpu_seconds() for meter in meters)
            for name, meters in self.meters.items()
        }


class _Watch:
    """Looks at the database until all that was sent is decided."""

    def __init__(self, line: Line, load: Load, began: float) -> None:
        self._database = line.rig.runtime.database
        self._load = load
        self._began = began
        self._pause = threading.Event()
        self._waiting = dict.fromkeys(range(load.first, load.first + load.count))
        self.at: dict[int, float] = {}
        self.last = began

    def is_over(self, *, ended: bool) -> bool:
        """Look once, after a pause; tell whether nothing is left."""
        self._pause.wait(LOOK_SECONDS if self._load.rate else COUNT_SECONDS)
        if not self._load.rate or (ended and not self._waiting):
            return self._count() == 0 and ended
        since = time.perf_counter() - self._began
        ahead = int((since + 1) * self._load.rate) + self._load.first
        wanted = [number for number in self._waiting if number <= ahead]
        with self._database.tx() as tx:
            keys = [key for number in wanted for key in _keys(number)]
            decided = benching.list_decided(tx, keys)
        self.last = time.perf_counter()
        for number in wanted:
            if decided.issuperset(_keys(number)):
                self.at[number] = self.last
                del self._waiting[number]
        return False

    def forget(self, outcome: Outcome) -> None:
        """Wait no more for what was refused, or never sent."""
        unsent = range(
            self._load.first + outcome.sent, self._load.first + self._load.count
        )
        for number in (*outcome.refused, *unsent):
            self._waiting.pop(number, None)

    def latencies(self, turns: Sequence[float]) -> list[float]:
        """Return the seconds from each one's turn to when it was seen decided."""
        numbered = enumerate(turns, self._load.first)
        return [
            self.at[number] - turn for number, turn in numbered if number in self.at
        ]

    def _count(self) -> int:
        with self._database.tx() as tx:
            waiting, _ = benching.count_open(tx)
        if not self._load.rate:
            self.last = time.perf_counter()
        return waiting


@contextlib.contextmanager
def open_line(home: Path, connections: int, workers: int, count: int) -> Iterator[Line]:
    """Start the line for ``count`` patients, all of whom permit e-mails."""
    with open_rig(home, connections, ehr=True) as rig:
        now = rig.runtime.clock.now()
        with rig.runtime.database.tx() as tx:
            benching.permit_email(tx, HOOKED, FIRST, count, now)
        names = [f"worker{index + 1}" for index in range(workers)]
        rig.children.start("ehr", ["bench", "ehr", str(rig.ehr_port)], rig.environment)
        for name in names:
            rig.children.start(name, ["worker"], rig.environment)
        rig.children.check()
        meters = {
            "web": [rig.web],
            "workers": [Meter(rig.children.running[name].pid) for name in names],
            "postgresql": [rig.postgresql] if rig.postgresql else [],
            "ehr": [Meter(rig.children.running["ehr"].pid)],
        }
        line = Line(rig, meters)
        wait_until("The EHR", lambda: _is_open(rig.ehr_port), rig.children)
        yield line


def focus_of(number: int) -> str:
    """Return the reference that a number's notification names."""
    return f"{MIX[number % len(MIX)]}/{number}"


def _keys(number: int) -> list[str]:
    focus = focus_of(number)
    return [
        f"{HOOKED}|{focus}|{VERSIONS.get(kind, '1')}|{kind}|Patient/p{number}"
        for kind in KINDS[focus.partition("/")[0]]
    ]


def _expected(number: int) -> tuple[list[str], list[str]]:
    kind = MIX[number % len(MIX)]
    return KINDS[kind], STEPS[kind]


@contextlib.contextmanager
def _sender(load: Load, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "load.json").write_bytes(orjson.dumps(asdict(load)))
    with (
        (folder / "load.json").open("rb") as told,
        (folder / "outcome.json").open("wb") as outcome,
        (folder / "load.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "middleware.cli.bench_load"],
            stdin=told,
            stdout=outcome,
            stderr=log,
        ) as sender,
    ):
        try:
            yield sender
        finally:
            sender.kill()


def _outcome(sender: subprocess.Popen[bytes], folder: Path) -> Outcome:
    if sender.wait() != 0:
        told = (folder / "load.log").read_text(errors="replace").strip().splitlines()
        raise CareCueError(f"The load did not end well: {' '.join(told[-1:])}")
    return Outcome(**orjson.loads((folder / "outcome.json").read_bytes()))


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
