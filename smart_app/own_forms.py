"""Which forms are let through: those of our own page, for this launch and patient."""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from flask import Request

from mappings.errors import LaunchError
from smart_app.ports import SmartPorts
from smart_app.session import Session

# Below the launch's path; the others open, close or turn the page.
SAVES = re.compile(r"/l/[^/]+/(preferences/|messages/|answers|pause|resume)")


def is_save(request: Request) -> bool:
    """Tell whether something of the patient's would be changed by a request."""
    return request.method == "POST" and SAVES.match(request.path) is not None


def check_form(ports: SmartPorts, request: Request, session: Session) -> None:
    """Let a form through that changes something: ours, and of who may change it.

    Raises as ``check_origin`` does, and LaunchError F5 (403) for a read-only user.
    """
    check_origin(ports, request, session)
    if not session.may_edit:
        raise LaunchError(
            f"Save refused: nothing was changed. {session.read_only}",
            code="F5",
            status=403,
        )


def check_origin(ports: SmartPorts, request: Request, session: Session) -> None:
    """Let a form through only when our own page of this launch and patient sent it.

    Raises LaunchError F1 (foreign), F2 (other patient), both 403.
    """
    check_source(ports, request, session.csrf)
    if request.form.get("patient") != session.patient:
        raise LaunchError(
            "Save refused: this window is for another patient than the form. "
            "Nothing was changed. Open this app again from the chart.",
            code="F2",
            status=403,
        )


def check_source(ports: SmartPorts, request: Request, csrf: str) -> None:
    """Let a form through only when our own page with this mark sent it.

    The browser says where it comes from by ``Origin``, which is ``null`` under our
    no-referrer policy; then ``Sec-Fetch-Site`` must say same-origin. LaunchError F1.
    """
    brought = request.form.get("csrf", "")
    if not is_own(ports, request) or not hmac.compare_digest(
        brought.encode(), csrf.encode()
    ):
        raise LaunchError(
            "Save refused: the form did not come from this window. Nothing was "
            "changed. Open this app again from the chart.",
            code="F1",
            status=403,
        )


def is_own(ports: SmartPorts, request: Request) -> bool:
    """Tell whether a page of ours sent the request."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    if origin in (None, "null"):
        return site == "same-origin"
    parts = urlsplit(ports.public_url)
    return origin == f"{parts.scheme}://{parts.netloc}"
