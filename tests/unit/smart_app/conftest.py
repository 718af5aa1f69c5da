"""The app over a real database and a small EHR; only the other end is ours."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.nudge import Nudge, NudgeState
from mappings.plan import Library, Plan, PlanAction, StepWords, Timing, Wording
from mappings.secret import Secret
from middleware.clock import FixedClock
from middleware.desk.desk import Desk
from middleware.desk.editing.drafts import DraftBook
from middleware.desk.launches import LaunchBook
from middleware.desk.sign_in_frames import FrameBook
from middleware.fhir.client import FhirClient
from middleware.fhir.transport import Limits
from middleware.ports import RandomIds
from middleware.sealing import Sealer
from middleware.stages.context import StageContext
from middleware.storage import endpoints
from middleware.storage.database import Database
from middleware.wiring.launching import (
    bound_exchange,
    discover,
    fetch_keys,
    fetch_style,
    looks_from,
)
from smart_app.app import create_blueprint
from smart_app.failed import PLACE
from smart_app.ports import SmartPorts
from tests.unit.smart_app.ehr import CLIENT, OURS, Ehr

PUBLIC = "http://localhost:8080"
OURS_HEADERS = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
FRAME = "http://127.0.0.1:8090"
PICKS = {"capabilities": ["launch-ehr", "launch-standalone", "permission-v2"]}
SITE = Site(
    name="Northside Clinic",
    phone="+14155550100",
    booking_url="https://northside.example.org/book",
    zone="America/Los_Angeles",
    reviewers={"es": "Language Services"},
)


@pytest.fixture(scope="session")
def ehr_server() -> Iterator[Ehr]:
    server = Ehr(FixedClock.__new__(FixedClock))
    yield server
    server.stop()


@pytest.fixture
def ehr(ehr_server: Ehr, clock: FixedClock) -> Ehr:
    ehr_server.reset()
    ehr_server.clock = clock
    return ehr_server


def make_endpoint(ehr: Ehr) -> Endpoint:
    return Endpoint(
        id="northside",
        name="Northside",
        kind=EndpointKind.SANDBOX,
        fhir_base=ehr.base,
        backend=BackendClient(),
        app=AppClient(client_id=CLIENT, frame_origins=(FRAME,)),
        site=SITE,
        allow_list=("*",),
    )


class Browser(FlaskClient):
    """Reads every answer to its end, as a browser does, and goes on to a failure's page."""

    def open(self, *args, buffered=True, **options):
        answer = super().open(*args, buffered=buffered, **options)
        if answer.status_code == 303 and answer.location.startswith(f"{PLACE}/"):
            said = options.get("headers")
            return super().open(answer.location, buffered=buffered, headers=said)
        return answer


class Registered(list[Endpoint]):
    """The endpoints as the database has them, too."""

    def __init__(self, database: Database, clock: FixedClock) -> None:
        super().__init__()
        self._database, self._clock = database, clock

    def append(self, endpoint: Endpoint) -> None:
        with self._database.tx() as tx:
            endpoints.insert_endpoint(tx, endpoint, self._clock.now())
        super().append(endpoint)

    def __setitem__(self, index, endpoint) -> None:
        with self._database.tx() as tx:
            endpoints.update_endpoint(tx, endpoint)
        super().__setitem__(index, endpoint)


@dataclass
class Rig:
    """The app, its browser and what it stands on; ``endpoints`` may be replaced."""

    http: FlaskClient
    ehr: Ehr
    database: Database
    clock: FixedClock
    endpoints: list[Endpoint]
    woken: list[tuple[str, int]]
    ports: SmartPorts
    context: StageContext

    def app(self, **changes) -> None:
        endpoint = self.endpoints[0]
        self.endpoints[0] = replace(endpoint, app=replace(endpoint.app, **changes))

    def launch(self, launch: str = "opaque-1", **context):
        """Walk a whole launch; return the callback's answer."""
        first = self.http.get(
            "/smart/launch", query_string={"iss": self.ehr.base, "launch": launch}
        )
        assert first.status_code == 303, first.text
        code = self.ehr.approve(first.location, **context)
        state = self.ehr.state(first.location)
        return self.http.get(f"/smart/callback?code={code}&state={state}")

    def open(self, **context) -> str:
        """Walk a whole launch; return the clean path of its page."""
        answer = self.launch(**context)
        assert answer.status_code == 303, answer.text
        return answer.location

    def open_page(self, **context) -> str:
        """Walk a whole launch and read its page once; return its path."""
        path = self.open(**context)
        assert self.http.get(path).text
        return path

    def form(self, path: str, **values):
        """Send a form as our own page in this browser would."""
        page = self.http.get(path)
        hidden = {
            name: page.text.split(f'name="{name}" value="')[1].split('"')[0]
            for name in ("csrf", "patient", "form_id")
        }
        return {**hidden, **values}


@pytest.fixture
def rig(ehr: Ehr, database: Database, clock: FixedClock) -> Rig:
    return make_rig(ehr, database, clock)


def make_rig(ehr: Ehr, database: Database, clock: FixedClock) -> Rig:
    """The app registered at an EHR, over an empty database."""
    registered = Registered(database, clock)
    registered.append(make_endpoint(ehr))
    woken: list[tuple[str, int]] = []
    ids = RandomIds()
    context = StageContext(
        database=database,
        clock=clock,
        ids=ids,
        wake=lambda stage, shard: woken.append((stage, shard)),
        fhir=lambda endpoint: FhirClient(endpoint.fhir_base, lambda: None, clock=clock),
        channels={},
        library=lambda endpoint: LIBRARY,
        status_base=PUBLIC,
    )
    ports = SmartPorts(
        endpoints=lambda: registered,
        launches=LaunchBook(database),
        frames=FrameBook(database),
        clock=clock,
        ids=ids,
        sealer=Sealer([b"k" * 32]),
        fhir=lambda endpoint, bearer, patience: FhirClient(
            endpoint.fhir_base,
            bearer.token,
            clock=clock,
            forget=bearer.forget,
            limits=Limits(patience=patience),
        ),
        discover=discover,
        fetch_keys=fetch_keys,
        fetch_style=fetch_style,
        look_at_sign_in=looks_from(PUBLIC, seconds=20),
        bound=bound_exchange,
        signing_key=lambda algorithm: OURS,
        client_secret=lambda endpoint_id: Secret(ehr.secret) if ehr.secret else None,
        desk=Desk(context),
        drafts=DraftBook(database),
        public_url=PUBLIC,
    )
    app = Flask("test")
    app.test_client_class = Browser
    app.register_blueprint(create_blueprint(ports))
    client = app.test_client()
    return Rig(client, ehr, database, clock, registered, woken, ports, context)


@pytest.fixture
def picker(rig) -> str:
    return choose(rig)


def choose(rig: Rig) -> str:
    """A standalone launch at an EHR that does not choose the patient: the path."""
    rig.ehr.configuration = PICKS
    first = rig.http.get("/smart/standalone", query_string={"iss": rig.ehr.base})
    scopes = parse_qs(urlsplit(first.location).query)["scope"][0].split()
    assert "user/Patient.rs" in scopes
    assert not [word for word in scopes if word.startswith(("patient/", "launch"))]
    code = rig.ehr.approve(first.location, patient=None)
    state = rig.ehr.state(first.location)
    answer = rig.http.get(f"/smart/callback?code={code}&state={state}")
    assert answer.status_code == 303
    return answer.location


LIBRARY = Library(
    plans=(
        Plan(
            url="https://carecue.example.org/fhir/PlanDefinition/reminder",
            version="1",
            id="reminder",
            title="Visit reminder",
            topic="appointments",
            triggers=("appointment-booked",),
            actions=(
                PlanAction(
                    id="three-days",
                    title="Your visit",
                    kind="message",
                    timing=Timing("focus-start", -72, 24),
                    conditions=(),
                    stops=(),
                    definition="reminder-three-days",
                    why="A visit is booked.",
                    stops_if="Stops if the visit is cancelled.",
                    translated={
                        "es": StepWords(
                            "Su cita",
                            "{{ given }} tiene cita el {{ visit_day }}, "
                            "{{ visit_time }}: se le recuerda.",
                            "Se detiene si la cita se cancela.",
                        )
                    },
                ),
            ),
            data=("Appointment?patient={patient}",),
            priority=10,
            counts=False,
        ),
    ),
    wordings=(
        Wording(
            definition="reminder-three-days",
            channel="sms",
            language="es",
            subject="",
            text=(
                "{{ clinic }}: {{ given }}, tiene una visita el {{ day }} a las "
                "{{ time }}. Llame al {{ phone }} para cambiarla. STOP para no recibir."
            ),
            reviewer="Language Services",
        ),
        Wording(
            definition="reminder-three-days",
            channel="sms",
            language="en",
            subject="",
            text=(
                "{{ clinic }}: {{ given }}, you have a visit on {{ day }} at {{ time }}. "
                "Call {{ phone }} to change it. STOP to stop."
            ),
            reviewer="Language Services",
        ),
    ),
    value_sets={},
    dispositions={},
)


def make_nudge(clock: FixedClock, **changes) -> Nudge:
    plan = LIBRARY.plans[0]
    now = clock.now()
    values = {
        "id": "nudge-1",
        "key": "key-1",
        "endpoint_id": "northside",
        "event_id": "event-1",
        "patient": "Patient/rosa",
        "shard": 3,
        "plan": plan.url,
        "plan_version": "1",
        "action": "three-days",
        "topic": "appointments",
        "focus": "Appointment/a1",
        "occasion": "a1",
        "recipient": "Patient/rosa",
        "state": NudgeState.PLANNED,
        "reason": "due",
        "due_at": now + timedelta(days=2),
        "expires_at": now + timedelta(days=3),
        "created_at": now,
        "channel": "sms",
        "address": "+14155550142",
        "language": "es",
        "title": "Your visit",
        "why": "A visit is booked.",
        "stops": "Stops if the visit is cancelled.",
    }
    return Nudge(**{**values, **changes})
