"""``carecue sandbox``: the sandbox EHR alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from middleware.cli.parent import stop_with_parent
from middleware.sandbox.app import Options
from middleware.sandbox.server import serve as serve_sandbox


@click.command()
@click.option("--port", type=int, default=8082, help="Port of the EHR (loopback).")
@click.option("--smtp-port", type=int, default=8025, help="Port of the mail sink.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps its state; without it nothing is kept.",
)
@click.option(
    "--load",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with Synthea transaction Bundles to load at first start.",
)
@click.option("--zone", default="America/Los_Angeles", help="Time zone of the clinic.")
@click.option("--start", help="Instant at which a new sandbox's clock begins.")
@click.option("--app-launch-url", help="Launch URL of the app that charts can open.")
def sandbox(
    port: int,
    smtp_port: int,
    data: Path | None,
    load: Path | None,
    zone: str,
    start: str | None,
    app_launch_url: str | None,
) -> None:
    """Run the sandbox EHR alone: FHIR R4, SMART, phones and mailboxes.

    \b
    Example:
      carecue sandbox --port 8082 --load ./synthea
    """
    stop_with_parent()
    serve_sandbox(
        Options(
            base_url=f"http://127.0.0.1:{port}",
            data_dir=data,
            smtp_port=smtp_port,
            app_launch_url=app_launch_url,
            load_dir=load,
            start=datetime.fromisoformat(start) if start else None,
            site_zone=ZoneInfo(zone),
        ),
        port=port,
    )
