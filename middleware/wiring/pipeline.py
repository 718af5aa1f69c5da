"""The pipeline of one process: the stage context, its steps and its metronome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from mappings.delivery import Message
from mappings.endpoint import Endpoint, EndpointKind
from mappings.errors import FhirError
from mappings.plan import Library
from middleware.channels.registry import ChannelParts, open_channels
from middleware.fhir.bounded import make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.connecting import open_client
from middleware.fhir.discovery import fetch_capabilities
from middleware.fhir.reach import endpoint_reach
from middleware.ports import FhirApi
from middleware.stages import decide, deliver, listen, record, resolve, reviewing
from middleware.stages.circuits import make_teller
from middleware.stages.context import StageContext
from middleware.stages.lanes import Lanes
from middleware.storage import endpoints
from middleware.storage.shards import Held
from middleware.wiring.contents import Contents
from middleware.wiring.runtime import Runtime
from middleware.wiring.signing import KeyRing
from middleware.worker import Step

STATEMENT_AGE = timedelta(hours=1)
ASK_AGAIN = timedelta(seconds=15)
AWAY = (408, 425, 429, 500, 502, 503, 504)
STEPS = {
    "resolve": resolve.step,
    "decide": decide.step,
    "deliver": deliver.step,
    "record": record.step,
    "listen": listen.step,
    "review": reviewing.step,
}


def fhir_factory(runtime: Runtime) -> Callable[[Endpoint], FhirApi]:
    """Return what makes, and keeps, one client per endpoint.

    A change of how the endpoint is reached counts at once, new signing keys within a
    minute; the client that is replaced is closed.
    """
    lock = threading.Lock()
    clients: dict[str, tuple[tuple[object, ...], FhirClient]] = {}
    keys = KeyRing(runtime)

    def make(endpoint: Endpoint) -> FhirApi:
        present = keys()
        way = (endpoint.fhir_base, endpoint.backend, endpoint.profile, present)
        with lock:
            known = clients.get(endpoint.id)
            if known is not None and known[0] == way:
                return known[1]
            client = open_client(endpoint, present, runtime.clock)
            clients[endpoint.id] = (way, client)
        if known is not None:
            known[1].close()
        return client

    return make


def library_factory(runtime: Runtime) -> Callable[[Endpoint], Library]:
    """Return what gives each endpoint its library, and notices when content changes."""
    folder = runtime.settings.content_dir
    return Contents(runtime.database, runtime.clock, folder).library


def capability_reader(
    runtime: Runtime,
) -> Callable[[Endpoint], dict[str, Any] | None]:
    """Return what tells what an EHR takes, asked once an hour; None where it says nothing.

    While it is away what it said last counts; FhirError where it was never heard, so that
    what is to be written waits instead of taking a lesser form.
    """
    known: dict[str, tuple[datetime, dict[str, Any] | FhirError | None]] = {}

    def read(endpoint: Endpoint) -> dict[str, Any] | None:
        now = runtime.clock.now()
        until, told = known.get(endpoint.id, (now, None))
        if not timedelta(0) < until - now <= STATEMENT_AGE:
            until = now + STATEMENT_AGE
            try:
                told = _fetch_statement(runtime, endpoint)
            except FhirError as error:
                away = error.status is None or error.status in AWAY
                until = now + ASK_AGAIN if away else until
                told = (told or error) if away else None
            known[endpoint.id] = (until, told)
        if isinstance(told, FhirError):
            raise FhirError(told.message, status=told.status)
        return told

    return read


def _fetch_statement(runtime: Runtime, endpoint: Endpoint) -> dict[str, Any]:
    ca_file = endpoint.profile.get("ca_file")
    with make_session(endpoint_reach(endpoint), ca_file=ca_file) as session:
        return fetch_capabilities(
            endpoint.fhir_base, clock=runtime.clock, session=session
        )


def stage_context(runtime: Runtime) -> StageContext:
    """Make what the stages are given."""
    settings = runtime.settings
    return StageContext(
        database=runtime.database,
        clock=runtime.clock,
        ids=runtime.ids,
        wake=runtime.wakes.wake,
        fhir=fhir_factory(runtime),
        channels=open_channels(
            ChannelParts(settings, runtime.clock, _allowed(runtime))
        ),
        library=library_factory(runtime),
        status_base=settings.public_url,
        lanes=Lanes(tell=make_teller(runtime.database, runtime.ids.new())),
        capabilities=capability_reader(runtime),
    )


def _allowed(runtime: Runtime) -> Callable[[Message], bool]:
    """Say whom a channel may reach at all: the second lock behind the gate."""

    def allowed(message: Message) -> bool:
        with runtime.database.tx() as tx:
            endpoint = endpoints.get_endpoint(tx, message.endpoint_id)
        if endpoint is None:
            return False
        return (
            endpoint.kind is EndpointKind.PRODUCTION
            or "*" in endpoint.allow_list
            or message.address in (*endpoint.allow_list, *_on_call(endpoint))
        )

    return allowed


def _on_call(endpoint: Endpoint) -> tuple[str, ...]:
    return tuple(filter(None, (endpoint.site.on_call, endpoint.site.on_call_manager)))


def bind_step(step: Callable[..., int], context: StageContext) -> Step:
    """Give a stage's step its context and the time."""

    def run(held: Held) -> int:
        return step(context, held, context.clock.now())

    return run
