"""The launch: from the EHR's ``iss`` to an open session, once each.

Every launch is a new one. It may not talk to an EHR that is not registered, show what
a request said, or let anybody in but a practitioner. Source: SMART App Launch 2.2.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Request, Response

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, FhirError, LaunchError
from middleware.desk.launches import FAILED, OPEN, STARTED, Launch, new_launch
from smart_app.discovery import AuthorizationServer, Discovery
from smart_app.headers import read_origin
from smart_app.oauth import fetch_token, write_authorization_url
from smart_app.ports import SmartPorts
from smart_app.scopes import write_scope
from smart_app.session import (
    ENDED,
    LIFE,
    START_LIFE,
    digest,
    find_endpoint,
    holds_cookie,
    seal,
    set_cookie,
    unseal,
)
from smart_app.tokens import Access, read_access, read_user, verify_id_token

LAUNCH = re.compile(r"[\x21-\x7e]{1,2048}\Z")
ERROR = re.compile(r"[a-z_]{1,40}\Z")
CALLBACK = "/smart/callback"


class Launching:
    """The three steps of a launch, over the app's ports."""

    def __init__(self, ports: SmartPorts) -> None:
        self._ports = ports
        self._discovery = Discovery(ports.discover, ports.fetch_keys)

    def start(self, request: Request, *, standalone: bool) -> Response:
        """Answer ``/smart/launch`` or ``/smart/standalone`` with a redirect.

        LaunchError L1 (403) for an EHR that is not registered, L2 (400) for a
        malformed request; neither causes an outbound request.
        """
        endpoint = self._registered(_once(request, "iss"))
        opaque = None if standalone else _once(request, "launch") or ""
        if opaque is not None and not LAUNCH.match(opaque):
            raise LaunchError(
                "The EHR's launch is incomplete. Open this app again from the chart.",
                code="L2",
            )
        server = self._discovery.find_server(endpoint)
        ports = self._ports
        state, verifier, nonce, secret = (ports.ids.secret() for _ in range(4))
        kept = {"verifier": verifier, "nonce": nonce}
        launch = self._insert(endpoint, state, secret, kept)
        url = write_authorization_url(
            endpoint,
            server,
            redirect_uri=ports.public_url + CALLBACK,
            scope=write_scope(
                ports.desk.resource_types(endpoint), standalone=standalone
            ),
            state=state,
            verifier=verifier,
            nonce=nonce,
            launch=opaque,
        )
        response = _see_other(url)
        set_cookie(response, launch, secret)
        return response

    def finish(self, request: Request) -> Response:
        """Answer ``/smart/callback``: exchange, check, open, and go to a clean URL."""
        launch = self._started(request)
        endpoint = find_endpoint(self._ports, launch.endpoint_id)
        server = self._discovery.find_server(endpoint)
        _check_issuer(_once(request, "iss"), server)
        taken = self._ports.launches.take(launch.state_hash or "")
        if taken is None:
            raise _not_ours()
        launch = taken
        try:
            opened = self._open(request, launch, endpoint, server)
        except LaunchError as error:
            self._fail(launch, error.code)
            raise
        except CareCueError:
            self._fail(launch, "X1")
            raise
        self._ports.launches.update(opened)
        self._ports.desk.note_launch(opened)
        return _see_other(f"/l/{launch.id}/")

    def _insert(
        self, endpoint: Endpoint, state: str, secret: str, kept: dict[str, Any]
    ) -> Launch:
        now, launch_id = self._ports.clock.now(), self._ports.ids.new()
        launch = new_launch(
            id=launch_id,
            endpoint_id=endpoint.id,
            state_hash=digest(state),
            cookie_hash=digest(secret),
            sealed=seal(self._ports, launch_id, kept),
            created_at=now,
            expires_at=now + START_LIFE,
        )
        self._ports.launches.insert(launch)
        return launch

    def _registered(self, iss: str | None) -> Endpoint:
        for endpoint in self._ports.endpoints():
            if endpoint.fhir_base == iss and endpoint.app.client_id:
                return endpoint
        raise LaunchError(
            "This EHR is not connected to CareCue, so nothing was opened. Ask the "
            "person who runs CareCue to add it with the address of its FHIR server, "
            "letter for letter.",
            code="L1",
            status=403,
        )

    def _started(self, request: Request) -> Launch:
        state = _once(request, "state") or ""
        launch = self._ports.launches.find(digest(state)) if state else None
        if launch is None or launch.stage != STARTED:
            raise _not_ours()
        if self._ports.clock.now() >= launch.expires_at:
            raise LaunchError(ENDED, code="C2")
        if not holds_cookie(request, launch):
            raise LaunchError(
                "This browser did not bring back the app's cookie, so the sign-in was "
                "stopped. Nothing was opened. Open this app again from the chart; if "
                "it stays so, ask IT to allow partitioned cookies in the EHR's frame.",
                code="C3",
                status=403,
            )
        return launch

    def _open(
        self,
        request: Request,
        launch: Launch,
        endpoint: Endpoint,
        server: AuthorizationServer,
    ) -> Launch:
        now = self._ports.clock.now()
        sealed = unseal(self._ports, launch)
        access = self._exchange(request, sealed, endpoint, server, now)
        claims = verify_id_token(
            access.id_token,
            lambda fresh: self._discovery.find_keys(endpoint, server, fresh=fresh),
            endpoint=endpoint,
            issuers=server.issuers,
            nonce=sealed["nonce"],
            now=now,
        )
        user = read_user(claims, endpoint.fhir_base)
        api = self._ports.fhir(endpoint.fhir_base, access.token)
        _check_patient(api.fetch(access.patient), access.patient)
        kept = {
            "token": access.token,
            "token_until": access.expires_at.isoformat(),
            "authorize_origin": read_origin(server.authorization_endpoint),
        }
        return replace(
            launch,
            stage=OPEN,
            state_hash=None,
            sealed=seal(self._ports, launch.id, kept),
            expires_at=launch.created_at + LIFE,
            seen_at=now,
            patient=access.patient,
            encounter=access.encounter,
            user_reference=user,
            user_name=self._ports.desk.read_user_name(api, user),
            scope=access.scope,
            need_patient_banner=access.need_patient_banner,
        )

    def _exchange(
        self,
        request: Request,
        sealed: dict[str, Any],
        endpoint: Endpoint,
        server: AuthorizationServer,
        now: datetime,
    ) -> Access:
        refused = _once(request, "error")
        code = _once(request, "code")
        if refused is not None or not code:
            word = refused if refused and ERROR.match(refused) else "no code"
            raise LaunchError(
                f"The EHR did not let this app in ({word}). Nothing was opened. "
                "Open this app again from the chart.",
                code="C4",
                status=403,
            )
        method = endpoint.app.authentication
        signs = method == "private_key_jwt"
        basic = method == "client_secret_basic"
        ports = self._ports
        answer = fetch_token(
            endpoint,
            server.token_endpoint,
            redirect_uri=ports.public_url + CALLBACK,
            code=code,
            verifier=sealed["verifier"],
            key=ports.signing_key(endpoint.app.algorithm) if signs else None,
            secret=ports.client_secret(endpoint.id) if basic else None,
            now=now,
            bound=ports.bound,
        )
        return read_access(answer, now)

    def _fail(self, launch: Launch, code: str) -> None:
        failed = replace(launch, stage=FAILED, state_hash=None, sealed=b"", error=code)
        self._ports.launches.update(failed)


def _once(request: Request, name: str) -> str | None:
    values = request.args.getlist(name)
    if len(values) > 1:
        raise LaunchError(
            "The request says the same thing twice, so it was not followed. Open "
            "this app again from the chart.",
            code="L3",
        )
    return values[0] if values else None


def _check_issuer(issuer: str | None, server: AuthorizationServer) -> None:
    # RFC 9207: an answer that names another server was mixed up on its way.
    if issuer is not None and not any(
        hmac.compare_digest(issuer.encode(), known.encode()) for known in server.issuers
    ):
        raise LaunchError(
            "The answer came from another sign-in server than the one asked. Nothing "
            "was opened. Open this app again from the chart.",
            code="C5",
        )


def _check_patient(patient: dict[str, Any], reference: str) -> None:
    if f"{patient.get('resourceType')}/{patient.get('id')}" != reference:
        raise FhirError(
            "The EHR returned another record than the open chart's; nothing is shown",
            permanent=True,
        )


def _not_ours() -> LaunchError:
    return LaunchError(
        "This sign-in is unknown or was already used. Nothing was opened. Open this "
        "app again from the chart.",
        code="C1",
    )


def _see_other(url: str) -> Response:
    return Response(status=303, headers={"Location": url})
