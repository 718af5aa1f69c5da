"""What a clinician corrects and records in the app, as it stands in a real HAPI server."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from mappings.patching import FHIR_JSON, JSON_PATCH
from middleware.clock import FixedClock
from middleware.stages import record
from middleware.stages.agreeing import close_agreed
from middleware.storage import shards
from middleware.storage.database import Database
from tests.live.calls import call
from tests.live.front import Front
from tests.unit.smart_app.acts import OURS, words
from tests.unit.smart_app.conftest import Rig, make_rig

pytestmark = pytest.mark.live

PHONE, NEW = "+14155550142", "+14155550177"
MAIL, NEW_MAIL = "rosa@example.org", "rosa.delgado@example.org"
QUESTION = "May we text you about visits?"
PARTIAL = {**OURS, "HX-Request": "true"}
HOME = {
    "system": "phone",
    "use": "home",
    "value": "+14155550111",
    "rank": 3,
    "period": {"start": "2019-05-01"},
    "extension": [{"url": "https://example.org/x", "valueString": "stays"}],
}
FAX = {"system": "fax", "value": "+14155550199"}
TELECOM = [
    {
        "system": "phone",
        "use": "mobile",
        "value": PHONE,
        "rank": 1,
        "period": {"start": "2020-01-02"},
    },
    {"system": "email", "value": MAIL, "rank": 2},
    HOME,
    FAX,
]
PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "name": [{"given": ["Rosa"], "family": "Delgado"}],
    "gender": "female",
    "birthDate": "1968-02-03",
    "telecom": TELECOM,
    "address": [{"state": "CA", "postalCode": "94110", "country": "US"}],
    "communication": [{"language": {"coding": [{"code": "es"}]}, "preferred": True}],
}
OSEI = {
    "resourceType": "Practitioner",
    "id": "osei",
    "name": [{"text": "Dr. Abena Osei"}],
}
# What of its statement is declared, and what then arrives.
WAYS = {
    "json-patch": ({"patch", "update"}, [JSON_PATCH], ("PATCH", JSON_PATCH)),
    "fhirpath-patch": ({"patch", "update"}, [FHIR_JSON], ("PATCH", FHIR_JSON)),
    "update": ({"update"}, [JSON_PATCH], ("PUT", FHIR_JSON)),
}


@dataclass
class Desk:
    """The app, open at one patient of the server."""

    rig: Rig
    front: Front
    patient: str
    path: str

    @property
    def fhir(self) -> str:
        return self.front.behind

    def read(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = call("GET", f"{self.fhir}/{what}").json()
        return found

    def chart(self) -> dict[str, Any]:
        return self.read(self.patient)

    def telecom(self) -> dict[str, dict[str, Any]]:
        return {item["value"]: item for item in self.chart()["telecom"]}

    def version(self) -> int:
        return int(self.chart()["meta"]["versionId"])

    def change(self, **elements: Any) -> None:
        """Somebody at the front desk changes the chart."""
        body = {**self.chart(), **elements}
        call("PUT", f"{self.fhir}/{self.patient}", body)

    def find(self, kind: str, by: str = "patient") -> list[dict[str, Any]]:
        bundle = self.read(f"{kind}?{by}={self.patient}&_count=100")
        return [item["resource"] for item in bundle.get("entry", [])]

    def page(self) -> str:
        return words(self.rig.http.get(self.path).text)

    def save(self, group: str, **values: Any) -> None:
        """Fill in the form of a group, press Save, and look at the answer."""
        html = self.rig.http.get(f"{self.path}preferences/{group}", headers=PARTIAL)
        hidden = {
            name: re.search(rf'name="{name}" value="([^"]+)"', html.text)[1]  # type: ignore[index]
            for name in ("csrf", "patient", "version", "form_id")
        }
        data = {**hidden, "save": "1", "who": "patient", **values}
        url = f"{self.path}preferences/{group}"
        answer = self.rig.http.post(url, data=data, headers=OURS)
        assert answer.status_code == 303, words(answer.text)

    def stands(self) -> dict[str, str]:
        """What the form of the numbers says where nobody touches it."""
        found = {}
        places = (("sms", PHONE), ("email", MAIL), ("sms", HOME["value"]))
        uses, ranks = ("mobile", "", "home"), ("1", "2", "3")
        for place, use, rank in zip(places, uses, ranks, strict=True):
            name = key(*place)
            found |= {f"state-{name}": "current", f"use-{name}": use}
            found |= {f"rank-{name}": rank, f"end-{name}": ""}
        return {**found, "use": "mobile", "whose": "alone", "instead": ""}

    def write(self) -> None:
        """Let RECORD do what is due, until nothing is."""
        for _ in range(50):
            now = self.rig.clock.now()
            with self.rig.database.tx() as tx:
                due = shards.list_idle_due(tx, now)
            mine = [number for stage, number in due if stage == "record"]
            if not mine:
                return
            for number in mine:
                with shards.hold(self.rig.database, "record", number) as held:
                    assert held is not None
                    record.step(self.rig.context, {number: held.epoch}, now)
        raise AssertionError("RECORD does not come to rest")

    def later(self, **span: float) -> None:
        self.rig.clock.instant += timedelta(**span)
        self.write()

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.rig.database.tx() as tx:
            return list(tx.execute(query).fetchall())

    def patient_changes(self) -> list[tuple[str, str]]:
        """Return method and content type of each change of a Patient that arrived."""
        return [
            (method, headers["Content-Type"])
            for method, kind, headers, status in self.front.changes
            if kind == "Patient" and status < 300
        ]


def key(channel: str, value: str) -> str:
    return hashlib.sha256(f"telecom:{channel}:{value}".encode()).hexdigest()[:8]


@pytest.fixture(scope="module")
def front(hapi: Any) -> Iterator[Front]:
    found = Front(FixedClock.__new__(FixedClock), hapi.base_url)
    call("PUT", f"{hapi.base_url}/Practitioner/osei", OSEI)
    yield found
    found.stop()


@pytest.fixture
def desk(front: Front, database: Database, clock: FixedClock) -> Desk:
    """Dr. Osei has Rosa's page open; RECORD has a client of its own."""
    front.reset()
    front.clock = clock
    patient = f"rosa-{uuid.uuid4().hex[:12]}"
    call("PUT", f"{front.behind}/Patient/{patient}", {**PATIENT, "id": patient})
    rig = make_rig(front, database, clock)
    endpoint = rig.endpoints[0]
    rig.endpoints[0] = replace(endpoint, profile={"audit_events": True})
    declare(rig, front, "json-patch")
    return Desk(rig, front, f"Patient/{patient}", rig.open_page(patient=patient))


def declare(rig: Rig, front: Front, way: str) -> None:
    """The server's own statement, of which one way to change a Patient is left."""
    statement = call("GET", f"{front.behind}/metadata").json()
    interactions, formats, _ = WAYS[way]
    assert set(formats) <= set(statement["patchFormat"])
    statement["patchFormat"] = formats
    (patient,) = (
        item for item in statement["rest"][0]["resource"] if item["type"] == "Patient"
    )
    declared = {item["code"] for item in patient["interaction"]}
    assert interactions <= declared
    left = (declared - {"patch", "update"}) | interactions
    patient["interaction"] = [{"code": code} for code in sorted(left)]
    object.__setattr__(rig.context, "capabilities", lambda _: statement)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_corrected_number_is_one_version_and_touches_nothing_else(
    desk: Desk, way: str
) -> None:
    declare(desk.rig, desk.front, way)
    before = desk.telecom()
    desk.save(
        "telecom",
        **{
            **desk.stands(),
            "number": NEW,
            "again": NEW,
            "instead": key("sms", PHONE),
        },
    )
    assert desk.version() == 1
    desk.write()
    after = desk.telecom()
    assert after[PHONE]["use"] == "old"
    assert "rank" not in after[PHONE]
    assert after[PHONE]["period"] == {"start": "2020-01-02", "end": "2026-11-16"}
    assert after[NEW] == {
        "system": "phone",
        "value": NEW,
        "use": "mobile",
        "rank": 1,
        "period": {"start": "2026-11-16"},
    }
    others = set(before) - {PHONE}
    assert {name: after[name] for name in others} == {n: before[n] for n in others}
    assert list(after) == [*before, NEW]
    assert desk.version() == 2
    assert desk.patient_changes() == [WAYS[way][2]]
    assert all(
        "If-Match" in headers
        for _, kind, headers, _ in desk.front.changes
        if kind == "Patient"
    )
    assert "Kept in the chart" in desk.page()


@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_address_that_is_not_theirs_is_marked_old_and_stays_to_be_seen(
    desk: Desk, way: str
) -> None:
    declare(desk.rig, desk.front, way)
    before = desk.telecom()
    desk.save(
        "telecom",
        **{
            **desk.stands(),
            f"state-{key('email', MAIL)}": "wrong",
            "number": NEW_MAIL,
            "again": NEW_MAIL,
            "use": "home",
        },
    )
    desk.write()
    after = desk.telecom()
    assert after.pop(NEW_MAIL) == {
        "system": "email",
        "value": NEW_MAIL,
        "use": "home",
        "period": {"start": "2026-11-16"},
    }
    assert after.pop(MAIL) == {
        "system": "email",
        "value": MAIL,
        "use": "old",
        "period": {"end": "2026-11-16"},
    }
    assert after == {name: before[name] for name in after}
    assert desk.version() == 2


@pytest.mark.parametrize("way", sorted(WAYS))
def test_what_the_front_desk_said_meanwhile_stands_and_both_are_shown(
    desk: Desk, way: str
) -> None:
    declare(desk.rig, desk.front, way)
    changed = {**desk.stands(), f"use-{key('sms', PHONE)}": "work"}
    desk.save("telecom", **changed)
    theirs = {**TELECOM[0], "use": "home"}
    desk.change(telecom=[theirs, *TELECOM[1:]])
    desk.write()
    assert desk.telecom()[PHONE] == theirs
    assert desk.version() == 2
    assert desk.patient_changes() == []
    text = desk.page()
    assert "Answers differ on phone and email." in text
    assert "In force: (415) 555-0142: work" in text
    assert "(415) 555-0142: home" in text
    (task,) = desk.find("Task")
    assert (task["status"], task["code"]["coding"][0]["code"]) == (
        "requested",
        "chart-differs",
    )
    # Somebody asks Rosa and corrects the chart: nobody has to close anything.
    desk.change(telecom=[{**TELECOM[0], "use": "work"}, *TELECOM[1:]])
    desk.rig.clock.instant += timedelta(minutes=10)
    assert close_agreed(desk.rig.context) == 1
    desk.write()
    task = desk.read(f"Task/{task['id']}")
    assert (task["status"], task["statusReason"]["text"]) == (
        "completed",
        "The chart says it now.",
    )
    # The first piece of a page says what was said last time.
    assert "In force" not in desk.page()


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_change_between_our_reading_and_our_writing_is_not_lost(
    desk: Desk, way: str
) -> None:
    declare(desk.rig, desk.front, way)
    desk.save("telecom", **{**desk.stands(), f"state-{key('sms', PHONE)}": "old"})
    once = iter([True])

    def forestall(method: str, kind: str) -> None:
        if kind == "Patient" and next(once, False):
            desk.change(maritalStatus={"text": "widowed"})

    desk.front.before = forestall
    desk.write()
    assert desk.telecom()[PHONE]["use"] == "mobile"
    assert "Waiting to be written: the chart did not take it yet" in desk.page()
    desk.later(minutes=2)
    chart = desk.chart()
    assert chart["maritalStatus"] == {"text": "widowed"}
    assert desk.telecom()[PHONE]["use"] == "old"
    assert desk.version() == 3
    refused = [status for _, kind, _, status in desk.front.changes if kind == "Patient"]
    assert refused == [409, 200]


def test_each_answer_arrives_once_with_who_recorded_it(desk: Desk) -> None:
    desk.save("visits", visits="telehealth")
    desk.save("limit", limit="1")
    desk.save("language", language="vi")
    consent(desk)
    desk.write()
    # Our worker dies after each 201, before it has noted any.
    for _ in range(2):
        with desk.rig.database.tx() as tx:
            tx.execute("UPDATE outbox SET state = 'waiting', server_reference = NULL")
        desk.write()
    (seen,) = desk.find("Observation")
    assert seen["valueCodeableConcept"]["text"] == "telehealth"
    (response,) = desk.find("QuestionnaireResponse")
    answers = {
        item["linkId"]: item["answer"][0]["valueString"] for item in response["item"]
    }
    assert (answers["name"], answers["value"]) == ("max_per_week", "1")
    assert response["author"]["reference"] == "Practitioner/osei"
    (agreed,) = desk.find("Consent")
    assert agreed["provision"]["type"] == "permit"
    said = base64.b64decode(agreed["sourceAttachment"]["data"]).decode()
    assert f"Asked: {QUESTION}" in said
    spoken = desk.chart()["communication"]
    assert [item["language"]["coding"][0]["code"] for item in spoken] == ["es", "vi"]
    assert [item.get("preferred", False) for item in spoken] == [False, True]
    assert desk.version() == 2
    for item in (seen, response, agreed, desk.chart()):
        target = f"{item['resourceType']}/{item['id']}"
        (found,) = desk.read(f"Provenance?target={target}")["entry"]
        author, *_ = found["resource"]["agent"]
        assert author["who"]["reference"] == "Practitioner/osei"
    # One for each look and each change, however often they were sent.
    events = desk.find("AuditEvent")
    told = desk.rows(
        "SELECT key FROM outbox WHERE resource->>'resourceType' = 'AuditEvent'"
    )
    assert len(events) == len(told)
    states = {row["state"] for row in desk.rows("SELECT DISTINCT state FROM outbox")}
    assert states == {"done"}


def consent(desk: Desk) -> None:
    """Record that Rosa was asked, and said yes."""
    url = f"{desk.path}answers"
    html = desk.rig.http.get(f"{url}?topic=appointments&person=").text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    data = {
        **hidden,
        "question": QUESTION,
        "point": f"sms:{PHONE}",
        "answer": "yes",
        "how": "in-person",
        "said_by": desk.patient,
    }
    answer = desk.rig.http.post(url, data=data, headers=OURS)
    assert answer.status_code == 303, words(answer.text)


def undo(desk: Desk, group: str) -> None:
    """Press Undo beside a group that was just saved."""
    url = f"{desk.path}preferences/{group}/undo"
    page = desk.rig.http.get(desk.path).text
    form = page[page.index(f'action="{url}"') :].partition("</form>")[0]
    data = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    answer = desk.rig.http.post(url, data=data, headers=OURS)
    assert answer.status_code == 303, words(answer.text)
    desk.write()


def test_an_undo_after_the_chart_took_it_puts_the_chart_back(desk: Desk) -> None:
    before = desk.chart()
    desk.save("language", language="vi")
    desk.write()
    assert len(desk.chart()["communication"]) == 2
    undo(desk, "language")
    assert desk.chart()["communication"] == before["communication"]
    assert desk.version() == 3
    assert desk.find("QuestionnaireResponse") == []


def test_an_undo_marks_what_was_created_as_an_error(desk: Desk) -> None:
    desk.save("visits", visits="telehealth")
    desk.write()
    undo(desk, "visits")
    (found,) = desk.find("Observation")
    assert found["status"] == "entered-in-error"
    assert found["meta"]["versionId"] == "2"
    assert desk.find("QuestionnaireResponse") == []


def test_an_undo_of_a_new_number_leaves_it_to_be_seen_as_old(desk: Desk) -> None:
    desk.save("telecom", **{**desk.stands(), "number": NEW, "again": NEW})
    desk.write()
    undo(desk, "telecom")
    after = desk.telecom()
    assert after.pop(NEW)["use"] == "old"
    assert list(after.values()) == TELECOM


def test_a_save_that_is_pressed_twice_is_written_once(desk: Desk) -> None:
    html = desk.rig.http.get(f"{desk.path}preferences/visits", headers=PARTIAL).text
    data = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))
    data |= {"visits": "telehealth", "who": "patient"}
    for _ in range(2):
        url = f"{desk.path}preferences/visits"
        assert desk.rig.http.post(url, data=data, headers=OURS).status_code == 303
    desk.write()
    assert len(desk.find("Observation")) == 1
