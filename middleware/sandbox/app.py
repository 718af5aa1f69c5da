"""The composition of the sandbox EHR: one Flask application out of its parts.

It may not hold logic of its own: every part registers itself.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from flask import Flask, Response

from middleware.sandbox import (
    access,
    cds,
    clients,
    control,
    ehr,
    faults,
    fhir,
    keys,
    mail,
    negotiating,
    notifier,
    operations,
    phone,
    smart,
)
from middleware.sandbox.charts import Charts
from middleware.sandbox.clock import SandboxClock
from middleware.sandbox.journal import Journal
from middleware.sandbox.store import Store

# In this order: a part may use what an earlier one has put into the extensions.
PARTS = (
    access,
    keys,
    clients,
    smart,
    fhir,
    control,
    faults,
    negotiating,
    notifier,
    operations,
    phone,
    mail,
    cds,
    ehr,
)

# A page on another name that resolves to this machine may not steer the sandbox.
LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


@dataclass(frozen=True)
class Options:
    """How one sandbox is run.

    `base_url` has no trailing slash and no `/fhir`; the server fills it in.
    `smtp_port` 0 takes a free one (`extensions["mail"].port` tells which).
    `data_dir` None keeps everything in memory; `load_dir` holds Synthea
    transaction Bundles; `people` False starts empty. `start` is the instant at
    which a new sandbox's clock begins (None: now).
    """

    base_url: str = ""
    data_dir: Path | None = None
    smtp_port: int = 0
    app_launch_url: str | None = None
    seed: int = 7
    load_dir: Path | None = None
    people: bool = True
    start: datetime | None = None
    site_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("America/Chicago"))

    @property
    def fhir_base(self) -> str:
        """Answer the FHIR base URL, without a trailing slash."""
        return f"{self.base_url}/fhir"


class Service(Protocol):
    """A part with a lifetime: started after the port is bound, stopped at the end."""

    def start(self) -> None:
        """Begin; threads and sockets are opened here, never in `register`."""

    def stop(self) -> None:
        """End; answer only when threads and sockets are gone."""


def create_app(options: Options) -> Flask:
    """Compose the sandbox; threads and sockets begin only when it is served.

    `app.extensions` holds "options", "journal", "clock", "store", then what each
    part adds ("access", "smart", "notifier", "faults", "phone", "mail").
    `app.extensions["services"]` is a list: a part appends its `Service` to it.
    """
    app = Flask("middleware.sandbox")
    app.config["TRUSTED_HOSTS"] = LOOPBACK
    journal = Journal(options.data_dir)
    app.extensions["options"] = options
    app.extensions["journal"] = journal
    clock = SandboxClock(journal, options.start)
    app.extensions["clock"] = clock
    app.extensions["store"] = Store(clock, journal)
    app.extensions["services"] = []
    app.after_request(_guard)
    try:
        for part in PARTS:
            part.register(app)
        _load(app, options)
    except BaseException:
        journal.close()
        raise
    return app


def _load(app: Flask, options: Options) -> None:
    extensions = app.extensions
    charts = Charts(extensions["store"], extensions["site"], extensions["journal"])
    if options.people:
        charts.load_people()
    if options.load_dir is not None:
        charts.load_directory(options.load_dir)


def _guard(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
