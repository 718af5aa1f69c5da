"""The sandbox served for real: sockets, restart, stop, signals."""

import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from middleware.sandbox.app import Options
from middleware.sandbox.server import Running

ROOT = Path(__file__).parents[3]


def token_of(running: Running) -> dict[str, str]:
    with requests.post(f"{running.base_url}/sandbox/token", timeout=30) as answer:
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_connection_is_kept_also_after_errors_with_unread_bodies():
    with Running(Options(people=False)) as running, requests.Session() as http:
        url = f"{running.base_url}/fhir/Patient"
        headers = {"Content-Type": "application/fhir+json"}
        body = b'{"resourceType":"Patient"}' + b" " * 100_000
        refused = http.post(url, data=body, headers=headers, timeout=30)
        assert refused.status_code == 401
        good = {**headers, **token_of(running)}
        wrong = http.post(url, data=body, headers=good | {"Content-Type": "a/b"})
        assert wrong.status_code == 415
        assert http.post(url, data=body, headers=good).status_code == 201
        assert http.get(url, headers=good).json()["total"] == 1


def test_stopped_sandbox_comes_back_with_the_same_state(tmp_path):
    start = datetime(2031, 5, 1, tzinfo=UTC)
    options = Options(data_dir=tmp_path, people=False, start=start)
    with Running(options) as running:
        headers = token_of(running)
        url = f"{running.base_url}/fhir/Patient/rosa"
        body = {"resourceType": "Patient", "id": "rosa", "active": True}
        assert requests.put(url, json=body, headers=headers).status_code == 201
        port = int(running.base_url.rpartition(":")[2])
    with pytest.raises(requests.ConnectionError):
        requests.get(url, headers=headers, timeout=30)
    with Running(options, port=port) as again:
        answer = requests.get(url, headers=headers, timeout=30)
        assert again.base_url == f"http://127.0.0.1:{port}"
        assert (answer.status_code, answer.json()["active"]) == (200, True)


def test_kept_connection_is_cut_when_the_sandbox_stops():
    running = Running(Options(people=False)).start()
    try:
        port = int(running.base_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            hello = b"GET /sandbox/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.sendall(hello)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            running.stop()
            rest = b"".join(iter(lambda: connection.recv(4096), b""))
            assert b"HTTP/1.1" not in rest
    finally:
        running.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_address_that_is_not_loopback_is_refused(host):
    with pytest.raises(ValueError, match="loopback addresses only"):
        Running(Options(people=False), host=host).start()


def test_taken_port_is_an_error_and_nothing_is_left_running():
    with Running(Options(people=False)) as first:
        port = int(first.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            Running(Options(people=False), port=port).start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_server_cleanly(tmp_path, number):
    program = (
        "from pathlib import Path;"
        "from middleware.sandbox.app import Options;"
        "from middleware.sandbox.server import serve;"
        f"serve(Options(data_dir=Path({str(tmp_path)!r}), people=False), port=0,"
        "      on_ready=lambda running: print(running.base_url, flush=True))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    with child:
        base = child.stdout.readline().strip()
        health = requests.get(f"{base}/sandbox/health", timeout=30)
        child.send_signal(number)
        assert child.wait(timeout=20) == 0
    assert health.status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{base}/sandbox/health", timeout=30)


def test_host_that_only_resolves_to_this_machine_is_refused():
    with Running(Options(people=False)) as running:
        url = f"{running.base_url}/sandbox/health"
        foreign = {"Host": "rebound.example.org"}
        assert requests.get(url, headers=foreign, timeout=30).status_code == 400
        port = running.base_url.rpartition(":")[2]
        local = f"http://localhost:{port}/sandbox/health"
        assert requests.get(local, timeout=30).status_code == 200
