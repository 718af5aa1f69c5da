"""What deliveries told of their subscription is counted behind the intake."""

from __future__ import annotations

from datetime import timedelta

import pytest

from middleware.stages.track import track_subscriptions
from middleware.storage import subscriptions
from tests.stages.listening import subscribe
from tests.stages.world import START, World


@pytest.fixture
def tracked(world: World) -> World:
    subscribe(world)
    return world


def tell(world: World, number: int, *, status: str | None = None, later: int = 0):
    row = (number, "s1", START + timedelta(seconds=later), status, number, [number])
    with world.database.tx() as tx:
        tx.execute(
            "INSERT INTO tally (notification_id, subscription_id, received_at, type, "
            "status, count, numbers) "
            "VALUES (%s, %s, %s, 'event-notification', %s, %s, %s)",
            row,
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
