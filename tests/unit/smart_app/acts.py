"""What happens to Rosa before a page is asked for, and reading what it says."""

import re
from dataclasses import replace
from datetime import timedelta

from flask import Flask

from mappings.audited import VIEWED
from mappings.chart import Chart
from mappings.event import Event, EventKind
from mappings.preference import ConsentRecord, Who
from middleware.desk.desk import Desk
from middleware.storage import events, nudges, preferences
from middleware.storage.audit import list_audit
from middleware.storage.launches import get_launch
from middleware.storage.records import read_own
from smart_app.app import create_blueprint
from smart_app.streaming import BEAT
from tests.unit.smart_app.conftest import OURS_HEADERS, make_nudge

# What a form of our own page brings along; with htmx, which swaps a part in place.
OURS = OURS_HEADERS
PARTIAL = {**OURS, "HX-Request": "true"}


def acts(tx):
    """List what was done, newest first, without what was only looked at."""
    return [row for row in list_audit(tx) if row.action != VIEWED]


def serve_afresh(rig, library):
    """Let a new app with another library answer; return it."""
    context = replace(rig.ports.desk._context, library=library)
    rig.ports = replace(rig.ports, desk=Desk(context))
    app = Flask("fresh")
    app.test_client_class = type(rig.http)
    app.register_blueprint(create_blueprint(rig.ports))
    rig.http.application = app
    return app


def agree(rig, topic="*", permit=True):
    with rig.database.tx() as tx:
        preferences.insert_consent(
            tx,
            ConsentRecord(
                id=f"c-{topic}-{permit}",
                endpoint_id="northside",
                patient="Patient/rosa",
                system="sms",
                value="+14155550142",
                topic=topic,
                permit=permit,
                who=Who.PATIENT,
                how="on paper",
                recorded_at=rig.clock.now() - timedelta(days=30 - 10 * (not permit)),
            ),
        )


def say(rig, name, value, how="by text"):
    """Record what Rosa said of a preference elsewhere than on the page."""
    with rig.database.tx() as tx:
        preferences.insert_preference(
            tx,
            id=f"said-{name}",
            endpoint_id="northside",
            patient="Patient/rosa",
            name=name,
            value=value,
            who=Who.PATIENT,
            how=how,
            recorded_by=None,
            recorded_at=rig.clock.now(),
        )


def plan(rig, **changes):
    """Put one open message and its event into the store."""
    now = rig.clock.now()
    start = (now + timedelta(days=5)).isoformat()
    rig.ehr.resources["Appointment/a1"] = {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {"versionId": "1"},
        "status": "booked",
        "start": start,
        "description": "Follow-up with Dr. Osei",
        "participant": [{"actor": {"reference": "Patient/rosa"}}],
    }
    nudge = make_nudge(rig.clock, **changes)
    insert_planned(rig.database, rig.ehr.resources["Patient/rosa"], nudge)
    return nudge


def insert_planned(database, person, nudge):
    """Put a message and the event that it follows from into the store."""
    now = nudge.created_at
    event = Event(
        id=nudge.event_id,
        key=nudge.event_id,
        endpoint_id=nudge.endpoint_id,
        kind=EventKind.APPOINTMENT_BOOKED,
        patient=nudge.patient,
        shard=nudge.shard,
        focus=nudge.focus,
        focus_version="1",
        occurred_at=now,
        received_at=now,
    )
    chart = Chart(person, (), now)
    with database.tx() as tx:
        events.insert_event(
            tx, event, source="push", inbox_id=None, chart=chart, due_at=now
        )
        nudges.upsert_nudges(tx, [nudge], now)


def own(rig):
    with rig.database.tx() as tx:
        return read_own(tx, "northside", "Patient/rosa", [], rig.clock.now())


def pieces(rig, path: str, **headers: str) -> list[str]:
    """Return the answer's pieces as they leave, before they are put together."""
    answer = rig.http.get(path, buffered=False, headers=headers)
    assert answer.status_code == 200
    left = [piece.decode() for piece in answer.iter_encoded()]
    return [piece for piece in left if piece != BEAT]


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def field(html, name):
    """Return what a field of a page holds, hidden ones too."""
    return re.search(rf'name="{name}" value="([^"]+)"', html)[1]


def hidden(html):
    """Return the hidden fields of a form."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


def launch_of(rig, page):
    """Return the launch behind a page, as it is kept."""
    with rig.database.tx() as tx:
        found = get_launch(tx, page.split("/")[2])
    assert found is not None
    return found


def search(rig, path, **values):
    csrf = field(rig.http.get(path).text, "csrf")
    form = {"csrf": csrf, "name": "Del", "birth_date": "1968-02-03", **values}
    return rig.http.post(path, data=form, headers=OURS)
