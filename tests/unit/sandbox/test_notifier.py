"""The notifier over a real store and a real listener on loopback."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.definition import BACKPORT, SHAPE
from middleware.sandbox.faults import FaultPlan, Faults
from middleware.sandbox.journal import Journal
from middleware.sandbox.notifier import Notifier, compile_definition
from middleware.sandbox.store import Store
from tests.unit.sandbox.listening import Listener
from tests.unit.sandbox.notifying import TOPIC, number, topical

BASE = "http://127.0.0.1:1/fhir"


class Bench:
    def __init__(self, data_dir: Path | None = None) -> None:
        self.journal = Journal(data_dir)
        self.clock = SandboxClock(self.journal)
        self.store = Store(self.clock, self.journal)
        self.faults = Faults(self.journal, 7)
        zone = ZoneInfo("UTC")
        self.notifier = Notifier(
            self.store,
            self.clock,
            self.journal,
            faults=self.faults,
            base=BASE,
            compile_query=lambda d: compile_definition(d, BASE, zone),
        )
        self.notifier.start()

    def close(self) -> None:
        self.notifier.stop()
        self.journal.close()

    def quiet(self) -> None:
        assert self.notifier.wait_quiet(20)

    def encounter(self, id_: str, status: str = "finished") -> None:
        resource = {"resourceType": "Encounter", "status": status}
        resource["class"] = {"code": "IMP"}
        self.store.update("Encounter", id_, resource)

    def status(self, id_: str) -> tuple[str, str | None]:
        subscription = self.store.get("Subscription", id_)
        assert subscription is not None
        return subscription["status"], subscription.get("error")


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


def criteria(url: str, **changes: Any) -> dict[str, Any]:
    channel = {
        "type": "rest-hook",
        "endpoint": url,
        "payload": "application/fhir+json",
        "header": ["Authorization: Bearer s3"],
    }
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": "Encounter?status=finished,in-progress",
        "channel": channel,
        **changes,
    }


def named(bundle: dict[str, Any]) -> dict[str, Any]:
    parameters = bundle["entry"][0]["resource"]["parameter"]
    values = {}
    for parameter in parameters:
        found = [v for k, v in parameter.items() if k.startswith("value")]
        values[parameter["name"]] = found[0] if found else parameter["part"]
    return values


def kinds(listener: Listener) -> list[str]:
    return [named(r.json())["type"] for r in listener.received]


def test_criteria_put_carries_the_whole_matching_resource(bench, listener):
    bench.store.create("Subscription", criteria(listener.url), "c")
    bench.quiet()
    assert bench.status("c") == ("active", None)
    bench.encounter("e1")
    bench.encounter("e2", "planned")
    bench.encounter("e1", "cancelled")
    bench.store.delete("Encounter", "e1")
    bench.quiet()
    assert [(r.method, r.path) for r in listener.received] == [
        ("PUT", "/hook/Encounter/e1")
    ]
    sent = listener.received[0]
    assert sent.json() == bench.store.versions("Encounter", "e1")[0].resource
    assert sent.headers["content-type"] == "application/fhir+json"
    assert sent.headers["authorization"] == "Bearer s3"


def test_criteria_without_payload_posts_nothing(bench, listener):
    subscription = criteria(listener.url)
    del subscription["channel"]["payload"]
    bench.store.create("Subscription", subscription, "c")
    bench.encounter("e1")
    bench.quiet()
    assert [(r.method, r.path, r.body) for r in listener.received] == [
        ("POST", "/hook", b"")
    ]


@pytest.mark.parametrize("content", ["empty", "id-only", "full-resource"])
def test_backport_sends_handshake_then_numbered_events(bench, listener, content):
    bench.store.create("Subscription", topical(listener.url, content), "t")
    bench.quiet()
    bench.encounter("e1")
    bench.encounter("e1", "cancelled")
    bench.store.delete("Encounter", "e1")
    bench.quiet()
    bundles = [r.json() for r in listener.received]
    assert kinds(listener) == ["handshake", *["event-notification"] * 3]
    assert named(bundles[0])["status"] == "requested"
    assert named(bundles[0])["events-since-subscription-start"] == "0"
    assert [number(b) for b in bundles] == [[], ["1"], ["2"], ["3"]]
    assert [named(b)["status"] for b in bundles[1:]] == ["active"] * 3
    for bundle in bundles:
        assert bundle["type"] == "history"
        assert all("request" in e and "response" in e for e in bundle["entry"])
        first = bundle["entry"][0]["request"]["url"]
        assert first == f"{BASE}/Subscription/t/$status"
    focus = [p["name"] for p in named(bundles[1])["notification-event"]]
    resources = ["resource" in e for b in bundles[1:] for e in b["entry"][1:]]
    if content == "empty":
        assert (focus, resources) == (["event-number", "timestamp"], [])
    else:
        assert focus == ["event-number", "timestamp", "focus"]
        whole = content == "full-resource"
        assert resources == [whole, whole, False]
        methods = [b["entry"][1]["request"]["method"] for b in bundles[1:]]
        assert methods == ["POST", "PUT", "DELETE"]


def test_r5_shape_is_asked_for_by_extension(bench, listener):
    subscription = topical(listener.url, extension=[{"url": SHAPE, "valueCode": "r5"}])
    bench.store.create("Subscription", subscription, "t")
    bench.quiet()
    bench.encounter("e1")
    bench.quiet()
    bundle = listener.received[-1].json()
    status = bundle["entry"][0]["resource"]
    assert bundle["type"] == "subscription-notification"
    assert status["resourceType"] == "SubscriptionStatus"
    assert status["eventsSinceSubscriptionStart"] == "1"
    assert status["notificationEvent"][0]["eventNumber"] == "1"
    focus = {"reference": f"{BASE}/Encounter/e1"}
    assert status["notificationEvent"][0]["focus"] == focus
    assert status["topic"] == TOPIC


def test_handshake_not_answered_200_leads_to_error(bench, listener):
    listener.statuses = [202, 202, 202]
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    assert bench.status("t") == (
        "error",
        "the handshake was not answered 200 but HTTP 202",
    )
    bench.encounter("e1")
    bench.quiet()
    assert len(listener.received) == 3
    assert bench.notifier.standing("t").count == 0


def test_failed_delivery_errs_counts_on_and_is_reactivated(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    listener.statuses = [500, 500, 500]
    bench.encounter("e1")
    bench.quiet()
    status, error = bench.status("t")
    assert status == "error"
    assert error == "a notification was not accepted after three attempts: HTTP 500"
    bench.encounter("e2")
    bench.encounter("e3")
    bench.quiet()
    assert len(listener.received) == 4
    again = dict(bench.store.get("Subscription", "t"), status="requested")
    bench.store.update("Subscription", "t", again)
    bench.quiet()
    assert bench.status("t") == ("active", None)
    handshake = named(listener.received[-1].json())
    assert handshake["type"] == "handshake"
    assert handshake["events-since-subscription-start"] == "3"
    bench.encounter("e4")
    bench.quiet()
    assert number(listener.received[-1].json()) == ["4"]
    numbers = [event.number for event in bench.notifier.events("t", 2, 3)]
    assert numbers == [2, 3]
    assert bench.notifier.counts()["failed"] == 3


def test_first_attempts_may_fail(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    listener.statuses = [503, 404]
    bench.encounter("e1")
    bench.quiet()
    assert bench.status("t") == ("active", None)
    assert [number(r.json()) for r in listener.received[1:]] == [["1"]] * 3
    assert bench.notifier.counts()["sent"] == 1


def test_heartbeat_once_per_silent_period_of_simulated_time(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    bench.clock.advance(timedelta(seconds=299))
    bench.quiet()
    assert kinds(listener) == ["handshake"]
    bench.clock.advance(timedelta(seconds=2))
    bench.quiet()
    bench.clock.advance(timedelta(days=30))
    bench.quiet()
    assert kinds(listener) == ["handshake", "heartbeat", "heartbeat"]
    bench.clock.advance(timedelta(seconds=200))
    bench.encounter("e1")
    bench.quiet()
    bench.clock.advance(timedelta(seconds=200))
    bench.quiet()
    assert kinds(listener)[3:] == ["event-notification"]


def test_end_in_the_past_turns_off(bench, listener):
    end = (bench.clock.now() + timedelta(days=1)).isoformat()
    bench.store.create("Subscription", topical(listener.url, end=end), "t")
    bench.quiet()
    bench.clock.advance(timedelta(days=2))
    bench.encounter("e1")
    bench.quiet()
    assert bench.status("t") == ("off", None)
    assert kinds(listener) == ["handshake"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"criteria": "Encounter?nonsense=1"}, "nonsense"),
        ({"criteria": "nonsense"}, "do not begin with a resource type"),
        ({"criteria": "Nonsense?a=b"}, "no resource type Nonsense"),
        ({"criteria": "http://example.org/other"}, "topic in criteria"),
        ({"channel": {"type": "email"}}, "rest-hook"),
        (
            {"channel": {"type": "rest-hook", "endpoint": "http://192.0.2.1/x"}},
            "loopback",
        ),
    ],
)
def test_what_cannot_be_served_becomes_an_error(bench, listener, changes, error):
    bench.store.create("Subscription", criteria(listener.url, **changes), "c")
    bench.quiet()
    status, text = bench.status("c")
    assert (status, error in text) == ("error", True)
    assert listener.received == []


def test_filters_hold_together(bench, listener):
    filters = ["Encounter?status=finished", "Encounter.patient=Patient/p1"]
    url = f"{BACKPORT}backport-filter-criteria"
    subscription = topical(
        listener.url,
        _criteria={"extension": [{"url": url, "valueString": f} for f in filters]},
    )
    bench.store.create("Subscription", subscription, "t")
    bench.quiet()
    for id_, status, patient in (
        ("a", "finished", "p2"),
        ("b", "planned", "p1"),
        ("c", "finished", "p1"),
    ):
        subject = {"reference": f"Patient/{patient}"}
        encounter = {"status": status, "subject": subject, "class": {"code": "IMP"}}
        bench.store.create("Encounter", encounter, id_)
    bench.quiet()
    events = bench.notifier.events("t", 0, None)
    assert [event.id for event in events] == ["c"]


def test_max_count_packs_waiting_events(bench, listener):
    bench.store.create("Subscription", topical(listener.url, most=10), "t")
    bench.quiet()
    bench.faults.set(FaultPlan(delay_ms=300))
    for index in range(5):
        bench.encounter(f"e{index}")
    bench.quiet()
    numbers = [number(r.json()) for r in listener.received[1:]]
    assert [n for batch in numbers for n in batch] == ["1", "2", "3", "4", "5"]
    assert len(numbers) < 5


def test_drop_and_duplicate_are_the_same_in_every_run(listener):
    seen = []
    for _ in range(2):
        bench = Bench()
        bench.faults.set(FaultPlan(drop=0.3, duplicate=0.3, seed=11))
        bench.store.create("Subscription", topical(listener.url), "t")
        bench.quiet()
        start = len(listener.received)
        for index in range(20):
            bench.encounter(f"e{index}")
        bench.quiet()
        seen.append([number(r.json()) for r in listener.received[start:]])
        counts = bench.notifier.counts()
        assert counts["dropped"] > 0
        assert counts["duplicated"] > 0
        assert counts["sent"] == 20 - counts["dropped"]
        assert len(seen[-1]) == counts["sent"] + counts["duplicated"]
        bench.close()
    assert seen[0] == seen[1]


def test_reorder_swaps_with_the_next(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    bench.faults.set(FaultPlan(reorder=1.0, delay_ms=100))
    bench.encounter("e1")
    bench.encounter("e2")
    bench.quiet()
    assert [number(r.json()) for r in listener.received[1:]] == [["2"], ["1"]]
    assert bench.notifier.counts()["reordered"] == 1


def test_restart_loses_queue_and_numbers(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.encounter("e0")
    bench.quiet()
    bench.faults.set(FaultPlan(delay_ms=60_000))
    bench.encounter("e1")
    bench.encounter("e2")
    bench.faults.set(FaultPlan())
    assert bench.notifier.restart() == 2
    bench.encounter("e3")
    assert bench.notifier.standing("t").count == 1


def test_deleted_or_off_is_silent(bench, listener):
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.store.create("Subscription", criteria(listener.url), "c")
    bench.quiet()
    bench.store.delete("Subscription", "t")
    off = dict(bench.store.get("Subscription", "c"), status="off")
    bench.store.update("Subscription", "c", off)
    bench.encounter("e1")
    bench.quiet()
    assert len(listener.received) == 1
    assert bench.notifier.standing("t") is None


def test_numbers_go_on_after_the_process_was_restarted(tmp_path, listener):
    bench = Bench(tmp_path)
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    bench.encounter("e1")
    bench.quiet()
    bench.close()
    bench = Bench(tmp_path)
    bench.encounter("e2")
    bench.quiet()
    assert bench.status("t") == ("active", None)
    bench.close()
    numbers = [number(r.json()) for r in listener.received]
    assert numbers == [[], ["1"], ["2"]]


def test_what_was_not_sent_goes_out_after_the_process_was_restarted(tmp_path, listener):
    bench = Bench(tmp_path)
    bench.store.create("Subscription", topical(listener.url), "t")
    bench.quiet()
    bench.faults.set(FaultPlan(delay_ms=60_000))
    bench.encounter("e1")
    bench.close()
    bench = Bench(tmp_path)
    bench.quiet()
    bench.close()
    assert [number(r.json()) for r in listener.received] == [[], ["1"]]
