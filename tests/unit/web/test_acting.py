"""Holding, releasing and forwarding from the console, down to what is sent."""

import threading

import pytest

from middleware.cli.admin import SCOPES
from middleware.storage import switches
from tests.stages.world import CHECK_IN
from tests.unit.web.conftest import Console


@pytest.fixture
def due(console: Console) -> Console:
    """Rosa's check-in is due now, and an administrator is logged in."""
    console.world.discharge()
    console.world.run()
    console.world.clock.instant = CHECK_IN
    return console.login()


@pytest.mark.parametrize(
    "what",
    ["all:*", "plan:post-discharge", "topic:post-discharge", "endpoint:north"],
)
def test_hold_stops_the_message_at_the_gate(due, what):
    due.post("/console/hold", what=what, reason="wording under review")
    due.world.run()

    assert due.world.deliveries() == []
    nudge = due.world.nudge()
    assert (nudge["state"], nudge["reason"]) == ("held", "switched-off")
    assert due.audited()[-1] == ("hold", what)


def test_hold_of_another_plan_lets_the_message_go(due):
    due.post("/console/hold", what="plan:colorectal", reason="wording")
    due.world.run()

    assert len(due.world.deliveries()) == 1


def test_release_lets_the_message_go_at_once(due):
    due.post("/console/hold", what="plan:post-discharge", reason="wording")
    due.world.run()

    due.post("/console/release", scope="plan", target="post-discharge")

    shard = due.world.nudge()["shard"]
    assert due.woken == [("deliver", shard)]
    due.world.run()
    assert len(due.world.deliveries()) == 1
    assert due.audited()[-2:] == [
        ("hold", "plan:post-discharge"),
        ("release", "plan:post-discharge"),
    ]


def test_hold_keeps_who_and_why(due):
    due.post("/console/hold", what="channel:sms", reason="  provider is down  ")

    with due.world.database.tx() as tx:
        row = switches.list_switches(tx)[0]
    assert (row.scope, row.target, row.reason, row.set_by) == (
        "channel",
        "sms",
        "provider is down",
        "A. Mehta",
    )


@pytest.mark.parametrize(
    ("what", "reason"),
    [("plan:unknown", "x"), ("sky:blue", "x"), ("", "x"), ("all:*", "  "), ("all", "x")],
)  # fmt: skip
def test_hold_of_nothing_known_changes_nothing(due, what, reason):
    before = due.audited()

    due.post("/console/hold", what=what, reason=reason)

    assert "Nothing was held" in due.get()
    assert due.world.one("SELECT count(*) FROM switch") == 0
    assert due.audited() == before


def test_second_hold_of_the_same_is_said_and_not_audited(due):
    for _ in range(2):
        due.post("/console/hold", what="all:*", reason="storm")

    assert "was held already" in due.get()
    assert [name for name, _ in due.audited()].count("hold") == 1


def test_release_of_what_is_not_held_is_said(due):
    due.post("/console/release", scope="plan", target="colorectal")

    assert "There was no such hold" in due.get()
    assert [name for name, _ in due.audited()].count("release") == 0


def test_holds_of_two_people_at_once_make_one(due):
    token, cookie = (
        due.csrf(),
        due.client.get_cookie("carecue_console", path="/console"),
    )
    assert cookie
    app = due.client.application

    def press() -> None:
        client = app.test_client()
        client.set_cookie("carecue_console", cookie.value, path="/console")
        client.post(
            "/console/hold", data={"csrf": token, "what": "all:*", "reason": "storm"}
        )

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert due.world.one("SELECT count(*) FROM switch") == 1


def test_page_offers_what_the_command_line_holds(due):
    page = due.get()

    assert [scope for scope in SCOPES if f'value="{scope}:' not in page] == []


def test_clock_is_forwarded_audited_and_told(due):
    due.post("/console/clock", to="hour")

    assert "Moved: hour." in due.get()
    assert due.audited()[-1] == ("clock-forward", "hour")
