"""The pages on which a launch leaves for the EHR's sign-in, where a redirect will not do.

A long request goes by POST, and a sign-in that refuses frames goes into a window of
its own, by a click. Both pages hold nothing but what the redirect would have said.
Source: SMART App Launch 2.2, authorize by POST.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Request, Response

from mappings.dialects.app_ways import AppWays
from mappings.endpoint import Endpoint
from middleware.desk.viewer import viewer_of
from smart_app.discovery import AuthorizationServer
from smart_app.headers import read_origin, write_policy
from smart_app.rendering import Pages
from smart_app.session import asked_language

# Older gateways cut a request line at 2 KB.
LONGEST_URL = 2000
# Said by who wants to try it in the frame once more.
HERE = "here"
# Said by our own page, which tries it in a frame of its own.
INNER = "inner"


class Blank(StrEnum):
    """Why a frame would stay blank: so it is set, so its headers say, so it was."""

    ALWAYS = "always"
    REFUSED = "refused"
    LOST = "lost"


class Leaving:
    """Sends a browser to the EHR's sign-in."""

    def __init__(self, pages: Pages, public_url: str) -> None:
        self._pages = pages
        self._own = read_origin(public_url)

    def send(
        self,
        request: Request,
        endpoint: Endpoint,
        server: AuthorizationServer,
        ways: AppWays,
        url: str,
    ) -> Response:
        """Answer a redirect to the authorization request, or a form that posts it."""
        long = "authorize-post" in server.capabilities and len(url) > LONGEST_URL
        if not (long or ways.authorize_post):
            return Response(status=303, headers={"Location": url})
        parts = urlsplit(url)
        # Browsers hold a form's redirects to form-action as well.
        origin = read_origin(url)
        listed = endpoint.profile.get("authorization_hosts", ())
        targets = [origin, *(f"{parts.scheme}://{host}" for host in listed)]
        policy = write_policy(self._list_frames(endpoint, is_inner(request)), targets)
        action = urlunsplit(parts._replace(query=""))
        fields = parse_qsl(parts.query, keep_blank_values=True)
        return self._show(request, policy, action=action, fields=fields)

    def ask_window(
        self,
        request: Request,
        endpoint: Endpoint,
        blank: Blank,
        server: AuthorizationServer | None = None,
    ) -> Response:
        """Answer a page whose button repeats this launch in a window of its own.

        Where an administrator has not ruled the frame out, it may be tried as well:
        with ``server`` the page tries it by itself, in a frame of its own.
        """
        said = [item for item in request.args.items() if item[0] != HERE]
        url = f"{request.path}?{urlencode(said)}"
        tries = blank is Blank.REFUSED and server is not None
        inside = read_origin(server.authorization_endpoint) if server else ""
        return self._show(
            request,
            write_policy(endpoint.app.frame_origins, inner=inside if tries else ""),
            action=url,
            here="" if blank is Blank.ALWAYS else f"{url}&{HERE}=1",
            inner=f"{url}&{HERE}={INNER}" if tries else "",
            blank=blank,
        )

    def tell_opened(self, request: Request, endpoint: Endpoint, url: str) -> Response:
        """Answer what a frame within our own page ends with: that page goes on."""
        policy = write_policy(self._list_frames(endpoint, inner=True))
        return self._show(request, policy, opened=url)

    def _list_frames(self, endpoint: Endpoint, inner: bool) -> tuple[str, ...]:
        own = (self._own,) if inner else ()
        return (*endpoint.app.frame_origins, *own)

    def _show(self, request: Request, policy: str, **values: Any) -> Response:
        viewer = viewer_of(asked_language(request))
        return self._pages.show_alone("smart/go.html", viewer, policy, **values)


def is_framed(request: Request) -> bool:
    """Tell whether the browser says that it shows this answer in a frame."""
    return request.headers.get("Sec-Fetch-Dest") in ("iframe", "frame")


def is_tried(request: Request) -> bool:
    """Tell whether the sign-in is tried in this frame all the same."""
    return request.args.get(HERE) in ("1", INNER)


def is_inner(request: Request) -> bool:
    """Tell whether a page of ours tries the sign-in in a frame of its own."""
    return is_framed(request) and request.args.get(HERE) == INNER
