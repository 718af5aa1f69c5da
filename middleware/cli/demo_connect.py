"""Connecting the sandbox EHR: what `carecue endpoint add` does for a real one."""

from __future__ import annotations

from mappings.endpoint import (
    AppClient,
    BackendClient,
    CdsCaller,
    Endpoint,
    EndpointKind,
    Site,
)
from mappings.errors import CareCueError
from middleware.cli.output import progress
from middleware.desk.desk import Desk
from middleware.settings import Settings
from middleware.storage import endpoints
from middleware.storage.controls import ControlRow
from middleware.wiring.choosing import begin_polling
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import Runtime, signing_keys
from middleware.wiring.sandbox_control import SandboxControl
from middleware.wiring.subscribing import settle, want
from smart_app.scopes import list_scopes
from subscriptions.memory import load_memory
from subscriptions.wanting import Wanted, Way

SCOPE = (
    "system/Patient.rs system/Encounter.rs system/Appointment.rs system/CarePlan.rs "
    "system/Goal.rs system/Condition.rs system/Observation.rs system/Procedure.rs "
    "system/ServiceRequest.rs system/DiagnosticReport.rs system/Consent.crs "
    "system/RelatedPerson.rs system/MedicationRequest.rs system/RiskAssessment.rs "
    "system/MedicationDispense.rs "
    "system/Immunization.rs system/Flag.rs system/Location.rs "
    "system/CommunicationRequest.crs system/Communication.crus system/Task.crs "
    "system/Subscription.cruds"
)
TOPICS = "http://sandbox.example.org/SubscriptionTopic"
SHAPE = "http://sandbox.example.org/StructureDefinition/notification-shape"
ACTIVE_SECONDS = 60.0
CDS_CLIENT = "carecue-cds"
SMS_SID = "ACsandbox"
SMS_FROM = "+14155550199"


def sandbox_endpoint(base_url: str, zone: str) -> Endpoint:
    """Describe the sandbox as a site would describe its EHR."""
    return Endpoint(
        id="sandbox",
        name="Sandbox EHR",
        kind=EndpointKind.SANDBOX,
        fhir_base=f"{base_url}/fhir",
        backend=BackendClient(
            client_id="carecue-backend",
            token_url=f"{base_url}/oauth/token",
            scope=SCOPE,
            algorithm="ES384",
        ),
        app=AppClient(
            client_id="carecue-app",
            authentication="private_key_jwt",
            algorithm="RS384",
            frame_origins=(base_url,),
        ),
        cds=CdsCaller(
            issuers=(f"{base_url}/fhir",),
            key_urls=(f"{base_url}/oauth/jwks",),
            client_id=CDS_CLIENT,
        ),
        site=Site(
            name="Northside Clinic",
            phone="(415) 555-0100",
            booking_url="northside.example.org/book",
            zone=zone,
            reviewers={"es": "Lucía Ferrer (synthetic reviewer), 2026-11-02"},
            organization="Organization/northside",
            # The story tells what follows from what happens, and counts it exactly.
            review_days=0,
        ),
        allow_list=("*",),
        profile={"server": "sandbox"},
    )


def connect_sandbox(
    runtime: Runtime, control: SandboxControl, zone: str, sms_token: str
) -> Endpoint:
    """Store the endpoint and register our clients, services and SMS webhook there."""
    endpoint = sandbox_endpoint(control.base_url, zone)
    now = runtime.clock.now()
    keys = signing_keys(runtime)
    with runtime.database.tx() as tx:
        if endpoints.get_endpoint(tx, endpoint.id) is None:
            endpoints.insert_endpoint(tx, endpoint, now)
    _register(
        control, runtime.settings, keys.public_jwks(), app_scope(runtime, endpoint)
    )
    begin_polling(runtime, endpoint)
    control.call(
        "PUT",
        "/sandbox/sms",
        {
            "account_sid": SMS_SID,
            "auth_token": sms_token,
            "inbound_url": f"{runtime.settings.public_url}/channels/sms/inbound",
            "from_number": SMS_FROM,
        },
    )
    control.call(
        "PUT",
        "/sandbox/cds",
        {
            "url": f"{runtime.settings.public_url}/cds-services",
            "client_id": CDS_CLIENT,
        },
    )
    return endpoint


def app_scope(runtime: Runtime, endpoint: Endpoint) -> str:
    """Return every scope that the SMART app asks for, in either kind of launch."""
    return list_scopes(Desk(stage_context(runtime)).resource_types(endpoint))


def _register(
    control: SandboxControl, settings: Settings, jwks: dict[str, object], scope: str
) -> None:
    common = {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks}
    backend = {
        **common,
        "client_id": "carecue-backend",
        "client_name": "CareCue",
        "grant_types": ["client_credentials"],
        "scope": SCOPE,
    }
    app = {
        **common,
        "client_id": "carecue-app",
        "client_name": "CareCue",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"{settings.public_url}/smart/callback"],
        "launch_uri": f"{settings.public_url}/smart/launch",
        "scope": scope,
    }
    for client in (backend, app):
        control.call("PUT", f"/sandbox/clients/{client['client_id']}", client)


def wanted_subscriptions() -> list[Wanted]:
    """One subscription in each of the three forms, so that the demo shows all."""
    shape = ({"url": SHAPE, "valueCode": "r5"},)
    ways = {
        "Encounter": Way("backport", f"{TOPICS}/encounter-change"),
        "Appointment": Way("criteria", content="full-resource", heartbeat=None),
        "CarePlan": Way(
            "backport",
            f"{TOPICS}/careplan-change",
            content="full-resource",
            extensions=shape,
        ),
    }
    return [Wanted(kind, (way,)) for kind, way in ways.items()]


def subscribe_sandbox(runtime: Runtime, endpoint: Endpoint) -> None:
    """Want the subscriptions and wait until they are active; CareCueError if not."""
    want(runtime, endpoint, wanted_subscriptions())
    rows = settle(runtime, endpoint, ACTIVE_SECONDS, _tell)
    waiting = [row.resource_type for row in rows if row.seen_status != "active"]
    if waiting:
        raise CareCueError(
            f"The sandbox did not activate {', '.join(waiting)} in "
            f"{ACTIVE_SECONDS:.0f} s. Nothing is lost; start again."
        )


def _tell(row: ControlRow) -> None:
    progress(f"{row.resource_type}: {load_memory(row.memory).reason}")
