"""What was dropped is found again, by number where the server has it, else by search."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.errors import FhirError
from middleware.stages import by_endpoint
from middleware.stages.reconcile import Look, poll_endpoints, read_changes
from middleware.stages.recover import recover_subscriptions
from middleware.stages.track import track_subscriptions
from tests.stages.numbered import Numbered, Servers
from tests.stages.world import START

STAY, OTHER = "Encounter/stay", "Encounter/other"


@pytest.fixture
def servers(world, intake) -> Servers:
    return Servers(world, intake)


def settle(servers: Servers, **wait: float) -> int:
    """Count what came, let time pass, recover."""
    track_subscriptions(servers.context)
    servers.world.clock.instant += timedelta(**(wait or {"seconds": 11}))
    done = recover_subscriptions(servers.context)
    track_subscriptions(servers.context)
    return done


def poll(servers: Servers, server: Numbered) -> None:
    """Poll one server, not those of the examples before."""
    now = servers.world.clock.now()
    look = Look(servers.context, server, server.endpoint, "Encounter", "poll", now)
    assert read_changes(look) is None


def searched(server: Numbered) -> list[str]:
    return [line.partition("?")[0] for line in server.asked if "?" in line]


def trouble(server: Numbered) -> tuple[Any, ...]:
    row = server.row()
    return row["trouble"], row["trouble_at"], row["recovered_at"]


def agree(server: Numbered, seconds: int = 300) -> None:
    """Let the subscription have a heartbeat."""
    with server.world.database.tx() as tx:
        tx.execute(
            "UPDATE subscription SET heartbeat_seconds = %s WHERE hook_key = %s",
            (seconds, server.hook_key),
        )


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@85")
def test_a_gap_is_filled_by_events_with_every_version(servers) -> None:
    server = servers.add(kept=lambda number: True)
    for _ in range(4):
        server.change(STAY)
    server.deliver(1)
    server.deliver(4)
    assert settle(servers) == 1
    assert server.inbox() == {(STAY, str(n)) for n in range(1, 5)}
    assert server.asked == ["Subscription/1/$events"]
    now = servers.world.clock.now()
    assert trouble(server) == (None, None, now)
    assert settle(servers) == 0
    assert server.row()["numbering"]["highest"] == 4


def test_a_hole_within_the_window_is_waited_for(servers) -> None:
    server = servers.add(kept=lambda number: True)
    for _ in range(3):
        server.change(STAY)
    server.deliver(1)
    server.deliver(3)
    assert settle(servers, seconds=9) == 0
    server.deliver(2)
    assert settle(servers, seconds=9) == 0
    assert server.asked == []


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@116")
@pytest.mark.parametrize(
    "kept", [None, lambda number: number == 2, lambda number: False]
)
def test_what_events_does_not_answer_in_full_is_searched(servers, kept) -> None:
    server = servers.add(kept=kept)
    server.change(STAY)
    server.change(OTHER)
    server.change("Encounter/third")
    server.change(STAY)
    server.deliver(1)
    server.deliver(4)
    assert settle(servers) == 1
    assert server.known() == server.latest()
    assert searched(server) == ["Encounter"]
    assert trouble(server)[0] is None


def test_a_server_that_cannot_search_is_read_by_its_history(servers) -> None:
    server = servers.add(searches=False)
    for _ in range(3):
        server.change(STAY)
    server.deliver(3)
    assert settle(servers) == 1
    assert server.inbox() == {(STAY, str(n)) for n in range(1, 4)}
    assert searched(server) == ["Encounter", "Encounter/_history"]


def test_a_recovery_that_fails_says_why_and_is_tried_again(servers) -> None:
    server = servers.add(searches=False, histories=False)
    server.change(OTHER)
    server.change(STAY)
    server.deliver(2)
    assert settle(servers) == 0
    row = server.row()
    assert (row["trouble"], row["recovered_at"]) == ("gap", None)
    assert row["recover_error"]
    asked = len(server.asked)
    assert settle(servers, seconds=30) == 0
    assert len(server.asked) == asked
    server.searches = True
    assert settle(servers, seconds=40) == 1
    assert server.known() == server.latest()
    assert server.row()["recover_error"] is None


def test_a_subscription_of_many_types_is_recovered_in_each(servers) -> None:
    server = servers.add()
    with servers.world.database.tx() as tx:
        tx.execute("UPDATE subscription SET resource_type = '*'")
    server.change("Appointment/visit")
    server.change(STAY)
    server.deliver(2)
    assert settle(servers) == 1
    assert server.known() == server.latest()


def test_numbers_that_begin_anew_are_read_again(servers) -> None:
    server = servers.add()
    server.change(STAY)
    server.change(STAY)
    server.deliver(1)
    server.deliver(2)
    server.restart()
    server.change(OTHER)
    server.change(STAY)
    server.restart()
    server.change("Encounter/third")
    server.deliver(1)
    assert settle(servers, seconds=1) == 1
    assert server.known() == server.latest()
    assert trouble(server)[0] is None


def test_a_heartbeat_ahead_of_us_is_read_again(servers) -> None:
    server = servers.add(kept=lambda number: True)
    server.change(STAY)
    server.deliver(1)
    server.change(OTHER)
    server.beat()
    assert settle(servers) == 1
    assert server.inbox() == {(STAY, "1"), (OTHER, "1")}


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
def test_silence_asks_for_the_status_and_finds_the_error(servers) -> None:
    server = servers.add(kept=lambda number: True)
    agree(server)
    server.change(STAY)
    server.deliver(1)
    server.change(OTHER)
    server.status = "error"
    assert settle(servers, seconds=479) == 0
    assert settle(servers, seconds=2) == 1
    assert server.asked[0] == "Subscription/1/$status"
    assert server.known() == server.latest()
    now = servers.world.clock.now()
    assert trouble(server) == ("error", now, now)
    assert server.row()["status"] == "error"
    assert server.row()["last_seen_at"] == START


def test_silence_that_the_server_explains_is_over(servers) -> None:
    server = servers.add(status="active")
    agree(server)
    server.change(STAY)
    assert settle(servers, seconds=481) == 1
    assert server.known() == server.latest()
    assert server.asked[:2] == ["Subscription/1/$status", "Subscription/1"]
    assert trouble(server) == (None, None, servers.world.clock.now())
    assert settle(servers, seconds=480) == 0
    assert settle(servers, seconds=1) == 1
    assert trouble(server)[0] == "silent"


def test_a_subscription_that_is_gone_is_off(servers) -> None:
    server = servers.add(status=None)
    agree(server)
    settle(servers, seconds=481)
    now = servers.world.clock.now()
    assert trouble(server) == ("off", now, now)


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@82")
def test_an_error_that_is_told_is_recovered_before_re_activation(servers) -> None:
    server = servers.add(kept=lambda number: True)
    server.change(STAY)
    server.change(OTHER)
    server.status = "error"
    server.beat()
    track_subscriptions(servers.context)
    told = servers.world.clock.now()
    assert trouble(server) == ("error", told, None)
    assert settle(servers, seconds=1) == 1
    assert server.known() == server.latest()
    name, at, recovered = trouble(server)
    assert (name, at) == ("error", told)
    assert recovered >= at


def test_usual_hours_without_a_sign_are_a_silence(servers) -> None:
    server = servers.add()
    for week in range(4):
        for hour in range(4):
            servers.world.clock.instant = START + timedelta(weeks=week, hours=hour)
            server.beat()
            track_subscriptions(servers.context)
    servers.world.clock.instant = START + timedelta(weeks=4, minutes=5)
    server.beat()
    assert settle(servers, hours=3) == 0
    server.change(STAY)
    assert settle(servers, hours=1) == 1
    assert server.known() == server.latest()


@pytest.mark.parametrize("fault", [FhirError("no answer"), ValueError("odd answer")])
def test_one_server_that_fails_keeps_no_other_waiting(servers, fault) -> None:
    def fail() -> Any:
        raise fault

    first, second = servers.add(date=fail), servers.add()
    for server in (first, second):
        server.change(OTHER)
        server.change(STAY)
        server.deliver(2)
    assert settle(servers) == 1
    assert first.row()["trouble"] == "gap"
    assert first.row()["recover_error"]
    assert second.known() == second.latest()
    second.change(OTHER)
    poll_endpoints(servers.context)
    assert second.known() == second.latest()


def test_one_server_that_is_silent_keeps_no_other_waiting(servers, monkeypatch) -> None:
    """Nor is it asked a second time while it has not answered."""
    monkeypatch.setattr(by_endpoint, "PATIENCE_SECONDS", 0.5)
    answers = threading.Event()

    def wait() -> None:
        answers.wait(60)

    first, second = servers.add(date=wait), servers.add()
    try:
        for server in (first, second):
            server.change(OTHER)
            server.change(STAY)
            server.deliver(2)
        assert settle(servers) == 1
        assert second.known() == second.latest()
        second.change(OTHER)
        for work in (poll_endpoints, poll_endpoints, recover_subscriptions):
            work(servers.context)
        assert second.known() == second.latest()
        asked = len(searched(first))
        for work in (poll_endpoints, recover_subscriptions):
            work(servers.context)
        assert len(searched(first)) == asked
    finally:
        answers.set()


ACTION = st.tuples(
    st.sampled_from([STAY, OTHER, "Encounter/third"]),
    st.sampled_from(["deliver", "deliver", "drop", "late", "twice", "restart"]),
    st.integers(1, 4),
)
NUMBERS = {
    "monotonic": lambda place: place,
    "relative": lambda place: 1,
    "zero": lambda place: 0,
    "absent": lambda place: None,
}
KEPT = {
    "all": lambda number: True,
    "half": lambda number: number % 2 == 0,
    "none": None,
}


def act(server: Numbered, actions: list[tuple[str, str, int]]) -> None:
    """Change, deliver, drop, delay and repeat; the clock goes on."""
    late: list[bytes] = []
    for name, what, seconds in actions:
        server.world.clock.instant += timedelta(seconds=seconds)
        if what == "restart":
            server.restart()
        place = server.change(name)
        written = server.numbers(place)
        body = server.notification("event-notification", [place], written)
        if what == "late":
            late.append(body)
        elif what != "drop":
            server.post(body)
        if what == "twice":
            server.post(body)
    for body in late:
        server.post(body)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    actions=st.lists(ACTION, min_size=1, max_size=12),
    numbers=st.sampled_from(sorted(NUMBERS)),
    kept=st.sampled_from(sorted(KEPT)),
    searches=st.booleans(),
)
def test_whatever_is_dropped_the_inbox_ends_as_the_server(
    servers, actions, numbers, kept, searches
) -> None:
    """Any numbering, any support of operations: with the poll nothing stays missing."""
    server = servers.add(numbers=NUMBERS[numbers], kept=KEPT[kept], searches=searches)
    act(server, actions)
    settle(servers)
    poll(servers, server)
    settle(servers)
    assert server.known() == server.latest()
    assert server.row()["trouble"] is None


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    actions=st.lists(ACTION, min_size=1, max_size=12).map(
        lambda items: [a for a in items if a[1] != "restart"] or [(STAY, "drop", 1)]
    ),
    kept=st.sampled_from(sorted(KEPT)),
)
def test_where_numbers_and_heartbeats_are_kept_no_poll_is_needed(
    servers, actions, kept
) -> None:
    """And where $events knows all, not one version in between is missing."""
    server = servers.add(kept=KEPT[kept])
    act(server, actions)
    server.beat()
    settle(servers)
    assert server.known() == server.latest()
    if kept == "all":
        assert server.inbox() == set(server.events)
        assert searched(server) == []
