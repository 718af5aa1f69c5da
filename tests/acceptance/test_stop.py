"""The web process ends when it is told to, whatever its clients are doing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from middleware.cli.demo_parts import Children

LONGEST = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until it answers; each refused attempt fails at once."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            continue
        return
    pytest.fail("the web process did not answer")


def gone(group: int) -> bool:
    """Wait until no process of a group is left."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
    return False


def test_what_a_killed_web_process_had_started_ends_with_the_demo(
    database_url: str, tmp_path: Path
) -> None:
    port, console = free_port(), free_port()
    settings = {
        "CARECUE_DATABASE_URL": database_url,
        "CARECUE_HOME": str(tmp_path),
        "CARECUE_LISTEN_PORT": str(port),
        "CARECUE_CONSOLE_PORT": str(console),
    }
    children = Children(tmp_path)
    children.start("serve", ["serve"], {**os.environ, **settings})
    process = children.running["serve"]
    try:
        for place in (port, console):
            wait_for(f"http://127.0.0.1:{place}/health/live", process)
        process.kill()
    finally:
        children.stop()
    assert gone(process.pid)


def test_a_process_that_waits_for_its_database_says_so_and_ends_when_told(
    tmp_path: Path,
) -> None:
    settings = {
        "CARECUE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "CARECUE_HOME": str(tmp_path),
    }
    for name, code in (("serve", -signal.SIGTERM), ("worker", 0)):
        process = subprocess.Popen(
            [sys.executable, "-m", "middleware.cli", name],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            process.terminate()
            assert process.wait(LONGEST) == code
        finally:
            process.kill()
            process.communicate()
        assert b"waiting for the database" in said
        assert b"check CARECUE_DATABASE_URL" in said


def test_bodies_that_never_end_keep_no_web_process_alive(
    database_url: str, tmp_path: Path
) -> None:
    port, console = free_port(), free_port()
    settings = {
        "CARECUE_DATABASE_URL": database_url,
        "CARECUE_HOME": str(tmp_path),
        "CARECUE_LISTEN_PORT": str(port),
        "CARECUE_CONSOLE_PORT": str(console),
    }
    command = [sys.executable, "-m", "middleware.cli", "serve"]
    process = subprocess.Popen(command, env={**os.environ, **settings})
    held = []
    try:
        for place in (port, console):
            wait_for(f"http://127.0.0.1:{place}/health/live", process)
        for _ in range(10):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(
                b"POST /hooks/none HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
            )
        process.terminate()
        assert process.wait(LONGEST) == 0
    finally:
        process.kill()
        process.wait()
        for connection in held:
            connection.close()
    for place in (port, console):
        with pytest.raises(OSError, match=r"refused"):
            socket.create_connection(("127.0.0.1", place))
