"""The WSGI applications, as factories that a server process calls."""

from __future__ import annotations

from typing import Any

from flask import Flask

from middleware.channels.inbound import parse_twilio_inbound, parse_twilio_status
from middleware.channels.signatures import check_twilio_signature
from middleware.settings import read_settings
from middleware.stages.context import StageContext
from middleware.stages.listen import keep_receipt, keep_reply
from middleware.stages.receive import Intake, ReceivePorts
from middleware.storage.gathering import GatheredWakes
from middleware.storage.intake import IntakeDatabase
from middleware.web.app import PublicPorts, create_public_app
from middleware.web.callbacks import CallbackPorts, create_callbacks
from middleware.wiring.cds import make_cds_ports
from middleware.wiring.console import create_console
from middleware.wiring.launching import make_smart_ports
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, database_fault, make_runtime
from middleware.wiring.signing import KeyRing
from middleware.wiring.warming import warm_beside
from smart_app.app import create_blueprint
from smart_app.cds.blueprint import create_cds
from subscriptions.receiver import make_receiver


def public_app() -> Flask:
    """Make the public listener from this process's settings."""
    runtime = make_runtime(read_settings())
    context, keys = stage_context(runtime), KeyRing(runtime)
    app = _compose(runtime, context, keys)
    warm_beside(app, context, keys)
    return app


def console_app() -> Flask:
    """Make the administrators' listener from this process's settings."""
    runtime = make_runtime(read_settings())
    return create_console(runtime, stage_context(runtime))


def make_public_app(runtime: Runtime) -> Flask:
    """Compose receiver, callbacks, SMART app, CDS services, keys and health."""
    return _compose(runtime, stage_context(runtime), KeyRing(runtime))


def _compose(runtime: Runtime, context: StageContext, keys: KeyRing) -> Flask:
    return create_public_app(
        PublicPorts(
            hooks=make_receiver(Intake(_receive_ports(runtime)), runtime.clock),
            blueprints=(
                create_callbacks(_callback_ports(runtime, context)),
                create_blueprint(make_smart_ports(runtime, context, keys)),
                create_cds(make_cds_ports(runtime, context)),
            ),
            public_jwks=lambda: keys().public_jwks(),
            ready=lambda: database_fault(runtime),
        )
    )


def _receive_ports(runtime: Runtime) -> ReceivePorts:
    def open_secrets(sealed: bytes) -> tuple[str, ...]:
        return tuple(runtime.sealer.open(sealed).decode().split("\n"))

    intake = IntakeDatabase(runtime.database.url)
    runtime.opened.callback(intake.close)
    wakes = GatheredWakes(runtime.wakes.wake_all)
    runtime.opened.callback(wakes.close)
    return ReceivePorts(intake, runtime.clock, wakes.wake, open_secrets)


def _callback_ports(runtime: Runtime, context: StageContext) -> CallbackPorts:
    settings = runtime.settings

    def signed(url: str, form: dict[str, str], signature: str) -> bool:
        token = settings.sms_auth_token.reveal()
        return check_twilio_signature(url, form, signature, token)

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
