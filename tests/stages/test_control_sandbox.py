"""Subscribing at the sandbox EHR: chosen, activated, negotiated, rotated, removed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from mappings.endpoint import Endpoint
from middleware.cli.demo_connect import TOPICS, connect_sandbox
from middleware.cli.main import main
from middleware.fhir.client import FhirClient
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.sealing import create_key_file
from middleware.settings import read_settings
from middleware.storage import endpoints, subscriptions
from middleware.wiring.apps import make_public_app
from middleware.wiring.runtime import Runtime, make_runtime
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.subscribing import control_ports, settle, want
from subscriptions.wanting import Wanted, Way

TYPES = ["Appointment", "CarePlan", "Encounter"]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command sets up logging for its process, which here is the tests'."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Site:
    """The sandbox, our listener, and the commands."""

    def __init__(self, database_url: str, home: Path, base_url: str) -> None:
        # The server has its port before the application that needs to know it.
        self.outer = Flask("outer")
        self.server = make_server("127.0.0.1", 0, self.outer, threaded=True)
        self.control = SandboxControl(base_url)
        create_key_file(home / "secret.key")
        self.settings = read_settings(
            home=home,
            database_url=database_url,
            public_url=f"http://127.0.0.1:{self.server.server_port}",
        )
        self.runtime: Runtime = make_runtime(self.settings)
        listener = make_public_app(self.runtime)
        self.outer.wsgi_app = listener.wsgi_app  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.endpoint: Endpoint = connect_sandbox(
            self.runtime, self.control, "America/Chicago", "token"
        )
        self.ehr = FhirClient(
            f"{base_url}/fhir", self.control.staff_token, clock=self.runtime.clock
        )

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.ehr.close()
        self.runtime.close()

    def held(self) -> list[dict[str, Any]]:
        return list(self.ehr.fetch_search("Subscription").resources)

    def faults(self, **plan: Any) -> None:
        self.control.call("PUT", "/sandbox/faults", plan)

    def secrets(self) -> list[int]:
        opened = control_ports(self.runtime).open_secrets
        with self.runtime.database.tx() as tx:
            rows = subscriptions.list_subscriptions(tx)
        return [len(opened(row.secrets)) for row in rows]


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Running(Options(people=False)) as running:
        made = Site(database_url, tmp_path, running.base_url)
        yield made
        made.stop()


@pytest.fixture
def carecue(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CARECUE_DATABASE_URL", str(site.settings.database_url))
    monkeypatch.setenv("CARECUE_HOME", str(site.settings.home))
    monkeypatch.setenv("CARECUE_PUBLIC_URL", site.settings.public_url)

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, ["endpoint", *arguments])
        assert result.exit_code == code, result.output
        return result

    return run


def told(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(result.stdout.strip().splitlines()[-1])
    return found


def test_the_best_form_is_chosen_and_activated_once(site: Site, carecue: Any) -> None:
    first = told(carecue("subscribe", "sandbox", "--json"))
    found = first["subscriptions"]
    assert [item["type"] for item in found] == TYPES
    assert {item["status"] for item in found} == {"active"}
    assert {item["reason"] for item in found} == {"Active, as asked."}
    assert all(item["asked"]["criteria"].startswith(TOPICS) for item in found)
    assert all(item["accepted"]["id"] == item["id"] for item in found)
    again = told(carecue("subscribe", "sandbox", "--json"))
    assert [item["id"] for item in again["subscriptions"]] == [
        item["id"] for item in found
    ]
    assert len(site.held()) == 3
    shown = carecue("status", "sandbox").stdout
    assert "Encounter: active. Active, as asked." in shown
    assert "Nothing is lost" in shown


def test_what_was_there_before_the_controller_is_taken_over(
    site: Site, carecue: Any
) -> None:
    carecue("subscribe", "sandbox")
    before = {item["id"] for item in site.held()}
    with site.runtime.database.tx() as tx:
        tx.execute("DELETE FROM subscription_control")
    carecue("subscribe", "sandbox", "--form", "criteria")
    assert {item["id"] for item in site.held()} == before
    assert {item["status"] for item in site.held()} == {"active"}
    assert all("?status=" in item["criteria"] for item in site.held())


def test_another_form_is_written_over_the_first(site: Site, carecue: Any) -> None:
    carecue("subscribe", "sandbox")
    before = {item["id"] for item in site.held()}
    carecue("subscribe", "sandbox", "--form", "criteria", "--type", "Encounter")
    after = {item["id"]: item["criteria"] for item in site.held()}
    assert set(after) == before
    assert sorted(text.partition("?")[0] for text in after.values()) == [
        "Encounter",
        f"{TOPICS}/appointment-change",
        f"{TOPICS}/careplan-change",
    ]


def test_refused_heartbeats_are_left_out(site: Site, carecue: Any) -> None:
    site.faults(refuse_heartbeats=True)
    carecue("subscribe", "sandbox")
    assert {item["status"] for item in site.held()} == {"active"}
    assert "heartbeat-period" not in str(site.held())


def test_adjusted_filters_are_reviewed_and_accepted(site: Site) -> None:
    site.faults(adjust_filters=True)
    way = Way(
        "backport", f"{TOPICS}/encounter-change", filters=(("status", "finished"),)
    )
    want(site.runtime, site.endpoint, [Wanted("Encounter", (way,))])
    (row,) = settle(site.runtime, site.endpoint, 20.0, lambda row: None)
    (held,) = site.held()
    assert (row.status, held["status"], held["id"]) == (
        "active",
        "active",
        row.server_id,
    )
    assert row.differences == ["The filter status was dropped, so that more is told."]


def test_a_new_secret_proves_itself_by_a_handshake(site: Site, carecue: Any) -> None:
    carecue("subscribe", "sandbox")
    before = {item["id"]: item["channel"]["header"] for item in site.held()}
    carecue("subscribe", "sandbox", "--rotate")
    after = {item["id"]: item["channel"]["header"] for item in site.held()}
    assert before.keys() == after.keys()
    assert not any(before[id_] == after[id_] for id_ in before)
    assert {item["status"] for item in site.held()} == {"active"}
    assert site.secrets() == [2, 2, 2]


def test_removal_deletes_at_the_server_first(site: Site, carecue: Any) -> None:
    carecue("subscribe", "sandbox")
    said = carecue("remove", "sandbox").stdout
    assert "Deleted the Subscriptions of sandbox and removed it." in said
    assert site.held() == []
    with site.runtime.database.tx() as tx:
        assert endpoints.get_endpoint(tx, "sandbox") is None


def test_a_secret_that_somebody_changed_is_put_right(site: Site, carecue: Any) -> None:
    carecue("subscribe", "sandbox")
    (held, *_) = site.held()
    ours = held["channel"]["header"]
    channel = {**held["channel"], "header": ["Authorization: Bearer somebody-elses-1"]}
    site.ehr.send_update({**held, "channel": channel, "status": "active"})
    carecue("subscribe", "sandbox")
    mended = site.ehr.fetch(f"Subscription/{held['id']}")
    assert (mended["channel"]["header"], mended["status"]) == (ours, "active")


def test_a_topic_needs_its_type(carecue: Any) -> None:
    arguments = ("--form", "backport", "--topic", "http://example.org/t")
    result = carecue("subscribe", "sandbox", *arguments, code=2)
    assert "--type" in result.stderr


def test_an_ehr_that_is_down_keeps_the_endpoint(site: Site, carecue: Any) -> None:
    carecue("subscribe", "sandbox")
    site.faults(http_500=1.0)
    result = carecue("remove", "sandbox", code=1)
    assert "--force" in result.stderr
    carecue("remove", "sandbox", "--force")
    site.faults(http_500=0.0)
    assert len(site.held()) == 3
