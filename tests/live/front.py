"""A sign-in before a FHIR server that has none: what is asked of FHIR goes through to it.

The small EHR of the app's tests signs people in; everything under ``/fhir`` is the real
server's, which hears the front's own address and names itself by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from flask import Flask, Response, request

from middleware.clock import FixedClock
from tests.unit.smart_app.ehr import Ehr

PASSED = ("Content-Type", "Accept", "Prefer", "If-Match", "If-None-Exist")
KEPT = ("Content-Type", "ETag", "Location", "Content-Location", "Last-Modified")
CHANGES = ("POST", "PUT", "PATCH", "DELETE")


class Front(Ehr):
    """Everything that was changed is in ``changes``: method, type, headers, status.

    ``before`` is called with each change before it goes on; ``after`` with each answer,
    and may put another in its place.
    """

    def __init__(self, clock: FixedClock, behind: str) -> None:
        self.behind = behind
        super().__init__(clock)

    def reset(self) -> None:
        super().reset()
        self.changes: list[tuple[str, str, dict[str, str], int]] = []
        self.before: Callable[[str, str], Any] = lambda method, kind: None
        self.after: Callable[[str, str, Response], Response] = lambda *args: args[-1]

    def _app(self) -> Flask:
        app = super()._app()
        for name in ("read", "search", "batch"):
            app.view_functions[name] = self._forward
        app.add_url_rule(
            "/fhir/<path:path>",
            "any",
            self._forward,
            methods=["GET", *CHANGES],
        )
        return app

    def _forward(self, **_: str) -> Response:
        path = request.full_path.removeprefix("/fhir").rstrip("?")
        kind = path.strip("/").partition("/")[0].partition("?")[0]
        changes = bool(kind) and request.method in CHANGES
        if changes:
            self.before(request.method, kind)
        headers = {
            name: request.headers[name] for name in PASSED if name in request.headers
        }
        answer = requests.request(
            request.method,
            self.behind + path,
            data=request.get_data(),
            headers={**headers, "Host": request.host},
            timeout=60,
        )
        kept = {name: answer.headers[name] for name in KEPT if name in answer.headers}
        response = Response(answer.content, answer.status_code, kept)
        if not changes:
            return response
        self.changes.append((request.method, kind, headers, answer.status_code))
        return self.after(request.method, kind, response)
