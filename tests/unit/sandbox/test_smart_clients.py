"""Registration of apps, and where their keys come from."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from joserfc.jwk import RSAKey

from tests.unit.sandbox.smart_rig import APP, BACKEND, RSA, SECRET, Rig, error_of


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_register_answers_without_the_secret(rig: Rig):
    body = {**APP, "token_endpoint_auth_method": "client_secret_basic"}
    body.pop("jwks")
    answer = rig.http.post("/sandbox/clients", json={**body, "client_secret": SECRET})
    assert answer.status_code == 201
    shown = answer.json
    assert "client_secret" not in shown
    assert shown["scope"] == APP["scope"]
    assert rig.http.get("/sandbox/clients/app").json == shown
    assert rig.http.get("/sandbox/clients").json == {"clients": [shown]}


def test_register_twice_conflicts_and_put_replaces(rig: Rig):
    assert rig.http.post("/sandbox/clients", json=APP).status_code == 201
    assert rig.http.post("/sandbox/clients", json=APP).status_code == 409
    changed = {**APP, "client_name": "Other"}
    assert rig.http.put("/sandbox/clients/app", json=changed).status_code == 200
    assert rig.http.put("/sandbox/clients", json=changed).status_code == 200
    assert rig.http.get("/sandbox/clients/app").json["client_name"] == "Other"
    assert rig.http.put("/sandbox/clients/wrong", json=APP).status_code == 400
    assert rig.http.get("/sandbox/clients/wrong").status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"scope": None},
        {"scope": "everything"},
        {"grant_types": ["implicit"]},
        {"grant_types": []},
        {"grant_types": "authorization_code"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"redirect_uris": []},
        {"redirect_uris": ["http://example.org/callback"]},
        {"redirect_uris": ["http://localhost@example.org/"]},
        {"redirect_uris": ["http://localhost:8091/#x"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"launch_uri": "http://192.0.2.1/launch"},
        {"jwks": None},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [RSA.as_dict(private=True)]}},
        {"jwks": "x"},
        {"jwks": None, "jwks_uri": "http://example.org/jwks"},
        {"jwks_uri": "http://127.0.0.1/jwks"},
        {"client_secret": SECRET},
        {"jwks": None, "token_endpoint_auth_method": "client_secret_basic"},
        {"surprise": 1},
    ],
)
def test_register_refuses_what_it_would_have_to_guess(rig: Rig, changes):
    body = {k: v for k, v in {**APP, **changes}.items() if v is not None}
    answer = rig.http.post("/sandbox/clients", json=body)
    assert error_of(answer) == (400, "invalid_client_metadata")
    assert rig.http.get("/sandbox/clients").json == {"clients": []}


def test_register_refuses_a_backend_service_with_a_secret(rig: Rig):
    body = {**BACKEND, "token_endpoint_auth_method": "client_secret_basic"}
    body.pop("jwks")
    body["client_secret"] = SECRET
    answer = rig.http.post("/sandbox/clients", json=body)
    assert error_of(answer) == (400, "invalid_client_metadata")
    assert rig.http.post("/sandbox/clients", data="x").status_code == 400


class KeyServer:
    """Publishes what a test gives it, and counts who asks."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def publish(self, *keys: RSAKey) -> None:
        found = [key.as_dict(private=False) for key in keys]
        self.body = json.dumps({"keys": found}).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def published(rig: Rig):
    server = KeyServer()
    server.publish(RSA)
    rig.register(BACKEND, jwks=None, jwks_uri=server.url)
    yield server
    server.close()


def test_keys_are_fetched_once_and_again_for_an_unknown_kid(rig: Rig, published):
    assert rig.backend().status_code == 200
    assert rig.backend().status_code == 200
    assert published.asked == 1
    turned = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    published.publish(RSA, turned)
    assert rig.backend(key=turned).status_code == 200
    assert published.asked == 2
    assert rig.backend(header={"jku": published.url}).status_code == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [' + b" " * 70000 + b"]}"),
        (200, json.dumps({"keys": [RSA.as_dict(private=True)]}).encode()),
        (200, json.dumps({"keys": [RSA.as_dict(private=False)] * 2}).encode()),
    ],
)
def test_keys_that_cannot_be_read_prove_nobody(rig: Rig, published, status, body):
    published.status, published.body = status, body
    answer = rig.backend()
    assert error_of(answer) == (401, "invalid_client")
    published.status = 200
    published.publish(RSA)
    assert rig.backend().status_code == 200


def test_keys_at_a_closed_port_prove_nobody(rig: Rig):
    server = KeyServer()
    server.close()
    rig.register(BACKEND, jwks=None, jwks_uri=server.url)
    assert error_of(rig.backend()) == (401, "invalid_client")
