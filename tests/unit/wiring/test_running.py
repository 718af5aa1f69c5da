"""What a running process keeps: signing keys, clients of EHRs, the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from mappings.endpoint import (
    AppClient,
    BackendClient,
    Endpoint,
    EndpointKind,
    Site,
)
from mappings.errors import BadInputError, StorageError
from middleware.cli.main import main
from middleware.clock import FixedClock
from middleware.ports import RandomIds
from middleware.sealing import Sealer, create_key_file, read_keys
from middleware.settings import Settings
from middleware.storage.audit import list_audit
from middleware.storage.database import Database
from middleware.storage.jobs import Wakes
from middleware.wiring.pipeline import fhir_factory
from middleware.wiring.runtime import Runtime, open_runtime, signing_keys
from middleware.wiring.signing import WAIT, KeyRing, rotate_signing

ENDPOINT = Endpoint(
    id="north",
    name="North",
    kind=EndpointKind.TEST,
    fhir_base="http://127.0.0.1:9/fhir",
    backend=BackendClient(client_id="c", token_url="http://127.0.0.1:9/token"),
    app=AppClient(),
    site=Site("Northside", "(312) 555-0100", "example.org", "America/Chicago"),
)


pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.fixture
def runtime(
    database: Database, database_url: str, clock: FixedClock, tmp_path: Path
) -> Iterator[Runtime]:
    path = tmp_path / "secret.key"
    create_key_file(path)
    wakes = Wakes(database_url)
    yield Runtime(
        settings=Settings(home=tmp_path, database_url=database_url),
        database=database,
        wakes=wakes,
        clock=clock,
        ids=RandomIds(),
        sealer=Sealer(read_keys(path)),
    )
    wakes.close()


def published(runtime: Runtime) -> list[str]:
    return [key["kid"] for key in signing_keys(runtime).public_jwks()["keys"]]


def signs(runtime: Runtime) -> set[str]:
    keys = signing_keys(runtime)
    return {str(keys.signing_key(name).kid) for name in ("RS384", "ES384")}


def test_a_new_pair_is_published_a_day_before_it_signs_and_a_day_after(
    runtime: Runtime, clock: FixedClock
) -> None:
    old = set(published(runtime))
    first = rotate_signing(runtime, "ops")
    both = set(published(runtime))
    assert (first.step, first.next_at) == ("announced", clock.now() + WAIT)
    assert old < both
    assert len(both) == 4
    assert signs(runtime) == old
    clock.instant += WAIT
    assert rotate_signing(runtime, "ops").step == "promoted"
    assert signs(runtime) == both - old
    assert set(published(runtime)) == both
    clock.instant += WAIT
    last = rotate_signing(runtime, "ops")
    assert (last.step, last.next_at) == ("retired", None)
    assert set(published(runtime)) == signs(runtime) == both - old
    with runtime.database.tx() as tx:
        subjects = [entry.subject for entry in list_audit(tx)]
    assert sorted(map(str, subjects)) == ["announced", "promoted", "retired"]
    assert rotate_signing(runtime, "ops").step == "announced"


def test_a_step_too_early_changes_nothing_and_says_when(
    runtime: Runtime, clock: FixedClock
) -> None:
    rotate_signing(runtime, "ops")
    before = published(runtime)
    clock.instant += WAIT - timedelta(seconds=1)
    with pytest.raises(BadInputError, match="2026-11-17 15:00 UTC"):
        rotate_signing(runtime, "ops")
    assert published(runtime) == before


def test_a_running_process_takes_up_new_keys_and_keeps_them_without_a_database(
    runtime: Runtime,
) -> None:
    ring, slow = KeyRing(runtime, look_seconds=0), KeyRing(runtime)
    before, late = ring(), slow()
    assert ring() is before
    rotate_signing(runtime, "ops")
    assert len(ring().public_jwks()["keys"]) == 4
    assert slow() is late
    present = ring()
    runtime.database.close()
    with pytest.raises(StorageError):
        signing_keys(runtime)
    assert ring() is present


def test_a_movable_clock_tells_the_time_inside_a_transaction(
    database_url: str, tmp_path: Path
) -> None:
    """As many threads as the pool has connections ask for it, each in a transaction."""
    settings = Settings(home=tmp_path, database_url=database_url, movable_clock=True)
    with open_runtime(settings) as opened, ExitStack() as stack:
        with pytest.raises(StorageError):
            fill_pool(opened.database, stack)
        assert opened.clock.now().tzinfo is not None


def fill_pool(database: Database, stack: ExitStack) -> None:
    database._pool.timeout = 0.2
    while True:
        stack.enter_context(database.tx())


def test_a_client_is_kept_until_the_way_to_its_endpoint_changes(
    runtime: Runtime,
) -> None:
    make = fhir_factory(runtime)
    first = make(ENDPOINT)
    assert make(replace(ENDPOINT, name="Northern")) is first
    for changed in (
        replace(ENDPOINT, profile={"search_first": True}),
        replace(ENDPOINT, backend=replace(ENDPOINT.backend, client_id="d")),
        replace(ENDPOINT, fhir_base="http://127.0.0.1:9/other"),
    ):
        following = make(changed)
        assert following is not first
        assert first._transport._closed.is_set()  # type: ignore[attr-defined]
        assert make(changed) is following
        first = following
    assert make(ENDPOINT).base_url == ENDPOINT.fhir_base


def test_the_command_takes_the_steps_and_refuses_finish(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARECUE_DATABASE_URL", database_url)
    monkeypatch.setenv("CARECUE_HOME", str(tmp_path))
    run = CliRunner()
    wrong = run.invoke(main, ["key", "rotate", "--signing", "--finish"])
    assert wrong.exit_code == 2
    taken = run.invoke(main, ["key", "rotate", "--signing"])
    assert taken.exit_code == 0
    assert "Run `carecue key rotate --signing` again from" in taken.output
    early = run.invoke(main, ["key", "rotate", "--signing"])
    assert early.exit_code == 2
