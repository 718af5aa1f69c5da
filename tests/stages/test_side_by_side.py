"""Patients go side by side, each in order, and nobody waits for a slow or dead other."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice
from typing import Any

import pytest

from mappings.delivery import Message
from mappings.errors import ChannelError
from mappings.instants import write_instant
from middleware.decisions.circuit import FAULTS, FIRST_SHUT, PROBE
from middleware.stages.circuits import make_teller
from middleware.stages.lanes import PLACES, Lanes
from middleware.stages.side_by_side import work_side_by_side
from middleware.storage.circuits import LINGER, list_shut
from middleware.storage.ids import shard_of
from tests.stages.world import (
    CHECK_IN,
    DOWN,
    ENDPOINT,
    World,
    appointment,
    encounter,
    patient,
)

SHARD = 7
CROWD = 10
AWAY = ChannelError("the provider answered 503", reason="channel-down")
# Bounds a failing test only: a test that holds never waits for it.
PATIENCE = 60.0


class Crossing:
    """Counts who is in at once; ``meet`` waits until ``full`` have been in together."""

    def __init__(self, full: int) -> None:
        self.peak = 0
        self._inside = 0
        self._full = full
        self._guard = threading.Lock()
        self._met = threading.Event()

    def meet(self, *_: Any) -> None:
        with self._guard:
            self._inside += 1
            self.peak = max(self.peak, self._inside)
            if self._inside >= self._full:
                self._met.set()
        assert self._met.wait(PATIENCE), "they did not come together"
        with self._guard:
            self._inside -= 1


def names_in_one_shard(kind: str) -> list[str]:
    names = (f"{kind}{number}" for number in count())
    found = (n for n in names if shard_of(ENDPOINT.id, f"Patient/{n}") == SHARD)
    return list(islice(found, CROWD))


def crowd(world: World, channel: str) -> list[str]:
    """Ten patients of one shard, reachable by one channel, discharged today."""
    found = names_in_one_shard(channel)
    for number, name in enumerate(found):
        value = f"+131255501{number:02d}" if channel == "sms" else f"{name}@example.org"
        telecom = [{"system": channel, "value": value, "use": "mobile", "rank": 1}]
        world.fhir.put(patient(id=name, telecom=telecom))
        world.permit(patient=f"Patient/{name}", system=channel, value=value)
        stay = world.fhir.put(
            encounter(id=f"stay-{name}", subject={"reference": f"Patient/{name}"})
        )
        world.notify(stay)
    return found


def make_due(world: World) -> World:
    world.run("resolve", "decide")
    world.clock.instant = CHECK_IN
    return world


def states(world: World, channel: str) -> Counter[str]:
    rows = world.rows(
        "SELECT state || ': ' || reason AS said FROM nudge "
        "WHERE action = 'check-in' AND patient LIKE %s",
        f"Patient/{channel}%",
    )
    return Counter(row["said"] for row in rows)


def test_patients_of_one_shard_are_sent_to_side_by_side_up_to_the_limit(
    world: World,
) -> None:
    crowd(world, "sms")
    make_due(world)
    provider = Crossing(PLACES)
    world.sms.on_send = provider.meet
    world.run("deliver")
    assert provider.peak == PLACES
    assert len(world.sms.sent) == CROWD
    assert len({message.address for message in world.sms.sent}) == CROWD


def test_charts_are_read_side_by_side_too(world: World) -> None:
    crowd(world, "sms")
    make_due(world)
    ehr = Crossing(PLACES)
    world.fhir.on_read = ehr.meet
    world.run("deliver")
    assert ehr.peak == PLACES
    assert len(world.sms.sent) == CROWD


def test_side_by_side_a_limit_counts_what_is_just_being_sent(world: World) -> None:
    """Three messages to one patient are due on one day, and one a day is allowed."""
    world.discharge()
    for day in (24, 25):
        start = write_instant(CHECK_IN.replace(day=day, hour=15))
        world.notify(world.fhir.put(appointment(id=f"visit{day}", start=start)))
    make_due(world)
    with world.database.tx() as tx:
        due = "UPDATE nudge SET due_at = %s WHERE state = 'planned' RETURNING id"
        assert len(tx.execute(due, (CHECK_IN,)).fetchall()) >= 3
    world.run("deliver")
    assert len(world.sms.sent) == 1


def test_one_queue_is_worked_on_in_its_order_and_never_twice_at_once() -> None:
    lanes, inside = Lanes(8), Counter[str]()
    done: dict[str, list[int]] = {name: [] for name in "abcdefgh"}
    together = Crossing(8)

    def work(item: tuple[str, int], place: Any) -> bool:
        name, number = item
        inside[name] += 1
        assert inside[name] == 1
        if number == 0:
            together.meet()
        done[name].append(number)
        inside[name] -= 1
        return number < 3

    queues = [[(name, number) for number in range(6)] for name in done]
    assert work_side_by_side(lanes, queues, lambda item: "one", work) == 32
    assert set(map(tuple, done.values())) == {(0, 1, 2, 3)}


def test_a_provider_that_does_not_answer_holds_up_no_other_channel(
    world: World,
) -> None:
    crowd(world, "sms")
    crowd(world, "email")
    make_due(world)
    with world.database.tx() as tx:  # the texts stand first in the list
        tx.execute("UPDATE nudge SET due_at = %s WHERE channel = 'sms'", (CHECK_IN,))
        tx.execute(
            "UPDATE nudge SET due_at = %s WHERE channel = 'email'",
            (CHECK_IN + timedelta(seconds=1),),
        )
    world.clock.instant = CHECK_IN + timedelta(seconds=2)
    all_mailed, mailed = threading.Event(), Counter[str]()

    def mail(message: Message) -> None:
        mailed[message.address] += 1
        if len(mailed) == CROWD:
            all_mailed.set()

    def text(message: Message) -> None:
        assert all_mailed.wait(PATIENCE), "the e-mails waited for the texts"

    world.sms.on_send, world.email.on_send = text, mail
    world.run("deliver")
    assert (len(world.sms.sent), len(world.email.sent)) == (CROWD, CROWD)
    assert set(mailed.values()) == {1}


def test_a_channel_that_fails_is_left_alone_and_costs_its_rows_nothing(
    world: World,
) -> None:
    crowd(world, "sms")
    crowd(world, "email")
    make_due(world)
    world.context.lanes.places = 1
    world.sms.answers = [AWAY] * FAULTS
    world.run("deliver")
    assert world.sms.sent == []
    assert len(world.email.sent) == CROWD
    assert states(world, "sms") == {
        "planned: channel-down": FAULTS,
        "held: channel-down": CROWD - FAULTS,
    }
    held = "SELECT max(attempts) FROM nudge WHERE state = 'held'"
    assert world.one(held) == 0


def test_a_shut_channel_is_probed_by_one_and_then_open_to_all(world: World) -> None:
    crowd(world, "sms")
    make_due(world)
    world.context.lanes.places = 1
    world.sms.answers = [AWAY] * (FAULTS + 1)
    world.run("deliver")
    world.clock.instant = CHECK_IN + FIRST_SHUT
    reads: list[str] = []
    world.fhir.on_read = reads.append
    world.run("deliver")
    # Those on their own retry and those held came due: one was tried, the rest wait.
    assert world.sms.answers == []
    assert world.one("SELECT count(*) FROM delivery") == FAULTS + 1
    world.clock.instant += 2 * FIRST_SHUT + PROBE
    world.run("deliver")
    world.clock.instant += PROBE + timedelta(minutes=5)
    world.run("deliver")
    assert len(world.sms.sent) == CROWD
    assert states(world, "sms") == {"sent: due": CROWD}


def test_a_held_row_of_a_shut_channel_does_not_read_the_ehr_again(
    world: World,
) -> None:
    crowd(world, "sms")
    make_due(world)
    world.context.lanes.places = 1
    world.sms.answers = [AWAY] * FAULTS
    world.run("deliver")
    reads: list[str] = []
    world.fhir.on_read = reads.append
    with world.database.tx() as tx:
        tx.execute("UPDATE nudge SET due_at = %s WHERE state = 'held'", (CHECK_IN,))
    world.run("deliver")
    assert reads == []
    assert states(world, "sms")["held: channel-down"] == CROWD - FAULTS


def test_an_ehr_that_is_away_is_not_asked_for_every_patient(world: World) -> None:
    crowd(world, "sms")
    make_due(world)
    world.context.lanes.places = 1
    asked: list[str] = []

    def fault(verb: str, what: str) -> Any:
        asked.append(what)
        return DOWN

    world.fhir.fault = fault
    world.run("deliver")
    assert len(asked) == FAULTS
    assert states(world, "sms") == {"held: ehr-unreachable": CROWD}
    world.fhir.fault = lambda verb, what: None
    world.clock.instant += FIRST_SHUT
    world.run("deliver")
    world.clock.instant += PROBE + timedelta(minutes=5)
    world.run("deliver")
    assert states(world, "sms") == {"sent: due": CROWD}


def shut_names(world: World) -> list[tuple[str, int]]:
    with world.database.tx() as tx:
        found = list_shut(tx, world.clock.now())
    return [(row.name, row.workers) for row in found]


def lanes_that_tell(world: World, worker: str) -> Lanes:
    return Lanes(1, make_teller(world.database, worker))


def test_what_a_worker_leaves_alone_is_seen_until_it_answers_again(
    world: World,
) -> None:
    crowd(world, "sms")
    make_due(world)
    world.context = replace(world.context, lanes=lanes_that_tell(world, "one"))
    world.sms.answers = [AWAY] * (FAULTS + 1)
    world.run("deliver")
    assert shut_names(world) == [("sms", 1)]
    world.clock.instant = CHECK_IN + FIRST_SHUT + timedelta(seconds=1)
    world.run("deliver")
    assert world.sms.answers == []
    # The probe failed: it is left alone for twice as long.
    world.clock.instant += FIRST_SHUT + PROBE
    assert shut_names(world) == [("sms", 1)]
    world.clock.instant += FIRST_SHUT
    world.run("deliver")
    assert shut_names(world) == []


def test_every_worker_tells_for_itself_and_a_dead_one_is_forgotten(
    world: World,
) -> None:
    crowd(world, "sms")
    make_due(world)
    world.fhir.fault = lambda verb, what: DOWN
    for worker in ("one", "two"):
        world.context = replace(world.context, lanes=lanes_that_tell(world, worker))
        with world.database.tx() as tx:
            tx.execute("UPDATE nudge SET due_at = %s", (CHECK_IN,))
        world.run("deliver")
    assert shut_names(world) == [(f"EHR {ENDPOINT.id}", 2)]
    world.clock.instant += FIRST_SHUT + LINGER
    assert shut_names(world) == []


def test_a_circuit_that_cannot_be_noted_holds_up_no_message(world: World) -> None:
    crowd(world, "sms")
    make_due(world)
    world.context = replace(world.context, lanes=lanes_that_tell(world, "one"))
    with world.database.tx() as tx:
        tx.execute("DROP TABLE circuit")
    world.sms.answers = [AWAY] * FAULTS
    world.run("deliver")
    assert states(world, "sms")["planned: channel-down"] == FAULTS


def test_one_patient_who_cannot_be_read_shuts_the_ehr_for_nobody(world: World) -> None:
    found = crowd(world, "sms")
    make_due(world)
    world.context.lanes.places = 1
    closed = [f"Patient/{name}" for name in found[: FAULTS + 1]]
    world.fhir.fault = lambda verb, what: (
        "forbidden" if verb == "part" and what in closed else None
    )
    world.run("deliver")
    assert len(world.sms.sent) == CROWD - len(closed)
    assert states(world, "sms")["held: ehr-unreachable"] == len(closed)


def test_a_message_that_changes_to_a_full_lane_waits_for_it(world: World) -> None:
    """Planned as a text, it would go by e-mail now, and that lane is full."""
    (name, *_) = crowd(world, "sms")
    make_due(world)
    mail = [{"system": "email", "value": "now@example.org", "rank": 1}]
    world.fhir.put(patient(id=name, telecom=mail))
    world.permit(patient=f"Patient/{name}", system="email", value="now@example.org")
    places = [world.context.lanes.enter("email") for _ in range(PLACES)]
    assert None not in places
    world.drain("deliver")
    mine = ("SELECT channel, state FROM nudge WHERE patient = %s", f"Patient/{name}")
    assert {"channel": "email", "state": "planned"} in world.rows(*mine)
    assert world.email.sent == []
    for place in places:
        if place is not None:
            place.leave()
    world.run("deliver")
    assert [message.address for message in world.email.sent] == ["now@example.org"]


def test_what_fails_ends_the_step_after_those_under_way_have_ended() -> None:
    lanes, begun = Lanes(2), threading.Barrier(2)
    ended: list[str] = []

    def work(item: str, place: Any) -> bool:
        begun.wait(PATIENCE)
        if item == "bad":
            raise KeyError(item)
        ended.append(item)
        return True

    with pytest.raises(KeyError):
        work_side_by_side(lanes, [["bad", "never"], ["good"]], lambda item: "one", work)
    assert ended == ["good"]
    assert [lanes.enter("one") is None for _ in range(3)] == [False, False, True]
