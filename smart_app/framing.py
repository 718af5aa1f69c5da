"""Whether a launch may leave for the sign-in within the EHR's frame.

A sign-in that refuses to be framed leaves a blank frame, in which nothing of ours is
left to say so: it has to be known before. What the sign-in's headers say is asked once
and kept; that launches come back from the frame is stronger evidence, and so is that
none does.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Request

from mappings.dialects.registry import app_ways
from mappings.endpoint import Endpoint
from middleware.desk.launches import FAILED, STARTED
from smart_app.cookies import held_launches, holds_cookie
from smart_app.discovery import AuthorizationServer
from smart_app.fetched import Fetched
from smart_app.leaving import Blank, is_framed, is_tried
from smart_app.ports import SmartPorts
from smart_app.session import START_LIFE

# So long a sign-in that needs nobody may take; sooner, the first one is still under way.
UNDER_WAY = timedelta(seconds=5)
# Known for longer than this, it is looked at again beside the launch.
LOOKED_FOR = timedelta(days=1)
PAUSE_SECONDS = 60.0
# So many frames that stayed blank, and none that did not, tell of a refusal by itself.
MOST_LOST = 3


class Framing:
    """What is known of each EHR's sign-in in a frame, over the app's ports."""

    def __init__(self, ports: SmartPorts) -> None:
        self._ports = ports
        self._looks = Fetched(self._look, pause=PAUSE_SECONDS)

    def look_back(self, request: Request, endpoint: Endpoint) -> Blank | None:
        """Return why this launch asks for a window, by what is known without asking.

        None where it may go on, or where it has to be found out.
        """
        if not is_framed(request):
            return None
        if app_ways(endpoint.profile).framed is False:
            return Blank.ALWAYS
        if is_tried(request) or not self._came_to_nothing(request, endpoint):
            return None
        return Blank.LOST

    def look_ahead(
        self, request: Request, endpoint: Endpoint, server: AuthorizationServer
    ) -> Blank | None:
        """Return why this launch asks for a window, by what its sign-in says.

        The EHR is asked, for two seconds at the most, only where nothing is known as yet.
        """
        if not is_framed(request) or is_tried(request):
            return None
        if app_ways(endpoint.profile).framed:
            return None
        return self._find_why(endpoint, server)

    def _find_why(
        self, endpoint: Endpoint, server: AuthorizationServer
    ) -> Blank | None:
        now, url = self._ports.clock.now(), server.authorization_endpoint
        known = self._ports.frames.read(endpoint.id, now, START_LIFE)
        if known.returned:
            return None
        refusal = known.refusal
        if known.looked_at is None:
            refusal = self._looks.find(endpoint, url, fresh=False)
        elif now - known.looked_at > LOOKED_FOR:
            self._looks.prefetch(endpoint, url)
        if refusal:
            return Blank.REFUSED
        return Blank.LOST if known.lost >= MOST_LOST else None

    def _came_to_nothing(self, request: Request, endpoint: Endpoint) -> bool:
        """Tell whether this browser left for this sign-in in a frame for nothing.

        Who came back from one before gets the frame again.
        """
        now = self._ports.clock.now()
        found = [self._ports.launches.get(name) for name in held_launches(request)]
        tried = [
            launch
            for launch in found
            if launch is not None
            and launch.endpoint_id == endpoint.id
            and launch.context.get("framed") is True
            and holds_cookie(request, launch)
        ]
        if any(launch.stage not in (STARTED, FAILED) for launch in tried):
            return False
        return any(
            launch.stage == STARTED
            and UNDER_WAY <= now - launch.created_at < START_LIFE
            for launch in tried
        )

    def _look(self, endpoint: Endpoint, url: str) -> str | None:
        refusal = self._ports.look_at_sign_in(endpoint, url)
        if refusal is not None:
            self._ports.frames.keep(endpoint.id, refusal, self._ports.clock.now())
        return refusal
