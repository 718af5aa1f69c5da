"""Serving the EHR's style: fetched once for each URL, by us, from a listed host.

Nothing is painted before its stylesheets are there, so a page waits for the EHR's style a
moment and no longer: what comes later is there for the next page, and an EHR that does
not give its style leaves ours.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from flask import Request, Response, abort, make_response

from mappings.endpoint import Endpoint
from mappings.errors import CareCueError
from smart_app.headers import protect, write_policy
from smart_app.ports import SmartPorts
from smart_app.session import find_endpoint, find_launch, style_of, theme_name
from smart_app.style import write_theme

MOST_KEPT = 256
WAIT_SECONDS = 0.3
AGAIN_SECONDS = 60.0
DAY_SECONDS = 86_400


class Themes:
    """Stylesheets by the URL of the style, over the app's ports."""

    def __init__(self, ports: SmartPorts) -> None:
        self._ports = ports
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    def show(self, request: Request, lid: str, name: str) -> Response:
        """Answer the stylesheet of a launch; an empty one where there is none."""
        launch = find_launch(self._ports, request, lid)
        endpoint = find_endpoint(self._ports, launch.endpoint_id)
        url = style_of(launch, endpoint)
        if url is None or name != theme_name(url):
            abort(404)
        css = self._find(endpoint, url)
        response = make_response(css or "")
        response.mimetype = "text/css"
        protect(response, write_policy(endpoint.app.frame_origins))
        if css is not None:
            response.headers["Cache-Control"] = f"private, max-age={DAY_SECONDS}"
        return response

    def _find(self, endpoint: Endpoint, url: str) -> str | None:
        now = time.monotonic()
        with self._lock:
            at, css = self._kept.get(url, (now - AGAIN_SECONDS, None))
            if css is not None or now - at < AGAIN_SECONDS:
                return css
            # Whoever comes meanwhile goes on without it.
            self._keep(url, now, None)
        with suppress(CareCueError, TimeoutError):
            beside = ThreadPoolExecutor(max_workers=1)
            coming = beside.submit(self._fetch, endpoint, url)
            beside.shutdown(wait=False)
            return coming.result(WAIT_SECONDS)
        return None

    def _fetch(self, endpoint: Endpoint, url: str) -> str:
        theme = write_theme(self._ports.fetch_style(endpoint, url))
        note = (
            f"/* left out: {', '.join(theme.left_out)} */\n" if theme.left_out else ""
        )
        with self._lock:
            self._keep(url, time.monotonic(), theme.css + note)
        return theme.css + note

    def _keep(self, url: str, now: float, css: str | None) -> None:
        self._kept[url] = (now, css)
        self._kept.move_to_end(url)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
