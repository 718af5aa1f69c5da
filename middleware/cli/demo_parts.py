"""The demo's parts: an embedded database and three child processes.

Whoever starts them stops them: children first, the database last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import orjson

from mappings.errors import CareCueError

STOP_SECONDS = 8.0
START_SECONDS = 120.0


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one demo; kept, so that a second start has the same URLs."""

    public: int
    console: int
    sandbox: int
    smtp: int


def choose_ports(home: Path, first: int | None, *, usual: bool = True) -> Ports:
    """Return the ports: those of the last start, or four that are free.

    ``first`` asks for first, first+1, ...; without ``usual`` the well-known ones are
    left to others. Raises CareCueError when one that was asked for is taken.
    """
    file = home / "ports.json"
    if file.is_file() and first is None:
        kept = Ports(**orjson.loads(file.read_bytes()))
        return _require_free(kept)
    if first is not None:
        ports = _require_free(Ports(first, first + 1, first + 2, first + 3))
    else:
        known = Ports(8080, 8081, 8082, 8025)
        taken = not usual or any(not _free(port) for port in vars(known).values())
        ports = Ports(*_free_ports(4)) if taken else known
    file.write_bytes(orjson.dumps(vars(ports)))
    return ports


def _require_free(ports: Ports) -> Ports:
    for name, port in vars(ports).items():
        if not _free(port):
            raise CareCueError(
                f"Port {port} ({name}) is taken, so the demo did not start. Stop what "
                "uses it, or choose others with --port N."
            )
    return ports


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Children:
    """Child processes of this command, each with a log file of its own."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _files: list[IO[bytes]] = field(default_factory=list)

    def start(
        self, name: str, arguments: list[str], environment: dict[str, str]
    ) -> None:
        """Start ``carecue <arguments>`` in a session of its own.

        Its standard input is a pipe that ends with us, so that it never outlives a
        parent that was killed.
        """
        log = (self.logs / f"{name}.log").open("ab")
        self._files.append(log)
        self.running[name] = subprocess.Popen(  # noqa: S603 -- our own command
            [sys.executable, "-m", "middleware.cli", *arguments],
            env={**environment, "CARECUE_STOP_WITH_STDIN": "1"},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def kill(self, name: str) -> None:
        """Kill one child at once, as a crash would."""
        child = self.running.pop(name)
        child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()

    def check(self) -> None:
        """Raise CareCueError when a child has ended by itself."""
        for name, child in self.running.items():
            code = child.poll()
            if code is not None:
                raise CareCueError(
                    f"The {name} process ended with code {code}. Nothing is lost; see "
                    f"{self.logs / (name + '.log')} and start again."
                )

    def stop(self) -> None:
        """End all children, last started first; kill what does not end in time.

        What a child had started itself goes with it, also where it was killed, or was
        told to end before it could hear.
        """
        for child in reversed(self.running.values()):
            child.terminate()
        for child in reversed(self.running.values()):
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            if child.stdin:
                child.stdin.close()
        self.running.clear()
        for file in self._files:
            file.close()
        self._files.clear()


def wait_until(what: str, ready: Callable[[], bool], children: Children) -> None:
    """Wait for ``ready``; raises CareCueError after two minutes or when a child has ended."""
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while time.monotonic() < deadline:
        children.check()
        if ready():
            return
        pause.wait(0.05)
    raise CareCueError(f"{what} did not come up in {START_SECONDS:.0f} s.")


def clean_environment() -> dict[str, str]:
    """Return our environment without settings that would leak into the demo."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARECUE_")
    }
