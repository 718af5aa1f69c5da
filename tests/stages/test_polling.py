"""Polling goes by the server's clock, however far that is from ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from middleware.fhir.client import FhirClient
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.stages.reconcile import EPOCH, OVERLAP, TICK, poll_endpoints
from middleware.storage import inbox
from middleware.wiring.sandbox_control import SandboxControl
from tests.stages.world import DOWN, ENDPOINT, START, World, encounter, patient

EARLIER, LATER = timedelta(days=-400), timedelta(days=400)


@pytest.fixture(params=[EARLIER, LATER], ids=["behind", "ahead"])
def ehr(request, clock):
    """A FHIR server whose clock is not ours."""
    with Running(Options(people=False, start=START + request.param)) as running:
        control = SandboxControl(running.base_url)
        base = f"{running.base_url}/fhir"
        client = FhirClient(base, control.staff_token, clock=clock)
        client.send_update(patient())
        yield client
        client.close()


@pytest.fixture
def context(world: World, ehr: FhirClient):
    """Nothing has been polled yet."""
    with world.database.tx() as tx:
        tx.execute("DELETE FROM poll_cursor")
    return replace(world.context, fhir=lambda endpoint: ehr)


def stay(ehr: FhirClient, identifier: str) -> datetime:
    stored = ehr.send_update(encounter() | {"id": identifier})
    return datetime.fromisoformat(stored["meta"]["lastUpdated"])


def found(world: World) -> list[str]:
    rows = world.rows("SELECT focus FROM inbox ORDER BY focus")
    return [row["focus"] for row in rows]


def since(world: World) -> datetime:
    with world.database.tx() as tx:
        cursor = inbox.read_cursor(tx, ENDPOINT.id, "Encounter")
    assert cursor is not None
    return cursor.since


def test_what_was_there_at_first_is_no_news(world, context, ehr) -> None:
    newest = stay(ehr, "before")
    poll_endpoints(context)
    assert (found(world), since(world)) == ([], newest + TICK + OVERLAP)
    stay(ehr, "after")
    poll_endpoints(context)
    assert found(world) == ["Encounter/after"]


def test_everything_is_news_where_there_was_nothing(world, context, ehr) -> None:
    poll_endpoints(context)
    assert (found(world), since(world)) == ([], EPOCH)
    newest = stay(ehr, "first")
    poll_endpoints(context)
    assert (found(world), since(world)) == (["Encounter/first"], newest)


def test_a_first_poll_that_fails_begins_nothing(world, context, ehr) -> None:
    stay(ehr, "before")
    down = replace(context, fhir=lambda endpoint: world.fhir)
    world.fhir.fault = lambda verb, what: DOWN if verb == "search" else None
    poll_endpoints(down)
    assert world.rows("SELECT 1 FROM poll_cursor") == []
    poll_endpoints(context)
    stay(ehr, "after")
    poll_endpoints(context)
    assert found(world) == ["Encounter/after"]
