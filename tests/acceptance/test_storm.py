"""Everything is killed, frozen and cut at random points under load; nothing is lost.

CARECUE_STORM_POINTS and CARECUE_STORM_SEED choose how many points and which: a run
prints its seed, and the same seed gives the same points.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.storm import Storm, number_of

POINTS = int(os.environ.get("CARECUE_STORM_POINTS", "30"))
SEED = int(os.environ.get("CARECUE_STORM_SEED", "20261116"))
KINDS = (
    "break_worker",
    "break_workers",
    "break_web",
    "break_ehr",
    "break_postgres",
    "break_sessions",
    "break_hooks",
    "freeze_worker",
    "freeze_ehr",
)
PATIENTS = 3  # at each point
SPREAD = 1.5  # seconds over which they go home, and within which the fault comes


@dataclass(frozen=True)
class Point:
    """One fault: what, how long after the first discharge, and who goes home when."""

    kind: str
    after: float
    leaving: tuple[tuple[float, str], ...]

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.leaving]


def points(seed: int, count: int) -> list[Point]:
    """Every kind in turn, in an order and at moments that the seed decides."""
    dice = random.Random(seed)
    made = []
    kinds: list[str] = []
    for number in range(count):
        if not kinds:
            kinds = list(KINDS)
            dice.shuffle(kinds)
        first = number * PATIENTS
        leaving = sorted(
            (dice.uniform(0, SPREAD), f"p{first + n}") for n in range(PATIENTS)
        )
        made.append(Point(kinds.pop(), dice.uniform(0, SPREAD), tuple(leaving)))
    return made


@pytest.fixture
def storm(own_logging: None) -> Iterator[Storm]:
    with tempfile.TemporaryDirectory(prefix="carecue-") as folder:
        opened = Storm(Path(folder), SEED)
        try:
            opened.start()
            yield opened
        finally:
            opened.stop()


def weather(storm: Storm, point: Point) -> None:
    """Let the patients of a point go home while its fault happens."""
    pause = threading.Event()

    def breaking() -> None:
        pause.wait(point.after)
        getattr(storm, point.kind)()

    fault = threading.Thread(target=breaking)
    fault.start()
    before = 0.0
    for after, name in point.leaving:
        pause.wait(after - before)
        before = after
        storm.discharge(name)
    fault.join()
    storm.wait_quiet(point.names)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@17")
def test_nothing_is_lost_or_done_twice_whatever_is_killed(storm: Storm) -> None:
    print(f"seed {SEED}, {POINTS} points")
    everybody = []
    for number, point in enumerate(points(SEED, POINTS)):
        print(f"{number}: {point}")
        storm.admit(point.names)
        weather(storm, point)
        everybody += point.names

    check_events(storm, everybody)
    check_states(storm, everybody)
    check_acknowledged(storm)
    check_texts(storm, everybody)


def check_events(storm: Storm, everybody: list[str]) -> None:
    """Each transition has one event, each event's check-in one nudge."""
    rows = storm.rows(
        "SELECT focus, count(*) AS total FROM event "
        "WHERE kind = 'encounter-discharged' GROUP BY focus"
    )
    assert {row["focus"]: row["total"] for row in rows} == {
        f"Encounter/{name}-stay": 1 for name in everybody
    }
    rows = storm.rows(
        "SELECT patient, count(*) AS total FROM nudge WHERE action = 'check-in' "
        "GROUP BY patient"
    )
    assert {row["patient"]: row["total"] for row in rows} == {
        f"Patient/{name}": 1 for name in everybody
    }


def check_states(storm: Storm, everybody: list[str]) -> None:
    """What we remember of each focus is what the EHR has."""
    rows = storm.rows("SELECT reference, version FROM focus_state")
    known = {row["reference"]: row["version"] for row in rows}
    for name in everybody:
        stay = storm.ehr.fetch(f"Encounter/{name}-stay")
        assert known[f"Encounter/{name}-stay"] == stay["meta"]["versionId"]


def check_acknowledged(storm: Storm) -> None:
    """Everything that was answered 200 is kept, byte for byte."""
    kept = {bytes(row["body"]) for row in storm.rows("SELECT body FROM notification")}
    answered = [item for item in storm.relay.carried if item.status == 200]
    hooks = [item for item in answered if item.path.startswith("/hooks/")]
    assert hooks
    assert [item.path for item in hooks if item.body not in kept] == []


def check_texts(storm: Storm, everybody: list[str]) -> None:
    """Each was texted once; or it is unknown, and a person was asked."""
    texts = storm.texts()
    assert max(texts.values()) == 1
    asked = {
        row["nudge_id"]
        for row in storm.rows(
            "SELECT nudge_id FROM staff_task WHERE reason = 'delivery-unknown'"
        )
    }
    for row in storm.rows(
        "SELECT id, patient, state, reason FROM nudge WHERE action = 'check-in'"
    ):
        name = row["patient"].partition("/")[2]
        told = texts.get(number_of(name), 0)
        if row["state"] == "sent":
            assert told == 1, row
        else:
            assert (row["state"], row["reason"]) == ("failed", "delivery-unknown"), row
            assert row["id"] in asked, row
    assert len(everybody) == POINTS * PATIENTS
