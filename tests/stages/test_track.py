"""What deliveries told of their subscription is counted behind the intake."""

from __future__ import annotations

from datetime import timedelta

import pytest

from middleware.stages.track import track_subscriptions
from middleware.storage import conditions, subscriptions
from subscriptions.numbering import Hole, Mode
from tests.stages.listening import subscribe
from tests.stages.world import START, World


@pytest.fixture
def tracked(world: World) -> World:
    subscribe(world)
    return world


def tell(world: World, number: int, *, later: int = 0, **changes):
    row = {
        "id": number,
        "at": START + timedelta(seconds=later),
        "status": None,
        "type": "event-notification",
        "count": number,
        "numbers": [number],
        "digests": [f"d{number}"],
        "reference": None,
    }
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO tally (notification_id, subscription_id, received_at, type, "
            "status, count, numbers, digests, reference) VALUES (%(id)s, 's1', %(at)s, %(type)s, "
            "%(status)s, %(count)s, %(numbers)s, %(digests)s, %(reference)s)",
            row | changes,
        )


def state(world: World):
    with world.database.tx() as tx:
        row = subscriptions.get_subscription(tx, "s1")
    assert row is not None
    return row.status, row.last_number, row.last_seen_at


def test_tallies_become_the_subscriptions_state_and_are_gone(tracked):
    tell(tracked, 2, status="error", later=5)
    tell(tracked, 1, status="active")

    assert track_subscriptions(tracked.context) == 2

    assert state(tracked) == ("error", 2, START + timedelta(seconds=5))
    assert tracked.rows("SELECT 1 FROM tally") == []
    assert track_subscriptions(tracked.context) == 0


def test_status_that_is_no_status_changes_nothing(tracked):
    tell(tracked, 1, status="weird")

    track_subscriptions(tracked.context)

    assert state(tracked)[0] == "active"


def test_subscription_that_another_counts_is_left_to_it(tracked):
    tell(tracked, 1)
    with tracked.database.tx() as tx:
        tx.execute("SELECT 1 FROM subscription WHERE id = 's1' FOR UPDATE")
        assert track_subscriptions(tracked.context) == 0

    assert track_subscriptions(tracked.context) == 1


def condition(world: World):
    with world.database.tx() as tx:
        (watched,) = conditions.list_watched(tx)
    return watched.condition


def test_numbers_are_counted_over_many_turns(tracked):
    for number in (1, 2, 5):
        tell(tracked, number, later=number)
        track_subscriptions(tracked.context)
    tell(tracked, 4, later=6)
    track_subscriptions(tracked.context)

    known = condition(tracked).numbering
    assert known.mode is Mode.MONOTONIC
    assert known.holes == (Hole(3, 3, START + timedelta(seconds=5)),)
    assert dict(known.recent)[4] == "d4"


@pytest.mark.requirement("hl7.fhir.uv.subscriptions_1.1.0@81")
@pytest.mark.parametrize("status", ["error", "off"])
def test_error_and_off_become_the_subscriptions_trouble(tracked, status):
    tell(tracked, 1, type="heartbeat", numbers=[], digests=[], status=status, later=3)
    tell(tracked, 2, status=status, later=9)

    track_subscriptions(tracked.context)

    known = condition(tracked)
    assert (known.trouble, known.trouble_at) == (status, START + timedelta(seconds=3))


def test_answers_to_our_own_questions_are_no_sign(tracked):
    tell(tracked, 1, type="query-event", count=4)

    track_subscriptions(tracked.context)

    assert state(tracked)[2] is None
    assert condition(tracked).last_sign == START
    assert condition(tracked).numbering.highest == 4


def test_hours_with_a_delivery_are_remembered_for_four_weeks(tracked):
    tell(tracked, 1, later=60)
    tell(tracked, 2, later=120)
    tell(tracked, 3, later=3600)
    track_subscriptions(tracked.context)
    with tracked.database.tx() as tx:
        heard = conditions.list_heard(tx)
    assert heard == {"s1": {START, START + timedelta(hours=1)}}

    tracked.clock.instant += timedelta(days=30)
    tell(tracked, 4, later=30 * 86400)
    track_subscriptions(tracked.context)
    with tracked.database.tx() as tx:
        heard = conditions.list_heard(tx)
    assert heard == {"s1": {START + timedelta(days=30)}}


def hears(world: World, *, server_id: str | None = None):
    """Two Subscriptions use one hook: ``17`` misses its second event, ``18`` none."""
    with world.database.tx() as tx:
        tx.execute("UPDATE subscription SET server_id = %s", (server_id,))
    told = [("17", 1), ("18", 1), ("18", 2), ("17", 3), ("18", 3)]
    for place, (reference, number) in enumerate(told):
        tell(
            world,
            place,
            reference=reference,
            count=number,
            numbers=[number],
            digests=[f"{reference}-{number}"],
        )
        track_subscriptions(world.context)
    with world.database.tx() as tx:
        (watched,) = conditions.list_watched(tx)
    return watched.condition


@pytest.mark.parametrize("server_id", [None, "17"])
def test_two_subscriptions_of_one_hook_are_counted_each_for_itself(tracked, server_id):
    found = hears(tracked, server_id=server_id)
    assert (found.own, list(found.others)) == ("17", ["18"])
    assert [(hole.first, hole.last) for hole in found.numbering.holes] == [(2, 2)]
    assert (found.others["18"].highest, found.others["18"].holes) == (3, ())
    assert [one.reset_at for one in found.numberings] == [None, None]
    assert [one.mode for one in found.numberings] == [Mode.MONOTONIC] * 2


def test_what_another_subscription_missed_is_counted_for_it(tracked):
    found = hears(tracked, server_id="18")
    assert (found.own, list(found.others)) == ("18", ["17"])
    assert found.numbering.holes == ()
    assert [(hole.first, hole.last) for hole in found.others["17"].holes] == [(2, 2)]
