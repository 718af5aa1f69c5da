"""The provider is down, unsure, refuses or reports: once is once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mappings.delivery import Receipt
from mappings.errors import ChannelError
from middleware.ports import require_no_transaction
from middleware.stages.orphans import wake_orphans
from middleware.storage import orphans
from tests.stages.world import CHECK_IN, MAIL, NUMBER, World

AWAY = ChannelError("the provider answered 503", reason="channel-down")
NO_SUCH = ChannelError("no such number", reason="address-invalid", permanent=True)
REFUSED = ChannelError("no", reason="provider-refused", permanent=True)
OPTED_OUT = ChannelError("21610", reason="opted-out", permanent=True)
UNSURE = ChannelError("no answer", reason="delivery-unknown", maybe_sent=True)


@pytest.fixture
def due(world: World) -> World:
    """Rosa's check-in is due now; she may be e-mailed as well."""
    world.permit(system="email", value=MAIL)
    world.discharge()
    world.run()
    world.clock.instant = CHECK_IN
    return world


def test_a_provider_that_is_away_is_asked_again_and_sends_once(due: World) -> None:
    due.sms.answers = [AWAY, AWAY]
    due.run()
    assert due.state() == "planned: channel-down"
    due.wait(minutes=30)
    due.wait(minutes=30)
    due.wait(hours=1)
    assert (len(due.sms.sent), len(due.email.sent)) == (1, 0)
    assert due.deliveries() == ["sms failed", "sms failed", "sms sent"]
    assert len(due.fhir.list_created("Communication")) == 1


def test_a_provider_that_stays_away_ends_in_a_named_failure(due: World) -> None:
    due.sms.answers = [AWAY] * 50
    for _ in range(52):
        due.wait(hours=1)
    assert due.state() == "failed: retries-exhausted"
    assert (due.sms.sent, due.email.sent) == ([], [])


def test_a_permanent_refusal_is_a_named_failure(due: World) -> None:
    due.sms.answers = [REFUSED]
    due.run()
    assert due.state() == "failed: provider-refused"
    due.wait(hours=12)
    assert due.sms.sent == []


def test_a_number_that_does_not_exist_gives_way_to_the_next_channel(due: World) -> None:
    due.sms.answers = [NO_SUCH]
    due.run()
    assert due.deliveries() == ["sms failed", "email sent"]
    assert due.state() == "sent: due"
    (message,) = due.email.sent
    assert message.address == MAIL
    assert len(due.fhir.list_created("Communication")) == 1


def test_an_opt_out_at_the_provider_is_a_denial_of_ours(due: World) -> None:
    due.sms.answers = [OPTED_OUT]
    due.run()
    assert due.one(
        "SELECT count(*) FROM consent WHERE NOT permit AND value = %s", NUMBER
    )
    assert due.sms.sent == []
    assert due.deliveries()[0] == "sms failed"


@pytest.mark.parametrize("answer", ["look", Receipt("SM-9")])
def test_unsure_and_found_is_sent_once(due: World, answer: Any) -> None:
    due.sms.answers, due.sms.finds = [UNSURE], [answer]
    due.run()
    due.wait(hours=4)
    assert len(due.sms.sent) == 1
    assert due.state() == "sent: due"
    assert due.tasks() == []
    assert len(due.fhir.list_created("Communication")) == 1


@pytest.mark.parametrize("answer", [None, UNSURE, ValueError("nonsense")])
def test_unsure_and_not_found_is_unknown_and_asks_a_person(
    due: World, answer: Any
) -> None:
    due.sms.answers, due.sms.finds = [UNSURE], [answer]
    due.run()
    due.wait(hours=4)
    assert len(due.sms.sent) == 1
    assert due.state() == "failed: delivery-unknown"
    assert due.deliveries() == ["sms unknown"]
    assert due.tasks() == [("delivery-unknown", "urgent")]
    assert due.email.sent == []


def test_unknown_and_then_reported_delivered_is_known(due: World) -> None:
    due.sms.answers, due.sms.finds = [UNSURE], [None]
    due.run()
    delivery = due.one("SELECT id FROM delivery")
    due.receipt(delivery, "delivered")
    due.run()
    assert due.deliveries() == ["sms delivered"]
    assert due.state() == "sent: due"
    (said,) = due.fhir.list_created("Communication")
    assert said["status"] == "completed"


def test_a_channel_that_breaks_is_never_sent_again_blindly(due: World) -> None:
    due.sms.answers, due.sms.finds = [ValueError("broken")], [None]
    due.run()
    due.wait(hours=4)
    assert len(due.sms.sent) == 1
    assert due.state() == "failed: delivery-unknown"
    assert due.tasks() == [("delivery-unknown", "urgent")]


def test_a_channel_that_is_not_set_up_holds_up_nobody(due: World) -> None:
    del due.context.channels["sms"]  # type: ignore[attr-defined]
    due.run()
    assert due.state() == "planned: channel-down"
    assert due.deliveries() == ["sms failed"]


def crash(due: World, *, stored_there: bool) -> str:
    """The worker dies between the gate's commit and its next one."""

    class Killed(BaseException):
        """As a kill: nothing of ours catches it."""

    def die(message: Any) -> None:
        if stored_there:
            due.sms.sent.append(message)
        raise Killed

    due.sms.on_send = die
    with pytest.raises(Killed):
        due.run("deliver")
    due.sms.on_send = lambda message: None
    assert due.state() == "sending: due"
    return str(due.one("SELECT id FROM delivery"))


@pytest.mark.parametrize("stored_there", [True, False])
def test_a_worker_that_died_while_sending(due: World, stored_there: bool) -> None:
    crash(due, stored_there=stored_there)
    due.sms.finds = ["look"]
    due.clock.instant += timedelta(seconds=30)
    due.step_everywhere("deliver")
    due.run()
    due.wait(hours=6)
    if stored_there:
        assert (due.state(), due.tasks()) == ("sent: due", [])
        assert len(due.fhir.list_created("Communication")) == 1
    else:
        assert due.state() == "failed: delivery-unknown"
        assert due.tasks() == [("delivery-unknown", "urgent")]
    assert len(due.sms.sent) == int(stored_there)


def test_a_dead_workers_delivery_is_found_without_other_work(due: World) -> None:
    """Nothing else is due in its shard: somebody must wake it all the same."""
    crash(due, stored_there=True)
    due.sms.finds = ["look"]
    due.wakes.clear()
    due.clock.instant += timedelta(minutes=1)
    wake_orphans(due.context)
    shard = due.nudge()["shard"]
    assert due.wakes == [("deliver", shard)]
    due.step("deliver", shard)
    assert due.state() == "sent: due"
    due.wakes.clear()
    wake_orphans(due.context)
    assert due.wakes == []


def test_a_receipt_that_overtakes_our_commit_waits_for_it(due: World) -> None:
    def report(message: Any) -> None:
        due.receipt(message.delivery_id, "delivered")
        due.run("listen")

    due.sms.on_send = report
    due.run("deliver")
    assert due.deliveries() == ["sms sent"]
    due.wait(seconds=2)
    assert due.deliveries() == ["sms delivered"]
    (said,) = due.fhir.list_created("Communication")
    assert said["status"] == "completed"


def test_receipts_twice_and_in_the_wrong_order_change_nothing(due: World) -> None:
    due.run()
    delivery = due.one("SELECT id FROM delivery")
    assert due.receipt(delivery, "delivered")
    due.run()
    before = due.snapshot()
    assert not due.receipt(delivery, "delivered")
    for status in ("sent", "queued", "failed", "undelivered", "martian"):
        due.receipt(delivery, status)
    due.run()
    assert due.snapshot() == before
    assert due.deliveries() == ["sms delivered"]


def test_a_failure_reported_later_is_named_and_told_to_the_ehr(due: World) -> None:
    due.run()
    delivery = due.one("SELECT id FROM delivery")
    due.receipt(delivery, "undelivered", reason="address-unreachable")
    due.run()
    assert due.deliveries() == ["sms failed"]
    assert due.state() == "failed: address-unreachable"
    (said,) = due.fhir.list_created("Communication")
    assert said["status"] == "not-done"


def test_a_receipt_for_nothing_of_ours_is_let_go(due: World) -> None:
    due.receipt("nobody", "delivered")
    due.run("listen")
    assert due.one("SELECT state FROM inbound") == "done"


def test_no_network_is_asked_inside_a_transaction(due: World) -> None:
    """The scripted provider is called where no transaction is open."""
    due.sms.on_send = lambda message: require_no_transaction("sending")
    due.fhir.on_read = lambda what: require_no_transaction("reading")
    due.run()
    assert due.state() == "sent: due"
    with due.database.tx() as tx:
        assert orphans.list_orphan_shards(tx, due.clock.now()) == []
