"""``carecue demo``: everything on one machine, or the whole story at once."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from pathlib import Path

import click
import orjson

from mappings.errors import CareCueError
from middleware.cli.demo_run import Demo, DemoOptions, play_story
from middleware.cli.output import fail, progress


@click.command()
@click.option("--headless", is_flag=True, help="Play the whole month at once and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, last.")
@click.option("--faults", is_flag=True, help="Drop, double and reorder notifications.")
@click.option("--port", type=int, help="First of four ports (default 8080 and on).")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the demo's state (default ~/.local/share/carecue/demo).",
)
def demo(
    headless: bool, as_json: bool, faults: bool, port: int | None, home: Path | None
) -> None:
    """Start an EHR, CareCue and the patients' phones on this machine.

    \b
    Examples:
      carecue demo
      carecue demo --headless --json
    """
    try:
        if headless:
            _headless(as_json, faults, port, home)
        else:
            _interactive(faults, port, home)
    except CareCueError as error:
        fail(error)


def _headless(as_json: bool, faults: bool, port: int | None, home: Path | None) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carecue-demo-") as folder:
        options = DemoOptions(home or Path(folder), port, faults=faults, story=True)
        with Demo(options) as running:
            result = play_story(running)
    seconds = round(time.monotonic() - began, 1)
    for fault in result.faults:
        progress(f"did not hold: {fault}")
    counts = {**result.counts, "seconds": seconds}
    if as_json:
        click.echo(orjson.dumps(counts))
    else:
        for name, value in counts.items():
            click.echo(f"{name}: {value}")
    if result.faults:
        raise SystemExit(1)


def _interactive(faults: bool, port: int | None, home: Path | None) -> None:
    folder = home or Path("~/.local/share/carecue/demo").expanduser()
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with Demo(DemoOptions(folder, port, faults=faults, story=False)) as running:
        click.echo(running.welcome())
        while not stop.wait(1.0):
            running.children.check()
        progress("stopping")
    progress("stopped; the next start finds the same state")
