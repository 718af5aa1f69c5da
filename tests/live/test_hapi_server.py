"""What the live tests rely on in the HAPI FHIR server that they talk to."""

import queue
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
import requests

from tests.live.calls import FHIR_JSON, call, make_encounter, make_patient

pytestmark = pytest.mark.live

SYNTHEA = Path(__file__).parents[3] / "shared" / "fixtures" / "synthea"
WAIT = 20
"""Seconds until a notification is given up; one takes well under a second."""


class Listener:
    """A loopback HTTP server that keeps what it receives, in order."""

    def __init__(self):
        received = self.received = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                received.put((self.command, self.path, dict(self.headers), body))
                answer = b'{"resourceType":"Bundle","type":"transaction-response"}'
                self.send_response(200)
                self.send_header("Content-Type", FHIR_JSON)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_PUT  # noqa: N815

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.close()


def read_chart():
    """The smallest Synthea bundle, or a small one of the same shape."""
    files = sorted(SYNTHEA.glob("*.json"), key=lambda path: path.stat().st_size)
    if files:
        return orjson.loads(files[0].read_bytes())
    who, stay = uuid.uuid4().urn, uuid.uuid4().urn
    resources = {who: make_patient(), stay: make_encounter(who, "finished")}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urn,
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for urn, resource in resources.items()
        ],
    }


def put_subscription(hapi, listener, ident):
    """Ask for every Encounter; return once the server says that it is active."""
    subscription = {
        "resourceType": "Subscription",
        "id": ident,
        "status": "requested",
        "reason": "live test",
        "criteria": "Encounter?",
        "channel": {
            "type": "rest-hook",
            "endpoint": listener.url,
            "payload": FHIR_JSON,
            "header": ["Authorization: Bearer live-secret"],
        },
    }
    url = f"{hapi.base_url}/Subscription/{ident}"
    call("PUT", url, subscription)
    turn = threading.Event()
    for _ in range(200):
        if call("GET", url).json()["status"] == "active":
            return url
        turn.wait(0.05)
    raise AssertionError("the subscription did not become active")


def assert_delivered(listener, reference, version):
    """The next notification of this resource is this version, put as R4 says.

    The server matches late: what other tests wrote before may come along.
    """
    path = None
    while path != f"/hook/{reference}":
        method, path, headers, body = listener.received.get(timeout=WAIT)
    resource = orjson.loads(body)
    assert method == "PUT"
    assert headers["Authorization"] == "Bearer live-secret"
    assert headers["Content-Type"].split(";")[0] == FHIR_JSON
    assert f"{resource['resourceType']}/{resource['id']}" == reference
    assert resource["meta"]["versionId"] == version


def test_metadata_names_r4_and_hapi(hapi):
    statement = call("GET", f"{hapi.base_url}/metadata").json()

    assert statement["fhirVersion"] == "4.0.1"
    assert statement["software"] == {"name": "HAPI FHIR Server", "version": "8.8.0"}


def test_resource_keeps_every_version(hapi):
    created = call("POST", f"{hapi.base_url}/Patient", make_patient())
    patient = created.json()
    url = f"{hapi.base_url}/Patient/{patient['id']}"
    call("PUT", url, {**patient, "active": True}, **{"If-Match": 'W/"1"'})

    history = call("GET", f"{url}/_history").json()
    assert created.status_code == 201
    assert call("GET", url).json()["active"] is True
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]


def test_update_of_a_stale_version_is_refused(hapi):
    patient = call("POST", f"{hapi.base_url}/Patient", make_patient()).json()
    url = f"{hapi.base_url}/Patient/{patient['id']}"
    call("PUT", url, {**patient, "active": True})

    with pytest.raises(requests.HTTPError) as refused:
        call("PUT", url, {**patient, "active": False}, **{"If-Match": 'W/"1"'})
    assert refused.value.response.status_code == 409


def test_conditional_create_happens_once(hapi):
    value = uuid.uuid4().hex
    communication = {
        "resourceType": "Communication",
        "status": "completed",
        "identifier": [{"system": "urn:example:message", "value": value}],
    }
    condition = {"If-None-Exist": f"identifier=urn:example:message|{value}"}
    url = f"{hapi.base_url}/Communication"

    first = call("POST", url, communication, **condition)
    second = call("POST", url, communication, **condition)
    found = call("GET", f"{url}?identifier=urn:example:message|{value}").json()
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["Content-Location"] == second.headers["Content-Location"]
    assert found["total"] == 1


def test_transaction_loads_a_chart(hapi):
    chart = read_chart()

    answer = call("POST", hapi.base_url, chart).json()
    statuses = {entry["response"]["status"] for entry in answer["entry"]}
    at = next(
        number
        for number, entry in enumerate(chart["entry"])
        if entry["resource"]["resourceType"] == "Patient"
    )
    patient = answer["entry"][at]["response"]["location"].split("/_history")[0]
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": patient}},
            {"request": {"method": "GET", "url": f"Encounter?patient={patient}"}},
        ],
    }
    read, found = call("POST", hapi.base_url, batch).json()["entry"]
    sent = [entry["resource"]["resourceType"] for entry in chart["entry"]]
    assert answer["type"] == "transaction-response"
    assert statuses == {"201 Created"}
    assert read["resource"]["resourceType"] == "Patient"
    assert found["resource"]["total"] == sent.count("Encounter")


def test_rest_hook_puts_the_resource(hapi, listener):
    patient, stay = f"p-{uuid.uuid4()}", f"e-{uuid.uuid4()}"
    call("PUT", f"{hapi.base_url}/Patient/{patient}", make_patient() | {"id": patient})
    subscription = put_subscription(hapi, listener, f"s-{uuid.uuid4()}")
    url = f"{hapi.base_url}/Encounter/{stay}"
    encounter = make_encounter(f"Patient/{patient}") | {"id": stay}

    call("PUT", url, encounter)
    assert_delivered(listener, f"Encounter/{stay}", "1")
    call("PUT", url, encounter | {"status": "finished"})
    assert_delivered(listener, f"Encounter/{stay}", "2")

    call("DELETE", subscription)


def test_restart_keeps_data_and_subscriptions(hapi, listener):
    patient, stay = f"p-{uuid.uuid4()}", f"e-{uuid.uuid4()}"
    call("PUT", f"{hapi.base_url}/Patient/{patient}", make_patient() | {"id": patient})
    subscription = put_subscription(hapi, listener, f"s-{uuid.uuid4()}")
    before = hapi.base_url

    hapi.restart()
    assert hapi.base_url == before
    kept = call("GET", f"{hapi.base_url}/Patient/{patient}").json()
    assert kept["name"] == make_patient()["name"]
    assert call("GET", subscription).json()["status"] == "active"
    encounter = make_encounter(f"Patient/{patient}") | {"id": stay}
    call("PUT", f"{hapi.base_url}/Encounter/{stay}", encounter)
    assert_delivered(listener, f"Encounter/{stay}", "1")

    call("DELETE", subscription)


def test_kill_loses_nothing_that_was_answered(hapi):
    patient = call("POST", f"{hapi.base_url}/Patient", make_patient()).json()

    hapi.kill()
    hapi.start()
    kept = call("GET", f"{hapi.base_url}/Patient/{patient['id']}").json()
    assert kept["meta"]["versionId"] == "1"
