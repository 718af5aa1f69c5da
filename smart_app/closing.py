"""The end of a session: how long it still has, and closing it by hand.

Closing forgets the tokens, here and, where it can be asked, at the EHR (RFC 7009).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from flask import Request, Response, jsonify

from mappings.errors import CareCueError
from middleware.desk.launches import CLOSED, Launch
from smart_app.cookies import clear_cookie
from smart_app.discovery import Discovery
from smart_app.headers import protect, write_policy
from smart_app.kept import unseal
from smart_app.oauth import TokenClient
from smart_app.own_forms import check_origin
from smart_app.ports import SmartPorts
from smart_app.rendering import CHART, Pages
from smart_app.session import Session, end_session, idle_until, open_session


def ends_at(ports: SmartPorts, launch: Launch) -> datetime:
    """Return when a launch is over however much it is used: its token's end, too."""
    value = unseal(ports, launch)
    if value.get("refresh"):
        return launch.expires_at
    return min(launch.expires_at, datetime.fromisoformat(value["token_until"]))


class Closing:
    """Tells and ends sessions, over the app's ports."""

    def __init__(self, ports: SmartPorts, discovery: Discovery, pages: Pages) -> None:
        self._ports = ports
        self._discovery = discovery
        self._tokens = TokenClient(ports)
        self._pages = pages

    def tell(self, request: Request, lid: str) -> Response:
        """Answer whose page this is and in how many seconds it is locked.

        And whether its user left it for another patient's chart. Asking is no use of
        the page; with ``keep`` somebody is there.
        """
        kept = request.args.get("keep") == "1"
        session = open_session(self._ports, request, lid, quiet=not kept)
        now = self._ports.clock.now()
        launch = session.launch
        if kept:
            self._ports.launches.touch(launch.id, now)
            launch = replace(launch, seen_at=now)
        idle = (idle_until(launch, session.endpoint) - now).total_seconds()
        left = (ends_at(self._ports, launch) - now).total_seconds()
        answer = jsonify(
            launch=launch.id,
            patient=session.patient,
            chart=session.chart,
            locks_in=int(min(idle, left)),
            ends_in=int(left),
            left=self._ports.launches.has_left_for_another(launch),
        )
        answer.headers[CHART] = session.chart
        return protect(answer, write_policy(session.endpoint.app.frame_origins))

    def close(self, request: Request, lid: str) -> Response:
        """End the session here and at the EHR; answer a page that says so."""
        session = open_session(self._ports, request, lid)
        check_origin(self._ports, request, session)
        self._revoke(session)
        end_session(self._ports, session.launch, CLOSED, "closed")
        policy = write_policy(session.endpoint.app.frame_origins)
        response = self._pages.show_alone("smart/closed.html", session.viewer, policy)
        clear_cookie(response, session.launch)
        return response

    def _revoke(self, session: Session) -> None:
        fresh = self._ports.launches.get(session.launch.id) or session.launch
        try:
            value = unseal(self._ports, fresh)
            server = self._discovery.find_server(session.endpoint)
        except CareCueError:
            return
        refresh = value.get("refresh")
        kind = "refresh_token" if refresh else "access_token"
        self._tokens.end(session.endpoint, server, refresh or value["token"], kind)
