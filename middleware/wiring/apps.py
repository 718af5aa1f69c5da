"""The WSGI applications, as factories that a server process calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask

from mappings.endpoint import Endpoint
from middleware.channels.inbound import parse_twilio_inbound, parse_twilio_status
from middleware.channels.signatures import check_twilio_signature
from middleware.desk.desk import Desk
from middleware.desk.launches import LaunchBook
from middleware.fhir.bounded import make_session
from middleware.fhir.client import FhirClient
from middleware.fhir.discovery import fetch_key_set, fetch_smart_configuration
from middleware.fhir.reach import read_reach
from middleware.ports import FhirApi
from middleware.settings import read_settings
from middleware.stages.context import StageContext
from middleware.stages.listen import keep_receipt, keep_reply
from middleware.stages.receive import Intake, ReceivePorts
from middleware.storage import endpoints
from middleware.storage.gathering import GatheredWakes
from middleware.storage.intake import IntakeDatabase
from middleware.web.app import PublicPorts, create_public_app
from middleware.web.callbacks import CallbackPorts, create_callbacks
from middleware.wiring.console import create_console
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, database_fault, make_runtime
from middleware.wiring.signing import KeyRing
from smart_app.app import create_blueprint
from smart_app.ports import SmartPorts
from subscriptions.receiver import make_receiver


def public_app() -> Flask:
    """Make the public listener from this process's settings."""
    return make_public_app(make_runtime(read_settings()))


def console_app() -> Flask:
    """Make the administrators' listener from this process's settings."""
    runtime = make_runtime(read_settings())
    return create_console(runtime, stage_context(runtime))


def make_public_app(runtime: Runtime) -> Flask:
    """Compose receiver, callbacks, SMART app, keys and health."""
    context = stage_context(runtime)
    keys = KeyRing(runtime)
    return create_public_app(
        PublicPorts(
            hooks=make_receiver(Intake(_receive_ports(runtime)), runtime.clock),
            blueprints=(
                create_callbacks(_callback_ports(runtime, context)),
                create_blueprint(_smart_ports(runtime, context, keys)),
            ),
            public_jwks=lambda: keys().public_jwks(),
            ready=lambda: database_fault(runtime),
        )
    )


def _receive_ports(runtime: Runtime) -> ReceivePorts:
    def open_secrets(sealed: bytes) -> tuple[str, ...]:
        return tuple(runtime.sealer.open(sealed).decode().split("\n"))

    return ReceivePorts(
        IntakeDatabase(runtime.database.url),
        runtime.clock,
        GatheredWakes(runtime.wakes.wake_all).wake,
        open_secrets,
    )


def _callback_ports(runtime: Runtime, context: StageContext) -> CallbackPorts:
    settings = runtime.settings

    def signed(url: str, form: dict[str, str], signature: str) -> bool:
        return check_twilio_signature(url, form, signature, settings.sms_auth_token)

    def reply(channel: str, address: str, provider_id: str, text: str) -> bool:
        now = runtime.clock.now()
        return keep_reply(context, channel, address, provider_id, text, now)

    def receipt(
        channel: str, delivery_id: str, status: str, detail: dict[str, Any]
    ) -> bool:
        now = runtime.clock.now()
        return keep_receipt(context, channel, delivery_id, status, detail, now)

    def read_reply(form: dict[str, str]) -> tuple[str, str, str]:
        found = parse_twilio_inbound(form)
        return found.address, found.provider_id, found.text

    def read_receipt(
        form: dict[str, str], query: dict[str, str]
    ) -> tuple[str, str, dict[str, Any]]:
        found = parse_twilio_status(form, query)
        return found.delivery_id or "", found.status, {"reason": found.reason}

    return CallbackPorts(
        public_url=settings.public_url,
        signed=signed,
        read_reply=read_reply,
        read_receipt=read_receipt,
        keep_reply=reply,
        keep_receipt=receipt,
    )


def _smart_ports(runtime: Runtime, context: StageContext, keys: KeyRing) -> SmartPorts:
    def known() -> list[Endpoint]:
        with runtime.database.tx() as tx:
            return endpoints.list_endpoints(tx)

    def fetch_keys(url: str) -> Any:
        return fetch_key_set(url, private_network=any(map(_is_private, known())))

    def client_secret(endpoint_id: str) -> str | None:
        with runtime.database.tx() as tx:
            endpoint = endpoints.get_endpoint(tx, endpoint_id)
        sealed = endpoint.profile.get("app_secret") if endpoint else None
        if not sealed:
            return None
        return runtime.sealer.open(bytes.fromhex(sealed)).decode()

    return SmartPorts(
        endpoints=known,
        launches=LaunchBook(runtime.database),
        clock=runtime.clock,
        ids=runtime.ids,
        sealer=runtime.sealer,
        fhir=_person_clients(runtime, known),
        discover=_discover,
        fetch_keys=fetch_keys,
        signing_key=lambda algorithm: keys().signing_key(algorithm),
        client_secret=client_secret,
        desk=Desk(context),
        public_url=runtime.settings.public_url,
    )


def _person_clients(
    runtime: Runtime, known: Callable[[], list[Endpoint]]
) -> Callable[[str, str], FhirApi]:
    """Return what makes, and keeps, one client per signed-in person's token."""

    @functools.lru_cache(maxsize=256)
    def make(base: str, token: str) -> FhirApi:
        private = any(_is_private(each) for each in known() if each.fhir_base == base)
        session = make_session(read_reach(base, private_network=private))
        return FhirClient(base, lambda: token, clock=runtime.clock, session=session)

    return make


def _is_private(endpoint: Endpoint) -> bool:
    return endpoint.profile.get("private_network") is True


def _discover(endpoint: Endpoint) -> Any:
    return fetch_smart_configuration(
        endpoint.fhir_base,
        hosts=endpoint.profile.get("authorization_hosts", ()),
        private_network=_is_private(endpoint),
    )
