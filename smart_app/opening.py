"""From a code to an open launch: exchange, who is signed in, whose chart.

Each step is noted on the launch, ids and codes only. Nothing is answered here, and
nothing is kept of a launch that fails.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

from mappings.endpoint import Endpoint
from mappings.errors import FhirError
from middleware.desk.launches import OPEN, PICKING, Launch, note_step
from middleware.ports import FhirApi
from smart_app.context import read_context
from smart_app.cookies import LIFE
from smart_app.discovery import AuthorizationServer, Discovery
from smart_app.headers import read_origin
from smart_app.oauth import TokenClient
from smart_app.ports import SmartPorts
from smart_app.presence import read_active_until
from smart_app.session import seal, unseal
from smart_app.tokens import Access, read_access, verify_id_token
from smart_app.users import User, fetch_roles, read_user, wants_roles

CALLBACK = "/smart/callback"
LARGE = frozenset({"photo", "text", "contained"})


class Opening:
    """Opens launches, over the app's ports."""

    def __init__(self, ports: SmartPorts, discovery: Discovery) -> None:
        self._ports = ports
        self._discovery = discovery
        self._tokens = TokenClient(ports)

    def open(
        self, launch: Launch, endpoint: Endpoint, server: AuthorizationServer, code: str
    ) -> Launch:
        """Return the launch as opened. Raises LaunchError or FhirError."""
        now = self._ports.clock.now()
        sealed = unseal(self._ports, launch)
        answer = self._tokens.exchange(
            endpoint,
            server.token_endpoint,
            redirect_uri=self._ports.public_url + CALLBACK,
            code=code,
            verifier=sealed["verifier"],
        )
        picks = launch.context.get("level") == "user"
        access = read_access(answer, now, picks=picks)
        context = {**launch.context, **read_context(answer)}
        scope = access.scope or str(sealed["asked"])
        _note_token(launch, now, access, scope, context)
        user = self._check_user(access, sealed, endpoint, server, now)
        note_step(launch, now, "signed in", user=user.reference)
        context |= {"iss": user.issuer, "sub": user.subject}
        opened = replace(
            launch,
            stage=OPEN if access.patient else PICKING,
            state_hash=None,
            expires_at=launch.created_at + LIFE,
            seen_at=now,
            patient=access.patient,
            encounter=access.encounter,
            user_reference=user.reference,
            scope=scope,
            need_patient_banner=access.need_patient_banner,
            context=context,
        )
        opened, person = self._read_chart(opened, endpoint, access, now)
        active = read_active_until(answer, now)
        kept = self._seal(opened, access, server, now, person, active)
        return replace(opened, sealed=kept)

    def _check_user(
        self,
        access: Access,
        sealed: dict[str, Any],
        endpoint: Endpoint,
        server: AuthorizationServer,
        now: datetime,
    ) -> User:
        claims = verify_id_token(
            access.id_token,
            lambda fresh: self._discovery.find_keys(endpoint, server, fresh=fresh),
            endpoint=endpoint,
            issuers=server.issuers,
            nonce=sealed["nonce"],
            now=now,
        )
        return read_user(claims, endpoint)

    def _read_chart(
        self, launch: Launch, endpoint: Endpoint, access: Access, now: datetime
    ) -> tuple[Launch, dict[str, Any] | None]:
        """Read the patient and who is signed in, one beside the other."""
        api = self._ports.fhir(endpoint, Bearer(access.token), None)
        with ThreadPoolExecutor(max_workers=1) as beside:
            named = beside.submit(self._name_user, launch, endpoint, api)
            person = api.fetch(launch.patient) if launch.patient is not None else None
            launch = named.result()
        if person is None or launch.patient is None:
            note_step(launch, now, "patient to be chosen")
            return launch, None
        check_patient(person, launch.patient)
        note_step(launch, now, "opened", patient=launch.patient)
        return launch, person

    def _name_user(self, launch: Launch, endpoint: Endpoint, api: FhirApi) -> Launch:
        reference, context = launch.user_reference, launch.context
        if wants_roles(endpoint.app):
            context = {**context, "roles": fetch_roles(api, reference)}
        name = self._ports.desk.read_user_name(api, reference) if reference else None
        return replace(launch, user_name=name, context=context)

    def _seal(
        self,
        launch: Launch,
        access: Access,
        server: AuthorizationServer,
        now: datetime,
        person: dict[str, Any] | None,
        active: str | None,
    ) -> bytes:
        kept = {
            "person": slim(person) if person else None,
            "person_at": now.isoformat(),
            "token": access.token,
            "token_since": now.isoformat(),
            "token_until": access.expires_at.isoformat(),
            "refresh": access.refresh_token,
            "active_until": active,
            "authorize_origin": read_origin(server.authorization_endpoint),
        }
        return seal(self._ports, launch.id, kept)


class Bearer:
    """One access token that nobody renews."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """Return the token."""
        return self._token

    def forget(self, token: str) -> None:
        """Do nothing: there is no other."""


def slim(person: dict[str, Any]) -> dict[str, Any]:
    """Return a patient without what is large and what no page reads."""
    return {name: value for name, value in person.items() if name not in LARGE}


def check_patient(patient: dict[str, Any], reference: str) -> None:
    """Raise FhirError unless a record is the one that was asked for."""
    if f"{patient.get('resourceType')}/{patient.get('id')}" != reference:
        raise FhirError(
            "The EHR returned another record than the open chart's; nothing is shown",
            permanent=True,
        )


def _note_token(
    launch: Launch,
    now: datetime,
    access: Access,
    scope: str,
    context: dict[str, Any],
) -> None:
    note_step(
        launch,
        now,
        "token",
        scope=scope,
        seconds=int((access.expires_at - now).total_seconds()),
        refresh=access.refresh_token is not None,
        patient=access.patient,
        encounter=access.encounter,
        intent=context.get("intent"),
    )
