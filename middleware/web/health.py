"""Is the process alive, and can it do its work: the same answers on every listener."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from flask import Flask, Response

JSON = "application/json"


def add_health(app: Flask, ready: Callable[[], str | None]) -> None:
    """Add /health/live and /health/ready; the latter is 503 while ``ready`` has why."""

    @app.get("/health/live")
    def health_live() -> Response:
        return Response(b'{"status":"ok"}', content_type=JSON)

    @app.get("/health/ready")
    def health_ready() -> Response:
        fault = ready()
        body = {"status": "ok"} if fault is None else {"status": "down", "why": fault}
        status = 200 if fault is None else 503
        return Response(orjson.dumps(body), status=status, content_type=JSON)
