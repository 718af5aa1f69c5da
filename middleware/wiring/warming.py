"""What the first page of a process would wait for, made before anybody asks for it.

It changes nothing and asks no EHR. What fails here fails again where it is needed, and
is told there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import UTC, timedelta

from flask import Flask

from mappings.errors import CareCueError
from mappings.recipient import read_phone
from middleware.desk.formats import write_born, write_instant, write_span
from middleware.desk.viewer import LANGUAGES, viewer_of
from middleware.stages.context import StageContext
from middleware.storage import endpoints


def warm_beside(app: Flask, context: StageContext, keys: Callable[[], object]) -> None:
    """Warm in a thread of its own: the port answers meanwhile."""
    threading.Thread(target=warm, args=(app, context, keys), daemon=True).start()


def warm(app: Flask, context: StageContext, keys: Callable[[], object]) -> None:
    """Read keys and content, compile templates, read the words of every language."""
    steps: tuple[Callable[[], object], ...] = (
        lambda: _compile_pages(app),
        lambda: _read_words(context),
        keys,
        lambda: _read_libraries(context),
    )
    for step in steps:
        with contextlib.suppress(CareCueError):
            step()


def _compile_pages(app: Flask) -> None:
    for name in app.jinja_env.list_templates():
        app.jinja_env.get_template(name)


def _read_words(context: StageContext) -> None:
    now = context.clock.now()
    for tag in LANGUAGES:
        viewer = viewer_of(viewer_of(tag).tag)
        write_instant(viewer, now, UTC)
        write_born(viewer, now.date().isoformat())
        write_span(viewer, timedelta(hours=1))
        viewer.join(["1", "2"])


def _read_libraries(context: StageContext) -> None:
    with context.database.tx() as tx:
        known = endpoints.list_endpoints(tx)
    for endpoint in known:
        if endpoint.app.client_id:
            context.library(endpoint)
            read_phone(endpoint.site.phone)
