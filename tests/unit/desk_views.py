"""Rosa's view as the desk's words are tried on it: one record, changed where asked."""

from datetime import UTC, datetime, timedelta

from mappings.chart import Chart
from mappings.endpoint import AppClient, BackendClient, Endpoint, EndpointKind, Site
from mappings.plan import Library, Plan
from mappings.preference import ConsentRecord, OwnRecord, PreferenceRecord, Who
from middleware.decisions.preference import compile_profile
from middleware.desk.viewer import viewer_of
from middleware.desk.views import View
from middleware.storage.history import SentRow

NOW = datetime(2026, 11, 18, 18, 41, tzinfo=UTC)
ENGLISH = viewer_of("en-US")
PHONE = "+14155550142"
PATIENT = {
    "resourceType": "Patient",
    "id": "rosa",
    "name": [{"given": ["Rosa"], "family": "Delgado"}],
    "gender": "female",
    "birthDate": "1968-02-03",
    "telecom": [{"system": "sms", "value": PHONE}],
    "address": [{"state": "CA", "country": "US"}],
    "communication": [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "es"}]}}
    ],
}
ENDPOINT = Endpoint(
    id="northside",
    name="Northside",
    kind=EndpointKind.PRODUCTION,
    fhir_base="https://ehr.example.org/fhir",
    backend=BackendClient(),
    app=AppClient(),
    site=Site("Northside", "+14155550100", "https://example.org", "America/Chicago"),
)


def plan(topic):
    return Plan(f"urn:{topic}", "1", topic, topic, topic, (), (), (), 10)


LIBRARY = Library((plan("appointment"), plan("preventive")), (), {}, {})


def consent(permit=True, topic="*", days=10, who=Who.PATIENT):
    return ConsentRecord(
        id=f"{topic}-{permit}-{days}",
        endpoint_id="northside",
        patient="Patient/rosa",
        system="sms",
        value=PHONE,
        topic=topic,
        permit=permit,
        who=who,
        how="by text",
        recorded_at=NOW - timedelta(days=days),
    )


def preference(name, value, minutes=5, who=Who.STAFF):
    return PreferenceRecord(
        name, value, who, "in the chart", NOW - timedelta(minutes=minutes), "Dr. Osei"
    )


def view(
    patient=None,
    resources=(),
    sent=(),
    endpoint=ENDPOINT,
    incomplete=(),
    refused=(),
    **own,
):
    record = OwnRecord(**{"consents": (consent(),), **own})
    chart = Chart(
        {**PATIENT, **(patient or {})},
        tuple(resources),
        NOW,
        incomplete,
        refused=refused,
    )
    return View(
        endpoint=endpoint,
        patient="Patient/rosa",
        chart=chart,
        own=record,
        profile=compile_profile(chart, record, endpoint, NOW),
        library=LIBRARY,
        planned=(),
        sent=tuple(sent),
        now=NOW,
    )


def sent(days, answered=None, channel="sms", state="delivered"):
    at = NOW - timedelta(days=days)
    reply = at + timedelta(minutes=answered) if answered is not None else None
    return SentRow(f"d{days}", "A title", channel, "es", state, at, at, reply, None)
