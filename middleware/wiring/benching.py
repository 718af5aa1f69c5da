"""The public listener with the benchmark's floors beside it: `carecue bench` alone.

A floor is what the same server needs for an answer that keeps nothing.
"""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

from middleware.wiring.apps import public_app


def floored_app() -> Flask:
    """Make the public listener with ``/floor/nothing`` and ``/floor/parse``."""
    app = public_app()

    @app.post("/floor/nothing")
    def nothing() -> Response:
        request.get_data(cache=False)
        return Response(b"{}", content_type="application/json")

    @app.post("/floor/parse")
    def parse() -> Response:
        orjson.loads(request.get_data(cache=False))
        return Response(b"{}", content_type="application/json")

    return app
