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
from mappings.errors import LaunchError
from mappings.secret import Secret
from middleware.desk.launches import OPEN, PICKING, Launch, note_step
from middleware.desk.viewer import mark
from middleware.ports import FhirApi
from smart_app.context import read_context
from smart_app.cookies import LIFE
from smart_app.discovery import AuthorizationServer, Discovery
from smart_app.headers import read_origin
from smart_app.kept import seal, unseal
from smart_app.oauth import TokenClient
from smart_app.ports import SmartPorts
from smart_app.presence import read_active_until
from smart_app.session import permitted_by
from smart_app.tokens import Access, read_access, verify_id_token
from smart_app.users import (
    User,
    fetch_roles,
    read_user,
    wants_roles,
    write_roles_query,
)

CALLBACK = "/smart/callback"
NO_PATIENT = mark(
    "The EHR did not let this app read who the patient is, so nothing was opened. The "
    "person who runs the EHR adds the scope patient/Patient.rs to this app (before "
    "version 2: patient/Patient.read; where the patient is chosen here, user/ for "
    "patient/)."
)
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
        access = read_access(answer, now, base=endpoint.fhir_base, picks=picks)
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
        if not permitted_by(opened).allows(access.patient or "Patient?"):
            raise LaunchError(NO_PATIENT, code="T6", status=403)
        opened, person, asked = self._read_chart(opened, endpoint, access, now)
        read: dict[str, Any] = {"person": person and slim(person), "asked": asked}
        read["active_until"] = read_active_until(answer, now)
        return replace(opened, sealed=self._seal(opened, access, server, now, read))

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
    ) -> tuple[Launch, dict[str, Any] | None, int]:
        """Read the patient and their reader's roles, one beside the other; count it."""
        api = self._ports.fhir(endpoint, Bearer(access.token), None)
        with ThreadPoolExecutor(max_workers=1) as beside:
            allowed = beside.submit(self._read_roles, launch, endpoint, api)
            person = api.fetch(launch.patient) if launch.patient is not None else None
            launch, asked = allowed.result()
        if person is None or launch.patient is None:
            note_step(launch, now, "patient to be chosen")
            return launch, None, asked
        note_step(launch, now, "opened", patient=launch.patient)
        return launch, person, asked + 1

    def _read_roles(
        self, launch: Launch, endpoint: Endpoint, api: FhirApi
    ) -> tuple[Launch, int]:
        """Return the launch with its user's roles, and how many requests that took."""
        reference, context, asked = launch.user_reference, launch.context, 0
        permitted, roles = permitted_by(launch).for_users(), None
        if wants_roles(endpoint.app):
            if reference and permitted.allows(write_roles_query(reference)):
                roles, asked = fetch_roles(api, reference), asked + 1
            context = {**context, "roles": roles}
        return replace(launch, context=context), asked

    def _seal(
        self,
        launch: Launch,
        access: Access,
        server: AuthorizationServer,
        now: datetime,
        read: dict[str, Any],
    ) -> bytes:
        kept = {
            **read,
            "person_at": now.isoformat(),
            "token": access.token,
            "token_since": now.isoformat(),
            "token_until": access.expires_at.isoformat(),
            "refresh": access.refresh_token,
            "authorize_origin": read_origin(server.authorization_endpoint),
        }
        return seal(self._ports, launch.id, kept)


class Bearer:
    """One access token that nobody renews."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def token(self) -> Secret:
        """Return the token."""
        return self._token

    def forget(self, token: Secret) -> None:
        """Do nothing: there is no other."""


def slim(person: dict[str, Any]) -> dict[str, Any]:
    """Return a patient without what is large and what no page reads."""
    return {name: value for name, value in person.items() if name not in LARGE}


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
        deviation=access.deviation,
    )
