"""The sandbox as a CDS Hooks client, before a service that keeps what it hears."""

import json
import threading
from collections.abc import Iterator

import pytest
from flask import Flask, request
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.serving import make_server

from middleware.sandbox.app import Options
from middleware.sandbox.server import Running

CARD = {
    "summary": "Ask <b>Rosa</b> first.",
    "detail": "Said \\*this\\* &lt;b&gt;\n\n- **Check in**: Held.",
    "indicator": "warning",
    "source": {"label": "CareCue"},
    "links": [{"type": "smart", "label": "Open", "url": "http://localhost:1/launch"}],
}


class Service:
    """A CDS service: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict]] = []
        self.cards: list = [CARD]
        app = Flask("service")

        @app.get("/cds-services")
        def discover():
            return {
                "services": [
                    {"id": "a", "hook": "patient-view"},
                    {"id": "b", "hook": "encounter-discharge"},
                ]
            }

        @app.post("/cds-services/<id_>")
        def call(id_):
            token = request.headers["Authorization"].removeprefix("Bearer ")
            self.heard.append((token, request.get_json()))
            return {"cards": self.cards}

        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}/cds-services"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.stop()


@pytest.fixture
def ehr() -> Iterator[Running]:
    with Running(Options(app_launch_url="http://localhost:1/launch")) as running:
        yield running


def ask(ehr, service, path="/ehr/patient/rosa/cards"):
    http = ehr.app.test_client()
    told = http.put(
        "/sandbox/cds", json={"url": service.url, "client_id": "carecue-cds"}
    )
    assert told.status_code == 200
    return http.get(path)


def test_chart_asks_and_shows_the_card_as_text(ehr, service):
    html = ask(ehr, service).text
    assert "Ask &lt;b&gt;Rosa&lt;/b&gt; first." in html
    assert "Said *this* &lt;b&gt;" in html
    assert "Check in: Held." in html
    assert "note-warn" in html
    assert 'href="/ehr/patient/rosa/app/' in html


def test_call_is_signed_with_the_published_key_and_bears_a_narrow_token(ehr, service):
    ask(ehr, service)
    token, body = service.heard[0]
    http = ehr.app.test_client()
    keys = KeySet.import_key_set(http.get("/oauth/jwks").get_json())
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    assert claims["iss"] == body["fhirServer"] == f"{ehr.base_url}/fhir"
    assert claims["aud"] == f"{service.url}/a"
    assert claims["exp"] - claims["iat"] == 300
    assert body["hook"] == "patient-view"
    assert body["context"]["patientId"] == "rosa"
    grant = body["fhirAuthorization"]
    assert (grant["subject"], grant["patient"]) == ("carecue-cds", "rosa")
    bearer = {"Authorization": f"Bearer {grant['access_token']}"}
    assert http.get("/fhir/Patient/rosa", headers=bearer).status_code == 200
    others = http.get("/fhir/Patient?_count=50", headers=bearer).get_json()
    found = {entry["resource"]["id"] for entry in others.get("entry", [])}
    assert found <= {"rosa"}


def test_stay_asks_the_discharge_service_too(ehr, service):
    http = ehr.app.test_client()
    page = http.get("/ehr/patient/rosa").text
    if "Discharge home" not in page:
        assert http.post("/ehr/patient/rosa/admit").status_code == 303
    ask(ehr, service)
    hooks = [body["hook"] for _, body in service.heard]
    assert hooks == ["patient-view", "encounter-discharge"]
    assert service.heard[1][1]["context"]["encounterId"]


def test_link_to_an_app_that_is_not_registered_is_left_out(ehr, service):
    strange = {"type": "smart", "label": "x", "url": "http://localhost:2/evil"}
    service.cards = [{**CARD, "links": [strange]}]
    assert "href" not in ask(ehr, service).text


@pytest.mark.parametrize("cards", [None, "x", [1, None], {"a": 1}])
def test_answer_that_is_no_list_of_cards_shows_none(ehr, service, cards):
    service.cards = cards
    assert "<section" not in ask(ehr, service).text


def test_chart_asks_nobody_before_it_is_told_whom(ehr):
    http = ehr.app.test_client()
    assert "data-load" not in http.get("/ehr/patient/rosa").text
    assert "<section" not in http.get("/ehr/patient/rosa/cards").text


def test_service_that_is_away_leaves_the_chart_whole(ehr, service):
    service.stop()
    assert "<section" not in ask(ehr, service).text
    page = ehr.app.test_client().get("/ehr/patient/rosa")
    assert 'data-load="/ehr/patient/rosa/cards"' in page.text


@pytest.mark.parametrize(
    "body", [{"url": "https://example.org", "client_id": "c"}, {"url": "x"}, []]
)
def test_services_elsewhere_are_refused(ehr, body):
    answer = ehr.app.test_client().put("/sandbox/cds", data=json.dumps(body))
    assert answer.status_code == 400
