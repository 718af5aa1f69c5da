"""Opening an open launch in a window of its own: once, within 30 seconds.

A window has a jar of cookies of its own, so that the launch's cookie does not go with
it. A one-time code does, in a form's body: what it opens is a new launch with its own
cookie and its own seal. The right to renew the token moves along; it is never in two.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flask import Request, Response

from mappings.errors import LaunchError
from middleware.desk.launches import Launch, note_step
from middleware.desk.viewer import mark
from smart_app.cookies import digest, set_cookie
from smart_app.kept import seal, unseal
from smart_app.own_forms import check_origin, is_own
from smart_app.ports import SmartPorts
from smart_app.rendering import Pages
from smart_app.session import open_session

CODE_LIFE = timedelta(seconds=30)
USED = mark(
    "This window was opened before, or its 30 seconds are over. Nothing was shown. Go "
    "back to the chart and open it again."
)


class Handoff:
    """Hands launches over to windows of their own, over the app's ports."""

    def __init__(self, ports: SmartPorts, pages: Pages) -> None:
        self._ports = ports
        self._pages = pages

    def offer(self, request: Request, lid: str) -> Response:
        """Answer a page whose button opens the window, for 30 seconds."""
        session = open_session(self._ports, request, lid)
        check_origin(self._ports, request, session)
        code = self._ports.ids.secret()
        until = self._ports.clock.now() + CODE_LIFE
        self._ports.launches.offer_handoff(session.launch.id, digest(code), until)
        return self._pages.show("smart/window.html", session, code=code)

    def take(self, request: Request) -> Response:
        """Answer the window's first request: a new launch, and its clean URL.

        LaunchError H1 (403) for a code that is unknown, used or over 30 seconds old.
        """
        code, now = request.form.get("code", ""), self._ports.clock.now()
        if not code or not is_own(self._ports, request):
            raise LaunchError(USED, code="H1", status=403)
        secret = self._ports.ids.secret()
        opened = self._ports.launches.hand_over(
            digest(code), now, lambda old: self._split(old, secret, now)
        )
        if opened is None:
            raise LaunchError(USED, code="H1", status=403)
        response = Response(status=303, headers={"Location": f"/l/{opened.id}/"})
        set_cookie(response, opened, secret)
        return response

    def _split(self, old: Launch, secret: str, now: datetime) -> tuple[Launch, Launch]:
        """Return the old launch, which can no longer renew, and the window's new one."""
        value, new_id = unseal(self._ports, old), self._ports.ids.new()
        value.pop("lid")
        new = replace(
            old,
            id=new_id,
            state_hash=None,
            cookie_hash=digest(secret),
            sealed=seal(self._ports, new_id, value),
            created_at=now,
            seen_at=now,
            # Outside the chart nobody else shows whose page it is.
            need_patient_banner=True,
            handoff_hash=None,
            handoff_until=None,
            steps=[],
        )
        note_step(new, now, "window of its own", before=old.id)
        note_step(old, now, "handed over", to=new_id)
        stays = {**value, "refresh": None}
        return replace(old, sealed=seal(self._ports, old.id, stays)), new
