"""The launch: from the EHR's ``iss`` to an open session, once each.

Every launch is a new one. It may not talk to an EHR that is not registered, show what
a request said, or let anybody in but a practitioner. Source: SMART App Launch 2.2.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import Any

from flask import Request, Response

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from mappings.errors import CareCueError, LaunchError
from middleware.desk.launches import (
    FAILED,
    PICKING,
    STARTED,
    Launch,
    new_launch,
    note_step,
)
from middleware.desk.viewer import mark
from smart_app.cookies import digest, holds_cookie, set_cookie
from smart_app.discovery import AuthorizationServer, Discovery
from smart_app.failed import PLACE, seal_failure, write_standalone
from smart_app.failures import as_failure, read_refusal
from smart_app.framing import Framing
from smart_app.intents import find_place
from smart_app.kept import ENDED, seal
from smart_app.leaving import Leaving, is_framed, is_inner
from smart_app.oauth import clean_text, write_authorization_url
from smart_app.opening import CALLBACK, Opening
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.scopes import Asking, choose_asking, write_scope
from smart_app.session import START_LIFE, known
from smart_app.users import wants_roles

LAUNCH = re.compile(r"[\x21-\x7e]{1,2048}\Z")
NO_COOKIE = mark(
    "This browser did not bring back the app's cookie, so the sign-in was stopped. "
    "Nothing was opened. Open this app again from the chart; if it stays so, ask IT "
    "to allow partitioned cookies in the EHR's frame."
)


class Launching:
    """The three steps of a launch, over the app's ports."""

    def __init__(self, ports: SmartPorts, discovery: Discovery, pages: Pages) -> None:
        self._ports = ports
        self._discovery = discovery
        self._opening = Opening(ports, discovery)
        self._leaving = Leaving(pages, ports.public_url)
        self._framing = Framing(ports)

    def start(self, request: Request, *, standalone: bool) -> Response:
        """Answer ``/smart/launch`` or ``/smart/standalone`` with a redirect.

        LaunchError L1 (403) for an EHR that is not registered, L2 (400) for a
        malformed request; neither causes an outbound request.
        """
        endpoint = self._registered(_once(request, "iss") or "")
        opaque = None if standalone else _once(request, "launch") or ""
        if opaque is not None and not LAUNCH.match(opaque):
            raise LaunchError(
                "The EHR's launch is incomplete. Open this app again from the chart.",
                code="L2",
            )
        blank = self._framing.look_back(request, endpoint)
        if blank is not None:
            return self._leaving.ask_window(request, endpoint, blank)
        server = self._begin(endpoint)
        blank = self._framing.look_ahead(request, endpoint, server)
        if blank is not None:
            return self._leaving.ask_window(request, endpoint, blank, server)
        asking = _choose_asking(endpoint, server, standalone=standalone)
        return self._leave(request, endpoint, server, asking, opaque)

    def _leave(
        self,
        request: Request,
        endpoint: Endpoint,
        server: AuthorizationServer,
        asking: Asking,
        opaque: str | None,
    ) -> Response:
        """Keep a new launch and send the browser to the sign-in."""
        ports = self._ports
        state, verifier, nonce, secret = (ports.ids.secret() for _ in range(4))
        types = ports.desk.resource_types(endpoint)
        scope = write_scope(types, standalone=opaque is None, asking=asking)
        kept = {"verifier": verifier, "nonce": nonce, "asked": scope}
        context = _begin_context(request, asking)
        launch = self._insert(endpoint, state, secret, kept, context)
        url = write_authorization_url(
            endpoint,
            server,
            redirect_uri=ports.public_url + CALLBACK,
            aud=_once(request, "iss") or endpoint.fhir_base,
            scope=scope,
            state=state,
            verifier=verifier,
            nonce=nonce,
            launch=opaque,
        )
        ways = app_ways(endpoint.profile)
        response = self._leaving.send(request, endpoint, server, ways, url)
        set_cookie(response, launch, secret)
        return response

    def finish(self, request: Request) -> Response:
        """Answer ``/smart/callback``: exchange, check, open, and go to a clean URL.

        That is the failure's own where it fails in the browser that began it.
        """
        launch, endpoint = self._started(request)
        try:
            opened = self._open(request, launch, known(endpoint))
        except CareCueError as error:
            failure = as_failure(error, [endpoint] if endpoint else [])
            if failure.code == "C1":
                failure.launch_id = launch.id
                raise failure from error
            self._fail(launch, failure)
            return _see_other(f"{PLACE}/{launch.id}")
        if opened.stage == PICKING:
            self._ports.launches.update(opened)
            return self._arrive(request, opened, endpoint, f"/l/{launch.id}/patient")
        self._ports.launches.open(opened, self._ports.clock.now())
        return self._arrive(request, opened, endpoint, find_place(opened))

    def _arrive(
        self,
        request: Request,
        launch: Launch,
        endpoint: Endpoint | None,
        url: str,
    ) -> Response:
        if launch.context.get("inner") and endpoint is not None:
            return self._leaving.tell_opened(request, endpoint, url)
        return _see_other(url)

    def _open(self, request: Request, launch: Launch, endpoint: Endpoint) -> Launch:
        if self._ports.clock.now() >= launch.expires_at:
            raise LaunchError(ENDED, code="C2")
        server = self._discovery.find_server(endpoint)
        _check_issuer(_once(request, "iss"), server)
        code = _once(request, "code")
        if _once(request, "error") is not None or not code:
            raise read_refusal(
                endpoint,
                _once(request, "error"),
                _once(request, "error_description"),
                _once(request, "error_uri"),
            )
        if not self._ports.launches.take(launch.state_hash or ""):
            raise _not_ours()
        note_step(launch, self._ports.clock.now(), "returned")
        return self._opening.open(launch, endpoint, server, code)

    def _begin(self, endpoint: Endpoint) -> AuthorizationServer:
        try:
            return self._discovery.begin(endpoint)
        except LaunchError as error:
            error.endpoint_id = endpoint.id
            raise

    def _insert(
        self,
        endpoint: Endpoint,
        state: str,
        secret: str,
        kept: dict[str, Any],
        context: dict[str, Any],
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
            context=context,
        )
        note_step(launch, now, "asked", scope=kept["asked"])
        self._ports.launches.insert(launch)
        return launch

    def _registered(self, iss: str) -> Endpoint:
        # Bases are kept without the slash that some EHRs end theirs with.
        for endpoint in self._ports.endpoints():
            if endpoint.fhir_base == iss.removesuffix("/") and endpoint.app.client_id:
                return endpoint
        raise LaunchError(
            "This EHR is not connected to CareCue, so nothing was opened. Ask the "
            "person who runs CareCue to add it with the address of its FHIR server, "
            "letter for letter.",
            code="L1",
            status=403,
        )

    def _started(self, request: Request) -> tuple[Launch, Endpoint | None]:
        state = _once(request, "state") or ""
        entry = self._ports.launches.find(digest(state)) if state else None
        if entry is None or entry.launch.stage != STARTED:
            raise _not_ours()
        launch = entry.launch
        now = self._ports.clock.now()
        if not holds_cookie(request, launch):
            if now >= launch.expires_at:
                raise self._fail(launch, LaunchError(ENDED, code="C2"))
            # The right browser may still come: the launch itself goes on.
            note_step(launch, now, "cookie missing", code="C3")
            self._ports.launches.update_steps(launch)
            lost = LaunchError(NO_COOKIE, code="C3", status=403)
            lost.launch_id = launch.id
            lost.alone = write_standalone(self._ports, launch)
            raise lost
        return launch, entry.endpoint

    def _fail(self, launch: Launch, error: LaunchError) -> LaunchError:
        """Keep why a launch failed and nothing else of it; return the error."""
        error.launch_id = launch.id
        said, found = error.said or None, error.found or None
        now = self._ports.clock.now()
        note_step(launch, now, "failed", code=error.code, said=said, found=found)
        sealed = seal_failure(self._ports, launch, error)
        failed = replace(launch, stage=FAILED, sealed=sealed, error=error.code)
        self._ports.launches.update(replace(failed, state_hash=None))
        return error


def _begin_context(request: Request, asking: Asking) -> dict[str, Any]:
    """Return what is known of a launch before anybody signed in."""
    framed = is_framed(request)
    context = {"style": asking.style, "level": asking.level, "framed": framed}
    return {**context, "inner": True} if is_inner(request) else context


def _choose_asking(
    endpoint: Endpoint, server: AuthorizationServer, *, standalone: bool
) -> Asking:
    known = set(server.capabilities)
    return choose_asking(
        server.capabilities,
        server.scopes,
        style=app_ways(endpoint.profile).scope_style,
        roles=wants_roles(endpoint.app),
        picks=standalone
        and "launch-standalone" in known
        and "context-standalone-patient" not in known,
    )


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
    # RFC 9207: an answer that names another server was mixed up on its way, and so was
    # one without a name from a server that always gives it.
    named = issuer or ""
    if (issuer is not None or server.names_itself) and not any(
        hmac.compare_digest(named.encode(), known.encode()) for known in server.issuers
    ):
        raise LaunchError(
            "The answer came from another sign-in server than the one asked. Nothing "
            "was opened. Open this app again from the chart.",
            code="C5",
            found=f"iss {clean_text(issuer)}".strip(),
        )


def _not_ours() -> LaunchError:
    return LaunchError(
        "This sign-in is unknown or was already used. Nothing was opened. Open this "
        "app again from the chart.",
        code="C1",
    )


def _see_other(url: str) -> Response:
    return Response(status=303, headers={"Location": url})
