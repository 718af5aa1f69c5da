"""/metrics is read by a strict reader of the Prometheus text format."""

from datetime import UTC, datetime, timedelta

import pytest

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from middleware.storage import endpoints, inbox, schedule
from middleware.storage.circuits import set_circuit
from middleware.storage.subscriptions import insert_subscription
from middleware.web import metrics
from tests.stages.world import CHECK_IN
from tests.unit.storage.seeds import SUBSCRIPTION
from tests.unit.web.prometheus import read_exposition, scrape, total


def test_metrics_count_what_happened(console):
    console.world.discharge()
    console.world.run()
    console.world.go(CHECK_IN)
    console.world.run()
    console.tick()

    found = scrape(console)

    assert total(found, "nudges", state="sent", reason="due") == 1
    assert total(found, "deliveries", state="sent") == 1
    assert total(found, "events") == console.world.one("SELECT count(*) FROM event")
    assert total(found, "worker_tick_age_seconds") == 0
    assert total(found, "hand_over_seconds_count", channel="sms") == 1
    assert total(found, "hand_over_seconds_bucket", channel="sms", le="0.005") == 1
    assert total(found, "hand_over_seconds_bucket", channel="sms", le="+Inf") == 1
    assert total(found, "hand_over_seconds_sum", channel="sms") == 0


def test_big_numbers_keep_every_digit():
    assert metrics._number(123_456_789) == "123456789"
    assert metrics._number(0.25) == "0.250"


def test_two_subscriptions_of_one_type_are_one_series(console):
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        for number in (1, 2):
            row = {
                **vars(SUBSCRIPTION),
                "id": f"s{number}",
                "hook_key": f"h{number}",
                "endpoint_id": "north",
                "last_seen_at": now,
            }
            insert_subscription(tx, type(SUBSCRIPTION)(**row))

    found = scrape(console)

    labels = {"endpoint": "north", "type": "Encounter"}
    assert total(found, "notification_age_seconds", **labels) == 0


def test_wild_label_is_escaped(console):
    name = 'a"b\\c\nd'
    endpoint = Endpoint(
        id=name,
        name="Wild",
        kind=EndpointKind.TEST,
        fhir_base="http://127.0.0.1:8/fhir",
        backend=BackendClient(),
        app=AppClient(),
        site=Site(name="W", phone="", booking_url="", zone="UTC"),
    )
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        endpoints.insert_endpoint(tx, endpoint, now)
        inbox.advance_cursor(tx, name, "Encounter", now, now)

    found = scrape(console)

    assert total(found, "poll_age_seconds", endpoint=name, type="Encounter") == 0


def test_what_workers_leave_alone_is_counted(console):
    now = console.world.clock.now()
    with console.world.database.tx() as tx:
        for worker in ("one", "two"):
            set_circuit(tx, worker, "sms", now + timedelta(seconds=30), now)

    assert total(scrape(console), "circuits_shut", left="sms") == 2


def test_metrics_name_no_patient(console):
    console.world.discharge()
    console.world.run()

    assert "rosa" not in console.client.get("/metrics").text.lower()


@pytest.mark.parametrize(
    "text",
    ["a 1", "# TYPE a gauge\na 1", "# TYPE a gauge\na{b=c} 1\n", "# TYPE a b\n",
     "# TYPE a gauge\na 1\na 1\n", '# TYPE a gauge\na{b="\\x"} 1\n',
     "# TYPE a gauge\na one\n"],
)  # fmt: skip
def test_reader_refuses_what_the_format_does_not_allow(text):
    with pytest.raises(ValueError, match=r".+"):
        read_exposition(text)


def test_plans_that_retire_soon_are_counted(console):
    assert total(scrape(console), "plans_ending") == 0

    console.world.clock.instant = datetime(2027, 12, 1, tzinfo=UTC)

    assert total(scrape(console), "plans_ending") == len(console.ports.plans)


def test_content_that_cannot_be_used_is_counted_and_told(console):
    with console.world.database.tx() as tx:
        now = console.world.clock.now()
        schedule.claim(tx, schedule.CONTENT, timedelta(seconds=10), now)
        schedule.note_result(tx, schedule.CONTENT, "/site/plan.json: it is not JSON")

    found = scrape(console)

    assert total(found, "content_faults", process="worker") == 1
    assert total(found, "content_faults", process="serve") == 0
    page = console.login().get()
    assert "own content cannot be used: /site/plan.json: it is not JSON" in page
