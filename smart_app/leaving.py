"""The pages on which a launch leaves for the EHR's sign-in, where a redirect will not do.

A long request goes by POST, and a sign-in that refuses frames goes into a window of
its own, by a click. Both pages hold nothing but what the redirect would have said.
Source: SMART App Launch 2.2, authorize by POST.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Request, Response, make_response, render_template

from mappings.dialects.app_ways import AppWays
from mappings.endpoint import Endpoint
from middleware.desk.viewer import viewer_of
from smart_app.discovery import AuthorizationServer
from smart_app.headers import protect, read_origin, write_policy
from smart_app.rendering import Pages
from smart_app.session import asked_language

# Older gateways cut a request line at 2 KB.
LONGEST_URL = 2000
# Said by who wants to try it in the frame once more.
HERE = "here"


class Leaving:
    """Sends a browser to the EHR's sign-in."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

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
        return self._show(
            request,
            endpoint,
            targets,
            action=urlunsplit(parts._replace(query="")),
            method="post",
            fields=parse_qsl(parts.query, keep_blank_values=True),
            window=False,
        )

    def ask_window(
        self, request: Request, endpoint: Endpoint, *, again: bool
    ) -> Response:
        """Answer a page whose button repeats this launch in a window of its own.

        ``again``: it was tried here and did not come back; it may be tried once more.
        """
        url = f"{request.path}?{urlencode(list(request.args.items()))}"
        return self._show(
            request,
            endpoint,
            [],
            action=url,
            here=f"{url}&{HERE}=1" if again else "",
            method="get",
            fields=[],
            window=True,
        )

    def _show(
        self,
        request: Request,
        endpoint: Endpoint,
        targets: list[str],
        *,
        action: str,
        method: str,
        fields: list[tuple[str, str]],
        window: bool,
        here: str = "",
    ) -> Response:
        html = render_template(
            "smart/go.html",
            asset=self._pages.asset,
            session=None,
            viewer=viewer_of(asked_language(request)),
            action=action,
            method=method,
            fields=fields,
            window=window,
            here=here,
        )
        policy = write_policy(endpoint.app.frame_origins, targets)
        return protect(make_response(html), policy)


def is_framed(request: Request) -> bool:
    """Tell whether the browser says that it shows this answer in a frame."""
    return request.headers.get("Sec-Fetch-Dest") in ("iframe", "frame")
