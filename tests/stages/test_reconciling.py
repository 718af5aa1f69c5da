"""The poll: a server's clock that is set back, one that cannot search, and its share."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from middleware.stages.reconcile import LONGEST_STEP, poll_endpoints
from middleware.storage import completeness, inbox
from tests.stages.numbered import Numbered, Servers
from tests.stages.world import START

STAY, OTHER, THIRD = "Encounter/stay", "Encounter/other", "Encounter/third"
BACK = timedelta(minutes=30)


@pytest.fixture
def servers(world, intake) -> Servers:
    return Servers(world, intake)


class Clocked:
    """A server whose own clock may be set back; it may hide its Date."""

    def __init__(self, servers: Servers, *, dated: bool, **options) -> None:
        self.servers = servers
        self.off = timedelta(0)
        date = self.now if dated else (lambda: None)
        self.server: Numbered = servers.add(date=date, **options)

    def now(self) -> datetime:
        return self.servers.world.clock.now() + self.off

    def change(self, name: str) -> None:
        self.server.change(name, at=self.now())

    def poll(self, **wait: float) -> None:
        self.servers.world.clock.instant += timedelta(**(wait or {"seconds": 60}))
        poll_endpoints(self.servers.context)

    def since(self) -> datetime:
        with self.servers.world.database.tx() as tx:
            cursor = inbox.read_cursor(tx, self.server.endpoint.id, "Encounter")
        assert cursor is not None
        return cursor.since


@pytest.mark.parametrize("minutes", [1, 3, 30, 23 * 60])
def test_what_is_written_after_a_clock_was_set_back_is_found(servers, minutes) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.change(STAY)
    ehr.poll()
    ehr.off = -timedelta(minutes=minutes)
    ehr.servers.world.clock.instant += timedelta(seconds=5)
    ehr.change(OTHER)
    ehr.poll()
    assert ehr.server.known() == ehr.server.latest()
    ehr.poll(minutes=2)
    ehr.change(THIRD)
    ehr.poll()
    assert ehr.server.known() == ehr.server.latest()


def test_a_clock_that_was_set_back_is_followed_until_it_has_caught_up(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.change(STAY)
    ehr.poll()
    assert ehr.since() == START
    ehr.off = -BACK
    ehr.change(OTHER)
    ehr.poll()
    assert ehr.since() <= ehr.now() + timedelta(seconds=1)
    for minute in range(40):
        ehr.change(f"Encounter/e{minute}")
        ehr.poll()
        assert ehr.server.known() == ehr.server.latest()
    assert ehr.since() > START


def test_polls_that_fail_meanwhile_lose_nothing(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.change(STAY)
    ehr.poll()
    ehr.off = -BACK
    ehr.change(OTHER)
    ehr.server.searches = ehr.server.histories = False
    for _ in range(6):
        ehr.poll()
    ehr.server.searches = True
    ehr.poll()
    assert ehr.server.known() == ehr.server.latest()


def test_a_date_of_another_clock_does_not_move_the_cursor(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.change(STAY)
    ehr.poll()
    ehr.off = -2 * LONGEST_STEP
    ehr.poll()
    ehr.poll()
    assert ehr.since() == START
    asked = [line for line in ehr.server.asked if line.startswith("Encounter?")]
    assert len(asked) == 3


def test_without_a_date_the_newest_version_tells_of_an_older_clock(servers) -> None:
    """As after the EHR was restored, or its newest version taken away."""
    ehr = Clocked(servers, dated=False)
    ehr.change(STAY)
    ehr.poll()
    del ehr.server.versions[STAY]
    ehr.off = -BACK
    ehr.change(OTHER)
    ehr.poll()
    assert OTHER in ehr.server.known()
    assert ehr.since() == START - BACK + timedelta(seconds=60)


def test_a_server_without_search_is_polled_by_its_history(servers) -> None:
    ehr = Clocked(servers, dated=True, searches=False)
    for _ in range(3):
        ehr.change(STAY)
    ehr.poll()
    assert ehr.server.inbox() == {(STAY, "1"), (STAY, "2"), (STAY, "3")}
    ehr.server.versions[OTHER] = [
        {
            "resourceType": "Encounter",
            "id": "other",
            "meta": {"versionId": "2", "lastUpdated": START.isoformat()},
            "_deleted": True,
        }
    ]
    ehr.poll()
    rows = servers.world.rows("SELECT interaction FROM inbox WHERE focus = %s", OTHER)
    assert [row["interaction"] for row in rows] == ["delete"]


def test_a_server_with_neither_says_so_and_keeps_the_cursor(servers) -> None:
    ehr = Clocked(servers, dated=True, searches=False, histories=False)
    ehr.change(STAY)
    ehr.poll()
    rows = servers.world.rows(
        "SELECT since, error FROM poll_cursor WHERE resource_type = 'Encounter' "
        "AND endpoint_id = %s",
        ehr.server.endpoint.id,
    )
    assert [row["since"] for row in rows] == [START]
    assert rows[0]["error"].startswith(
        "answered 400. `carecue endpoint check server-1`"
    )


def test_a_search_that_answers_with_everything_makes_no_news_of_the_past(
    servers,
) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.server.change(OTHER, at=START - timedelta(days=30))
    ehr.change(STAY)
    whole = ehr.server.fetch_search
    ehr.server.fetch_search = lambda query, **options: whole(  # type: ignore[method-assign]
        query.partition("?")[0], **options
    )
    ehr.poll()
    assert ehr.server.known() == {STAY: "1"}


def share(servers: Servers, server: Numbered) -> completeness.Share | None:
    with servers.world.database.tx() as tx:
        shares = completeness.read_shares(tx, servers.world.clock.now())
    return shares.get((server.endpoint.id, "Encounter"))


def test_the_share_that_push_delivered_is_measured(servers) -> None:
    ehr = Clocked(servers, dated=True)
    server = ehr.server
    ehr.poll()
    for number in range(10):
        place = server.change(f"Encounter/e{number}")
        if number % 5:
            server.deliver(place)
    ehr.poll()
    ehr.poll()
    assert share(servers, server) == completeness.Share(10, 8)
    ehr.poll()
    assert share(servers, server) == completeness.Share(10, 8)


def test_a_notification_that_comes_just_after_the_poll_counts(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.poll()
    place = ehr.server.change(STAY)
    ehr.poll()
    ehr.server.deliver(place)
    ehr.poll()
    found = share(servers, ehr.server)
    assert found == completeness.Share(1, 1)
    assert found.ratio == 1


def test_an_older_version_that_was_pushed_does_not_count(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.poll()
    place = ehr.server.change(STAY)
    ehr.server.change(STAY)
    ehr.server.deliver(place)
    ehr.poll()
    ehr.poll()
    assert share(servers, ehr.server) == completeness.Share(1, 0)


def test_shares_are_of_the_last_seven_days(servers) -> None:
    ehr = Clocked(servers, dated=True)
    ehr.poll()
    ehr.change(STAY)
    ehr.poll()
    ehr.poll()
    assert share(servers, ehr.server) == completeness.Share(1, 0)
    assert completeness.Share(0, 0).ratio is None
    servers.world.clock.instant += timedelta(days=8)
    assert share(servers, ehr.server) is None
    servers.world.clock.instant += timedelta(days=40)
    ehr.poll()
    assert servers.world.rows("SELECT 1 FROM completeness") == []
