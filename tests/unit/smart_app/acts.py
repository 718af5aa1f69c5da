"""What happens to Rosa before a page is asked for, and reading what it says."""

import re
from datetime import timedelta

from mappings.audited import VIEWED
from mappings.chart import Chart
from mappings.event import Event, EventKind
from mappings.preference import ConsentRecord, Who
from middleware.storage import events, nudges, preferences
from middleware.storage.audit import list_audit
from middleware.storage.records import read_own
from tests.unit.smart_app.conftest import make_nudge

OURS = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}


def acts(tx):
    """List what was done, newest first, without what was only looked at."""
    return [row for row in list_audit(tx) if row.action != VIEWED]


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
    event = Event(
        id="event-1",
        key="event-1",
        endpoint_id="northside",
        kind=EventKind.APPOINTMENT_BOOKED,
        patient="Patient/rosa",
        shard=3,
        focus="Appointment/a1",
        focus_version="1",
        occurred_at=now,
        received_at=now,
    )
    nudge = make_nudge(rig.clock, **changes)
    with rig.database.tx() as tx:
        chart = Chart(rig.ehr.resources["Patient/rosa"], (), now)
        events.insert_event(
            tx, event, source="push", inbox_id=None, chart=chart, due_at=now
        )
        nudges.upsert_nudges(tx, [nudge], now)
    return nudge


def own(rig):
    with rig.database.tx() as tx:
        return read_own(tx, "northside", "Patient/rosa", [], rig.clock.now())


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def field(html, name):
    return html.split(f'name="{name}" value="')[1].split('"')[0]


def search(rig, path, **values):
    csrf = field(rig.http.get(path).text, "csrf")
    form = {"csrf": csrf, "name": "Del", "birth_date": "1968-02-03", **values}
    return rig.http.post(path, data=form, headers=OURS)
