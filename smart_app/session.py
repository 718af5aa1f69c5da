"""One launch, one cookie: who may see ``/l/<lid>/`` and until when.

The cookie's secret is kept as a hash only; what the launch needs again (token,
verifier, nonce) is sealed together with the launch's id, so that no row can stand in
for another. Nothing here asks the EHR.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Request, Response

from mappings.endpoint import Endpoint
from mappings.errors import LaunchError
from middleware.desk.launches import OPEN, Launch
from middleware.desk.viewer import Viewer, choose_tag, viewer_of
from smart_app.ports import SmartPorts

START_LIFE = timedelta(minutes=10)
LIFE = timedelta(hours=8)
IDLE_LIFE = timedelta(minutes=30)
TOUCH_AFTER = timedelta(minutes=1)
ENDED = (
    "Your chart session ended. Open this app again from the chart. "
    "What was saved before is kept."
)


@dataclass(frozen=True)
class Session:
    """An open launch: its endpoint, token and anti-forgery mark, and who reads it."""

    launch: Launch
    endpoint: Endpoint
    token: str
    csrf: str
    authorize_origin: str
    viewer: Viewer

    @property
    def patient(self) -> str:
        """Return the patient of this launch, ``Patient/id``."""
        return self.launch.patient or ""

    @property
    def chart(self) -> str:
        """Return a mark of this launch and its patient that names neither."""
        return digest(f"{self.launch.id} {self.patient}")[:16]


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret in hex: what is kept in its place."""
    return hashlib.sha256(secret.encode()).hexdigest()


def cookie_name(launch_id: str) -> str:
    """Return the name of the launch's own cookie."""
    return f"__Host-s_{launch_id}"


def set_cookie(response: Response, launch: Launch, secret: str) -> None:
    """Give the browser the launch's secret, in a jar of its own for each EHR site."""
    response.set_cookie(
        cookie_name(launch.id),
        secret,
        max_age=int(LIFE.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )


def holds_cookie(request: Request, launch: Launch) -> bool:
    """Tell whether the browser brought the secret of this launch."""
    brought = request.cookies.get(cookie_name(launch.id), "")
    return hmac.compare_digest(digest(brought), launch.cookie_hash)


def csrf_token(launch: Launch, secret: str) -> str:
    """Return the form token of a launch: only who holds the secret can make it."""
    message = f"form:{launch.id}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def seal(ports: SmartPorts, launch_id: str, value: dict[str, Any]) -> bytes:
    """Seal a JSON object to the launch with this id."""
    return ports.sealer.seal(orjson.dumps({**value, "lid": launch_id}))


def unseal(ports: SmartPorts, launch: Launch) -> dict[str, Any]:
    """Open what was sealed to this launch; LaunchError S3 when it is another's."""
    value: dict[str, Any] = orjson.loads(ports.sealer.open(launch.sealed))
    if value.get("lid") != launch.id:
        raise LaunchError(ENDED, code="S3", status=403)
    return value


def find_endpoint(ports: SmartPorts, endpoint_id: str) -> Endpoint:
    """Return the endpoint of a launch; LaunchError S4 when it was removed."""
    for endpoint in ports.endpoints():
        if endpoint.id == endpoint_id:
            return endpoint
    raise LaunchError(
        "This EHR is no longer connected to CareCue. Nothing can be shown.",
        code="S4",
        status=403,
    )


def open_session(ports: SmartPorts, request: Request, launch_id: str) -> Session:
    """Return the session behind ``/l/<launch_id>/``, and remember its use.

    LaunchError S1 (403) for a browser that does not hold the launch's cookie, S2
    (401) when its time or its token's time has passed.
    """
    launch = ports.launches.get(launch_id)
    if launch is None or not holds_cookie(request, launch):
        raise LaunchError(
            "This page belongs to another window or browser. Nothing was shown or "
            "changed. Open this app again from the chart.",
            code="S1",
            status=403,
        )
    now = ports.clock.now()
    seen = launch.seen_at or launch.created_at
    over = now >= launch.expires_at or now >= seen + IDLE_LIFE
    if launch.stage != OPEN or launch.patient is None or over:
        raise LaunchError(ENDED, code="S2", status=401)
    sealed = unseal(ports, launch)
    if now >= datetime.fromisoformat(sealed["token_until"]):
        raise LaunchError(ENDED, code="S2", status=401)
    if now - seen >= TOUCH_AFTER:
        ports.launches.touch(launch.id, now)
    secret = request.cookies[cookie_name(launch.id)]
    return Session(
        launch=launch,
        endpoint=find_endpoint(ports, launch.endpoint_id),
        token=sealed["token"],
        csrf=csrf_token(launch, secret),
        authorize_origin=sealed["authorize_origin"],
        viewer=viewer_of(launch.language or asked_language(request)),
    )


def asked_language(request: Request) -> str:
    """Return the language tag that the browser asks for, of those we have."""
    return choose_tag(request.accept_languages.values())


def check_form(ports: SmartPorts, request: Request, session: Session) -> None:
    """Let a form through only when our own page of this launch and patient sent it.

    The browser says where it comes from by ``Origin``, which is ``null`` under our
    no-referrer policy; then ``Sec-Fetch-Site`` must say same-origin. Raises
    LaunchError F1 (foreign), F2 (other patient), both 403.
    """
    brought = request.form.get("csrf", "")
    if not _is_own(ports, request) or not hmac.compare_digest(
        brought.encode(), session.csrf.encode()
    ):
        raise LaunchError(
            "Save refused: the form did not come from this window. Nothing was "
            "changed. Open this app again from the chart.",
            code="F1",
            status=403,
        )
    if request.form.get("patient") != session.patient:
        raise LaunchError(
            "Save refused: this window is for another patient than the form. "
            "Nothing was changed. Open this app again from the chart.",
            code="F2",
            status=403,
        )


def _is_own(ports: SmartPorts, request: Request) -> bool:
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    if origin in (None, "null"):
        return site == "same-origin"
    parts = urlsplit(ports.public_url)
    return origin == f"{parts.scheme}://{parts.netloc}"
