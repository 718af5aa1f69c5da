"""Forwarding the simulated clock from a request: bounded, one at a time, and told."""

import threading
import time
from datetime import timedelta

import pytest

from mappings.errors import CareCueError
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.settings import Settings
from middleware.storage import endpoints, inbox
from middleware.storage.inbox import NewItem
from middleware.wiring.forwarding import Forward
from middleware.wiring.runtime import open_runtime
from tests.stages.world import ENDPOINT


@pytest.fixture
def runtime(database_url, tmp_path):
    settings = Settings(home=tmp_path, database_url=database_url, movable_clock=True)
    with open_runtime(settings) as opened:
        yield opened


@pytest.fixture
def sandbox(runtime):
    """A sandbox whose clock can be moved, connected as the only endpoint."""
    with Running(Options()) as running:
        base = f"{running.base_url}/fhir"
        endpoint = type(ENDPOINT)(**{**vars(ENDPOINT), "fhir_base": base})
        with runtime.database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, runtime.clock.now())
        yield running


def leave_work(runtime) -> None:
    """Put work there that no worker takes."""
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        inbox.insert_inbox(
            tx,
            [NewItem("k", "north", None, None, "poll", "Encounter/1", "1", None,
                     "Encounter", "update", 1, now)],
        )  # fmt: skip


def test_an_hour_passes_and_is_told_in_the_sites_zone(runtime, sandbox):
    before = runtime.clock.now()

    said = Forward(runtime)("hour")

    gone = runtime.clock.now() - before
    assert timedelta(hours=1) <= gone < timedelta(hours=1, minutes=1)
    local = "CST" in said or "CDT" in said
    assert local
    assert said.endswith("No message was due. None is planned.")


def test_nothing_planned_moves_nothing(runtime, sandbox):
    before = runtime.clock.now()

    said = Forward(runtime)("next")

    assert said == "No message is planned, so the clock was not moved."
    assert runtime.clock.now() - before < timedelta(minutes=1)


def test_work_that_does_not_end_is_not_waited_for(runtime, sandbox):
    leave_work(runtime)

    said = Forward(runtime, bound_seconds=0.2)("day")

    assert said.endswith("press again to go on.")


def test_second_press_is_told_to_wait(runtime, sandbox):
    leave_work(runtime)
    forward = Forward(runtime, bound_seconds=2)
    first = threading.Thread(target=forward, args=("day",))
    first.start()
    deadline = time.monotonic() + 5
    said = ""
    while "already" not in said and time.monotonic() < deadline and first.is_alive():
        said = forward("sideways-is-refused") and forward("hour")
    first.join()

    assert said.startswith("The clock is being moved already.")


@pytest.mark.parametrize("leap", ["", "year", "next "])
def test_unknown_leap_moves_nothing(runtime, leap):
    assert Forward(runtime)(leap) == "The clock was not moved: choose how far."


def test_without_a_sandbox_nothing_moves(runtime):
    assert Forward(runtime)("hour") == (
        "The clock was not moved: no sandbox is connected."
    )


def test_sandbox_that_is_gone_is_an_error_with_words(runtime, sandbox):
    with runtime.database.tx() as tx:
        tx.execute(
            "UPDATE endpoint SET record = jsonb_set(record, '{fhir_base}', "
            "'\"http://127.0.0.1:9/fhir\"')"
        )

    with pytest.raises(CareCueError, match="check that it runs"):
        Forward(runtime)("hour")
