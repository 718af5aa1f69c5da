"""A whole check: sandbox EHR, our listener and database, and the command over it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
import structlog
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind
from middleware.cli.demo_connect import connect_sandbox
from middleware.cli.main import main
from middleware.fhir.checking.exchange import Patience
from middleware.fhir.checking.finding import Outcome
from middleware.fhir.checking.push import PROFILE
from middleware.fhir.keys import SigningKeys
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.sealing import create_key_file
from middleware.settings import read_settings
from middleware.storage import endpoints, marks, subscriptions
from middleware.wiring.apps import make_public_app
from middleware.wiring.checking import Checked, check_endpoint, find_needs
from middleware.wiring.pipeline import library_factory
from middleware.wiring.runtime import KEYS_MARK, Runtime, make_runtime
from middleware.wiring.sandbox_control import SandboxControl
from tests.unit.fhir.checked_ehr import Ehr
from tests.unit.fhir.scripted import Asked, Reply, serve

QUICK = Patience(connect=5.0, answer=10.0)
EVENT_STEPS = (
    "search by time",
    "sorting",
    "paging",
    "search by patient",
    "history",
    "batch",
    "conditional create",
    "subscriptions",
    "test notification",
)
NOBODY = "http://127.0.0.1:9"


@dataclass
class Site:
    """The sandbox as a connected EHR, with our own listener beside it."""

    runtime: Runtime
    endpoint: Endpoint
    sandbox: Running
    home: Path

    def check(self, endpoint: Endpoint | None = None, **changes: Any) -> Checked:
        runtime = self.runtime
        if "public_url" in changes:
            url = {"public_url": changes.pop("public_url")}
            settings = runtime.settings.model_copy(update=url)
            runtime = replace(runtime, settings=settings)
        known = endpoint or self.endpoint
        return check_endpoint(
            runtime, known, lambda _: None, patience=QUICK, **({"wait": 10.0} | changes)
        )

    def trial(self, endpoint: Endpoint | None = None, **changes: Any) -> Any:
        found = self.check(endpoint, **changes).findings[-1]
        assert found.step == "test notification"
        return found

    def rows(self) -> list[Any]:
        with self.runtime.database.tx() as tx:
            return list(subscriptions.list_subscriptions(tx, self.endpoint.id))

    def at_the_ehr(self) -> int:
        token = SandboxControl(self.sandbox.base_url).staff_token()
        found = requests.get(
            f"{self.sandbox.base_url}/fhir/Subscription",
            headers={"Authorization": f"Bearer {token.reveal()}"},
            timeout=30,
        )
        return len(found.json().get("entry", ()))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with Running(Options(people=True)) as running:
        yield running


@pytest.fixture
def site(
    database_url: str, tmp_path: Path, sandbox: Running, keys: SigningKeys
) -> Iterator[Site]:
    create_key_file(tmp_path / "secret.key")
    server = make_server("127.0.0.1", 0, Flask("empty"), threaded=True)
    runtime = make_runtime(
        read_settings(
            home=tmp_path,
            database_url=database_url,
            public_url=f"http://127.0.0.1:{server.server_port}",
        )
    )
    with runtime.database.tx() as tx:
        marks.add_mark(tx, KEYS_MARK, runtime.sealer.seal(keys.dump()).hex())
    server.app = make_public_app(runtime)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    control = SandboxControl(sandbox.base_url)
    endpoint = connect_sandbox(runtime, control, "America/Chicago", "token")
    yield Site(runtime, endpoint, sandbox, tmp_path)
    server.shutdown()
    thread.join()
    server.server_close()
    runtime.close()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command sets up logging for its process, which here is the tests'."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def carecue(
    site: Site, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(site.home))
    monkeypatch.setenv("CARECUE_PUBLIC_URL", site.runtime.settings.public_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return run


# --- the sandbox ------------------------------------------------------------------


def test_the_sandbox_holds_in_every_step(site: Site) -> None:
    checked = site.check()
    assert {item.outcome for item in checked.findings} == {Outcome.OK}, checked
    assert checked.holds
    assert checked.conclusion == "sandbox can be used: no check failed."
    assert "a handshake came after" in checked.findings[-1].saw
    assert site.rows() == []
    assert site.at_the_ehr() == 0


@contextlib.contextmanager
def listener_without_hooks() -> Iterator[str]:
    """Serve an address that is healthy and knows no hook."""
    app = Flask("elsewhere")
    app.add_url_rule("/health/live", view_func=lambda: "")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_handshake_that_cannot_be_delivered(site: Site) -> None:
    with site.runtime.database.tx() as tx:
        before = tx.execute("SELECT count(*) AS n FROM notification").fetchone()
    with listener_without_hooks() as url:
        found = site.trial(public_url=url, wait=2.0)
    assert found.code in {"subscription-error", "handshake-missing"}
    assert "/hooks/" not in found.letter
    with site.runtime.database.tx() as tx:
        after = tx.execute("SELECT count(*) AS n FROM notification").fetchone()
    assert before == after
    assert site.rows() == []
    assert site.at_the_ehr() == 0


def test_a_listener_that_is_not_up_is_ours_to_mend(site: Site) -> None:
    checked = site.check(public_url=NOBODY)
    found = checked.findings[-1]
    assert (found.code, found.letter) == ("hook-silent", "")
    assert "can be used by polling" in checked.conclusion
    assert not checked.holds


def test_a_subscription_that_may_not_be_created(site: Site) -> None:
    backend = site.endpoint.backend
    scope = backend.scope.replace("system/Subscription.cruds", "system/Subscription.rs")
    limited = replace(site.endpoint, backend=replace(backend, scope=scope))
    checked = site.check(limited)
    found = {item.step: item for item in checked.findings}
    assert found["scopes"].code == "scope-less"
    assert "changes are found by polling only" in found["scopes"].saw
    assert "system/Subscription.crud" in found["scopes"].letter
    assert found["test notification"].code == "subscription-refused"


def _note_notification(site: Site, endpoint_id: str, hours: int) -> None:
    """Store a subscription through which something came so many hours ago."""
    now = site.runtime.clock.now()
    row = subscriptions.SubscriptionRow(
        id="s",
        endpoint_id=endpoint_id,
        hook_key="k",
        secrets=b"",
        resource_type="Encounter",
        form="criteria",
        criteria="Encounter",
        server_id="1",
        status="active",
        last_number=None,
        last_seen_at=now - timedelta(hours=hours),
        created_at=now,
    )
    with site.runtime.database.tx() as tx:
        subscriptions.insert_subscription(tx, row)


def test_nothing_is_created_in_production(site: Site) -> None:
    real = replace(site.endpoint, kind=EndpointKind.PRODUCTION)
    found = site.trial(real)
    assert found.outcome is Outcome.SKIPPED
    assert "carecue events list" in found.saw
    assert site.at_the_ehr() == 0


@pytest.mark.parametrize(("hours", "outcome"), [(2, Outcome.OK), (30, Outcome.SKIPPED)])
def test_in_production_what_came_lately_is_the_evidence(
    site: Site, hours: int, outcome: Outcome
) -> None:
    _note_notification(site, site.endpoint.id, hours)
    real = replace(site.endpoint, kind=EndpointKind.PRODUCTION)
    assert site.trial(real).outcome is outcome
    assert [kept.id for kept in site.rows()] == ["s"]


@pytest.fixture
def scripted(site: Site, keys: SigningKeys) -> Iterator[Ehr]:
    """A scripted EHR that is stored as an endpoint of its own."""
    with serve() as script:
        ehr = Ehr(script, keys)
        with site.runtime.database.tx() as tx:
            endpoints.insert_endpoint(tx, ehr.endpoint(), site.runtime.clock.now())
        yield ehr


def subscribing(ehr: Ehr, status: str, **changes: Any) -> list[Asked]:
    """Let the scripted EHR take Subscriptions; return what it was asked for them."""
    asked_for: list[Asked] = []
    whole = ehr.statement()
    whole["rest"][0]["resource"][-1].update(changes)

    def answer(asked: Asked) -> Reply | None:
        if asked.path == "/fhir/metadata":
            return Reply(200, whole)
        if not asked.path.startswith("/fhir/Subscription/") and not (
            asked.method == "POST" and asked.path == "/fhir/Subscription"
        ):
            return None
        asked_for.append(asked)
        made = {"resourceType": "Subscription", "id": "s1", "status": status}
        return Reply(201 if asked.method == "POST" else 200, made)

    ehr.broken = answer
    return asked_for


@pytest.mark.parametrize(
    ("status", "profile", "code"),
    [
        ("active", [], "skipped"),
        ("requested", [], "handshake-missing"),
        ("active", [PROFILE], "handshake-missing"),
        ("error", [PROFILE], "subscription-error"),
    ],
)
def test_what_becomes_of_a_subscription_is_told(
    site: Site, scripted: Ehr, status: str, profile: list[str], code: str
) -> None:
    asked = subscribing(scripted, status, supportedProfile=profile)
    found = site.trial(scripted.endpoint(), wait=0.5)
    assert found.code == code
    written = asked[0].json
    assert written["status"] == "requested"
    assert ("backport" in str(written)) is bool(profile)
    assert asked[-1].method == "DELETE"
    with site.runtime.database.tx() as tx:
        assert subscriptions.list_subscriptions(tx, "north") == []
    if code == "skipped":
        assert "became active" in found.saw


@pytest.mark.parametrize(("hours", "code"), [(2, "ok"), (30, "hook-loopback")])
def test_without_a_way_in_only_what_came_counts(
    site: Site, scripted: Ehr, hours: int, code: str
) -> None:
    # The address leads here and is no loopback address by name.
    scripted.base = scripted.base.replace("127.0.0.1", "127.1")
    profile = {"authorization_hosts": ["127.0.0.1"], "private_network": True}
    _note_notification(site, "north", hours)
    assert site.trial(scripted.endpoint(profile=profile)).code == code
    assert not [line for line in scripted.lines if line.startswith("POST /fhir/Sub")]


def test_an_id_that_would_lead_elsewhere_is_never_asked_for(
    site: Site, scripted: Ehr
) -> None:
    def answer(asked: Asked) -> Reply | None:
        if asked.path != "/fhir/Subscription" or asked.method != "POST":
            return None
        made = {"resourceType": "Subscription", "id": "../Patient/vera"}
        return Reply(201, made)

    scripted.broken = answer
    assert site.trial(scripted.endpoint(), wait=0.5).code == "subscription-refused"
    assert not [line for line in scripted.lines if "Patient/vera" in line]
    assert not [line for line in scripted.lines if line.startswith("DELETE")]


def test_a_client_that_the_sandbox_does_not_know(site: Site) -> None:
    backend = replace(site.endpoint.backend, client_id="somebody")
    checked = site.check(replace(site.endpoint, backend=backend))
    found = {item.step: item for item in checked.findings}
    assert found["token"].code == "client-unknown"
    assert "sandbox is not ready: token failed." in checked.conclusion
    assert "Our client id: somebody" in found["token"].letter
    assert "/.well-known/jwks.json" in found["token"].letter


def test_keys_that_are_not_registered(site: Site) -> None:
    """The sandbox has a key set without the key that signs."""
    registration = {
        "client_id": "stale",
        "client_name": "CareCue",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [_other_key()]},
        "scope": "system/*.rs",
    }
    control = SandboxControl(site.sandbox.base_url)
    control.call("PUT", "/sandbox/clients/stale", registration)
    backend = replace(site.endpoint.backend, client_id="stale", scope="system/*.rs")
    checked = site.check(replace(site.endpoint, backend=backend))
    found = {item.step: item for item in checked.findings}
    assert found["token"].code == "key-unknown"


def _other_key() -> dict[str, Any]:
    keys: list[dict[str, Any]] = SigningKeys.generate().public_jwks()["keys"]
    return keys[-1]


def test_an_audience_that_is_another_name_for_the_same_server(site: Site) -> None:
    other = site.endpoint.backend.token_url.replace("127.0.0.1", "localhost")
    backend = replace(site.endpoint.backend, token_url=other)
    checked = site.check(replace(site.endpoint, backend=backend))
    found = {item.step: item for item in checked.findings}
    assert found["smart-configuration"].code == "token-url-differs"
    assert found["token"].code == "token-audience"


def test_what_is_needed_comes_from_the_plans(site: Site) -> None:
    library = library_factory(site.runtime)(site.endpoint)
    needs = find_needs(site.endpoint, library)
    assert {"Patient", "Encounter", "Condition", "Consent"} == needs.safety
    assert "olorectal" in needs.reads["DiagnosticReport"]
    profile = {"unsupported": ["CarePlan", "Task"]}
    fewer = find_needs(replace(site.endpoint, profile=profile), library)
    assert fewer.focus == ("Encounter", "Appointment")
    assert "Task" not in fewer.reads
    assert "Task" not in fewer.writes


# --- the command ------------------------------------------------------------------


def last_json(result: Result) -> Any:
    return orjson.loads(result.stdout.strip().splitlines()[-1])


def test_the_command_exits_0_when_everything_holds(carecue: Any) -> None:
    result = carecue("endpoint", "check", "sandbox", "--json")
    assert result.exit_code == 0, result.output
    told = last_json(result)
    assert told["holds"] is True
    assert told["steps"][0] == {
        "step": "resolve",
        "outcome": "ok",
        "code": "ok",
        "saw": "127.0.0.1 is 127.0.0.1",
        "cause": "",
        "safe": "",
        "todo": "",
        "letter": "",
    }
    assert "token ..." in result.stderr


def test_the_command_exits_1_and_says_what_to_do(carecue: Any, site: Site) -> None:
    broken = replace(site.endpoint, backend=BackendClient("x", f"{NOBODY}/token"))
    with site.runtime.database.tx() as tx:
        endpoints.update_endpoint(tx, broken)
    result = carecue("endpoint", "check", "sandbox")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("sandbox is not ready: smart-configuration failed.")
    assert "failed  token: no answer" in result.stdout or "connection" in result.stdout
    assert "          do:   Check token_url" in result.stdout
    assert "--- Text for the EHR's team (token) ---" in result.stdout
    as_json = carecue("endpoint", "check", "sandbox", "--json")
    assert as_json.exit_code == 1
    steps = {item["step"]: item for item in last_json(as_json)["steps"]}
    assert steps["token"]["code"] == "token-no-answer"
    assert steps["scopes"]["outcome"] == "skipped"


def test_the_command_knows_no_such_endpoint(carecue: Any) -> None:
    result = carecue("endpoint", "check", "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_a_file_for_the_app_alone_is_ready_for_launches(site: Site) -> None:
    alone = replace(site.endpoint, backend=BackendClient())
    checked = site.check(alone)
    found = {item.step: item for item in checked.findings}
    assert checked.holds
    assert checked.conclusion.startswith(
        "sandbox is ready for launches of the SMART app. No events are read here"
    )
    assert found["read"].code == "app-alone"
    assert "fill client_id and token_url in [backend]" in found["read"].todo
    assert found["read"].letter == ""
    later = [item for name, item in found.items() if name in EVENT_STEPS]
    assert len(later) == len(EVENT_STEPS)
    assert {item.outcome for item in later} == {Outcome.SKIPPED}
    assert found["app sign-in"].outcome in (Outcome.OK, Outcome.WARN)


def test_a_file_for_the_app_alone_still_needs_its_server(site: Site) -> None:
    alone = replace(
        site.endpoint, backend=BackendClient(), fhir_base="http://127.0.0.1:9/fhir"
    )
    checked = site.check(alone)
    assert not checked.holds
    assert "sandbox is not ready: connect failed" in checked.conclusion


def test_without_an_app_a_refused_read_is_a_fault(site: Site) -> None:
    neither = replace(site.endpoint, backend=BackendClient(), app=AppClient())
    found = {item.step: item for item in site.check(neither).findings}
    assert (found["read"].code, found["read"].outcome) == (
        "token-needed",
        Outcome.FAILED,
    )
