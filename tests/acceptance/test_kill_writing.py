"""kill -9 of the worker while the EHR is told what a clinician changed: each is there once.

The worker dies before the EHR has a write, after it has it and before the answer came,
and after the answer came and before that was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from mappings.preference import Who
from mappings.telecom import name_point
from middleware.desk.desk import Desk
from middleware.desk.editing.fields import Form, Sent
from middleware.desk.editing.kept import write_kept
from middleware.desk.editing.questions import Answer, Asked
from middleware.desk.editing.saving import Said, save_said
from middleware.desk.values import Actor
from middleware.desk.versions import consent_version, find_point
from middleware.desk.viewer import viewer_of
from middleware.desk.views import View
from middleware.storage import endpoints
from middleware.wiring.pipeline import stage_context
from middleware.wiring.runtime import signing_keys
from tests.acceptance.line import NUMBER, PATIENT, Line, vera

pytestmark = pytest.mark.usefixtures("own_logging")

MAIL = "vera@example.org"
PHONE_NAME, MAIL_NAME = name_point(("sms", NUMBER)), name_point(("email", MAIL))
TOLD = ("max_per_week", "modality", PHONE_NAME, MAIL_NAME)
ACTOR = Actor("Practitioner/osei", "Dr. Osei", "osei")
WRITES = (
    "system/Patient.rus system/Observation.crus system/QuestionnaireResponse.crus "
    "system/DocumentReference.crus system/Provenance.crs system/AuditEvent.crs"
)
# In the order in which they are written.
PLACES = {
    "QuestionnaireResponse": ("POST", "/fhir/QuestionnaireResponse"),
    "Provenance": ("POST", "/fhir/Provenance"),
    "AuditEvent": ("POST", "/fhir/AuditEvent"),
    "Observation": ("POST", "/fhir/Observation"),
    "Patient": ("PATCH", f"/fhir/{PATIENT}"),
    "Consent": ("POST", "/fhir/Consent"),
    "Task": ("POST", "/fhir/Task"),
}


class Plain:
    """An EHR in front of the sandbox that knows no condition on a create, and says so.

    Its Patients are changed by people alone.
    """

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        environ.pop("HTTP_IF_NONE_EXIST", None)
        if not environ["PATH_INFO"].endswith("/metadata"):
            return self._inner(environ, start_response)
        told: list[Any] = []
        body = b"".join(self._inner(environ, lambda *said: told.extend(said)))
        statement = orjson.loads(body)
        for resource in statement["rest"][0]["resource"]:
            resource["conditionalCreate"] = False
            if resource["type"] == "Patient":
                codes = [{"code": code} for code in ("read", "search-type")]
                resource["interaction"] = codes
        body = orjson.dumps(statement)
        kept = [pair for pair in told[1] if pair[0].lower() != "content-length"]
        start_response(told[0], [*kept, ("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def line(database_url: str, tmp_path: Path) -> Iterator[Line]:
    opened = Line(database_url, tmp_path)
    try:
        _let_write(opened)
        yield opened
    finally:
        opened.close()


def _let_write(line: Line) -> None:
    """Let the site's client write answers, and the EHR hear who looked at whom."""
    backend = line.endpoint.backend
    assert backend is not None
    scope = f"{backend.scope} {WRITES}"
    address = f"/sandbox/clients/{backend.client_id}"
    client = {
        "client_name": "CareCue",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": signing_keys(line.runtime).public_jwks(),
        "scope": scope,
    }
    line.control.call("PUT", address, client)
    line.endpoint = replace(
        line.endpoint,
        backend=replace(backend, scope=scope),
        profile={**line.endpoint.profile, "audit_events": True},
    )
    with line.runtime.database.tx() as tx:
        endpoints.update_endpoint(tx, line.endpoint)
    line.ehr.send_update({"resourceType": "Practitioner", "id": "osei"})
    mail = {"system": "email", "value": MAIL, "use": "home"}
    telecom = [*vera()["telecom"], mail]
    line.ehr.send_update({**vera(), "telecom": telecom})


def read_view(line: Line) -> View:
    """Return her page's view as it is now, read through the staff's token."""
    desk = Desk(stage_context(line.runtime))
    viewer = viewer_of("en-US")
    views = list(desk.read_views(line.endpoint, line.ehr, PATIENT, viewer, None))
    return views[-1]


def edit(line: Line) -> str:
    """Dr. Osei records four things and an answer; return the answer's id.

    The front desk changes the email meanwhile, so that staff are asked.
    """
    context, view = stage_context(line.runtime), read_view(line)
    said = [
        Said("max_per_week", 2, Who.PATIENT, "told staff"),
        Said("modality", "telehealth", Who.PATIENT, "told staff"),
        _used(view, PHONE_NAME),
        _used(view, MAIL_NAME),
    ]
    save_said(context, view, Sent(ACTOR, "", Form("f1")), said)
    answer = Answer(
        Asked("survey"), (("sms", NUMBER),), True, "May we?", "in person", PATIENT
    )
    view = read_view(line)
    sent = Sent(ACTOR, consent_version(view.own), Form("f2"))
    Desk(context).editor.save_answer(view, sent, answer)
    patient = line.ehr.fetch(PATIENT)
    patient["telecom"][1]["use"] = "temp"
    line.ehr.send_update(patient)
    (new,) = (item for item in read_view(line).own.consents if item.asked)
    return new.id


def _used(view: View, name: str) -> Said:
    """Say that a number or address is for work."""
    point = find_point(view.profile, name)
    assert point is not None
    value = {**point.value, "use": "work", "before": point.value}
    return Said(name, value, Who.PATIENT, "told staff")


def kill_at(line: Line, kind: str, moment: str) -> None:
    """Kill a worker in the midst of one write: before, after or answered."""
    method, path = PLACES[kind]
    line.holding.arm(method, path, after=moment != "before")
    line.start_worker()
    line.wait_for(f"{method} {path}", line.holding.reached.is_set)
    if moment != "answered":
        line.kill()
        line.holding.let_go()
        return
    with line.runtime.database.tx() as tx:
        tx.execute("SELECT 1 FROM outbox FOR UPDATE")
        line.holding.let_go()
        line.wait_for_lock()
        line.kill()


def finish(line: Line) -> None:
    """Let a new worker bring everything to its end."""
    line.start_worker()
    line.wait_for("the end of what is written", lambda: not _waiting(line))


def _waiting(line: Line) -> int:
    return line.count(
        "SELECT count(*) AS n FROM outbox WHERE state = 'waiting'"
    ) + line.count("SELECT count(*) AS n FROM nudge WHERE state = 'sending'")


def found(line: Line, kind: str) -> list[dict[str, Any]]:
    return list(line.ehr.fetch_search(f"{kind}?_count=200").resources)


def names(line: Line, kind: str) -> Counter[str]:
    """Return how often each identifier of ours is at the EHR."""
    return Counter(
        item["value"]
        for resource in found(line, kind)
        for item in _listed(resource.get("identifier"))
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def check_once(line: Line, patched: bool) -> None:
    """Nothing is lost and nothing is there twice."""
    with line.runtime.database.tx() as tx:
        rows = tx.execute(
            "SELECT resource->>'resourceType' AS kind, state, error FROM outbox "
            "WHERE state <> 'done' OR server_reference IS NULL"
        ).fetchall()
    assert rows == []
    beside = {"QuestionnaireResponse": 2 if patched else 3}
    for kind, number in {"Consent": 1, "Observation": 1, **beside}.items():
        assert list(names(line, kind).values()) == [1] * number, kind
    asked = [
        task
        for task in found(line, "Task")
        if task["code"]["coding"][0]["code"] == "chart-differs"
    ]
    assert len(asked) == (1 if patched else 2)
    assert set(names(line, "Task").values()) == {1}
    patient = line.ehr.fetch(PATIENT)
    assert [item["use"] for item in patient["telecom"]] == [
        "work" if patched else "mobile",
        "temp",
    ]
    targets = Counter(
        item["target"][0]["reference"] for item in found(line, "Provenance")
    )
    assert set(targets.values()) == {1}
    assert len(targets) == 5
    events = Counter(
        part["what"]["identifier"]["value"]
        for event in found(line, "AuditEvent")
        for part in event["entity"]
        if "identifier" in part.get("what", {})
    )
    told = "SELECT count(*) AS n FROM outbox WHERE resource->>'resourceType' = 'AuditEvent'"
    assert set(events.values()) == {1}
    assert len(events) == len(found(line, "AuditEvent")) == line.count(told) > 0


def check_desk(line: Line, answer: str, patched: bool) -> None:
    """The page says of each where it is kept."""
    view = read_view(line)
    told = {name: write_kept(view, name) for name in (*TOLD, answer)}
    aside = (
        "Kept here, not in the chart. Ask the front desk to correct the chart: a task "
        "for it is open"
    )
    assert told == {
        "max_per_week": "Kept in the chart as a questionnaire answer",
        "modality": "Kept in the chart",
        PHONE_NAME: "Kept in the chart" if patched else aside,
        MAIL_NAME: aside,
        answer: "Kept in the chart",
    }


@pytest.mark.parametrize(
    ("ehr", "moment"),
    [
        ("conditional", "after"),
        ("conditional", "answered"),
        ("plain", "before"),
        ("plain", "after"),
    ],
)
def test_killed_at_every_write(line: Line, ehr: str, moment: str) -> None:
    patched = ehr == "conditional"
    if not patched:
        line.running.app.wsgi_app = Plain(line.holding)  # type: ignore[method-assign]
    answer = edit(line)
    version = int(line.ehr.fetch(PATIENT)["meta"]["versionId"])
    for kind in PLACES:
        if kind != "Patient" or patched:
            kill_at(line, kind, moment)
    finish(line)
    check_once(line, patched)
    check_desk(line, answer, patched)
    assert int(line.ehr.fetch(PATIENT)["meta"]["versionId"]) == version + patched
