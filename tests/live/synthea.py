"""Three Synthea people in the story: what they lack is laid over with plain writes.

As they are they have no consent, no number that may be reached and no visit.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import requests

from middleware.fhir.client import FhirClient
from middleware.wiring.story import Step, Story, merge

FOLDER = Path(__file__).parents[3] / "shared" / "fixtures" / "synthea"
ZONE = "America/New_York"
CATEGORY = "https://carecue.example.org/fhir/CodeSystem/consent-category"
POINT = "https://carecue.example.org/fhir/StructureDefinition/consent-contact-point"
MODES = {"sms": "SMSWRIT", "email": "EMAILWRIT"}
HOME = {
    "system": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
    "code": "home",
}


def load_bundle(base: str, bundle: dict[str, Any]) -> list[str]:
    """Send a transaction Bundle; return what it made, as ``Type/id``."""
    answer = requests.post(
        base,
        data=orjson.dumps(bundle),
        headers={"Content-Type": "application/fhir+json"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text[:2000]
    return [
        "/".join(entry["response"]["location"].split("/")[:2])
        for entry in answer.json()["entry"]
    ]


def join(story: Story, base: str, ehr: FhirClient) -> Story:
    """Load three people, make them reachable, and return the story with them."""
    for name, system, value, language, tell in (
        ("Lemuel", "sms", "+16175550171", "en", _stay),
        ("Caridad", "email", "caridad.olivares@example.org", "es", _visit),
        ("Asa", "sms", "+16175550173", "en", _care_plan),
    ):
        path = next(FOLDER.glob(f"{name}_*.json"))
        made = load_bundle(base, orjson.loads(path.read_bytes()))
        patient = next(item for item in made if item.startswith("Patient/"))
        _reach(ehr, story, patient, system, value, language)
        steps, messages = tell(ehr, story, patient)
        told = [
            {
                "patient": patient.partition("/")[2],
                "plan": plan,
                "action": action,
                "channel": system,
                "language": language,
                "at": at,
            }
            for plan, action, at in messages
        ]
        expect = {**story.expect, "messages": [*story.expect["messages"], *told]}
        ordered = sorted((*story.steps, *steps), key=lambda step: step.at)
        story = replace(story, steps=tuple(ordered), expect=expect)
    return story


def _reach(
    ehr: FhirClient,
    story: Story,
    patient: str,
    system: str,
    value: str,
    language: str,
) -> None:
    """Give a person a number or address, a zone, a language and a consent."""
    person = ehr.fetch(patient)
    zone = {"url": "http://hl7.org/fhir/StructureDefinition/timezone"}
    address = person["address"][0]
    spoken = {"system": "urn:ietf:bcp:47", "code": language}
    changed = merge(
        person,
        {
            "telecom": [{"system": system, "value": value, "rank": 1}],
            "address": [
                {
                    **address,
                    "extension": [
                        *address.get("extension", ()),
                        {**zone, "valueCode": ZONE},
                    ],
                }
            ],
            "communication": [{"language": {"coding": [spoken]}, "preferred": True}],
        },
    )
    ehr.send_update(changed, if_match=person["meta"]["versionId"])
    ehr.send_create(_consent(story, patient, system, value))


def _consent(story: Story, patient: str, system: str, value: str) -> dict[str, Any]:
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    mode = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    types = "http://hl7.org/fhir/resource-types"
    category = [{"system": CATEGORY, "code": "outreach-communication"}]
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": category}],
        "patient": {"reference": patient},
        "dateTime": (story.start - timedelta(days=90)).isoformat(),
        "performer": [{"reference": patient}],
        "policyRule": {"coding": [{"system": act, "code": "OPTIN"}]},
        "extension": [
            {"url": POINT, "valueContactPoint": {"system": system, "value": value}}
        ],
        "provision": {
            "type": "permit",
            "class": [{"system": types, "code": "CommunicationRequest"}],
            "code": [{"coding": [{"system": mode, "code": MODES[system]}]}],
        },
    }


Told = tuple[list[Step], list[tuple[str, str, str]]]


def _step(story: Story, at: str, patient: str, title: str, **body: Any) -> Step:
    name = patient.partition("/")[2]
    return Step(title, story.instant(at), name, title, body)


def _stay(ehr: FhirClient, story: Story, patient: str) -> Told:
    """Let a stay of theirs be going on; they are discharged on the first day."""
    stays = ehr.fetch_search(f"Encounter?patient={patient}&class=IMP").resources
    stay = dict(stays[0])
    stay.pop("hospitalization", None)
    stay["status"] = "in-progress"
    stay["period"] = {"start": story.instant("-2d 10:00").isoformat()}
    ehr.send_update(stay)
    discharged = _step(
        story,
        "+0d 13:00",
        patient,
        "synthea-discharge",
        update=f"Encounter/{stay['id']}",
        set={
            "status": "finished",
            "period": {"end": story.instant("+0d 13:00").isoformat()},
            "hospitalization": {"dischargeDisposition": {"coding": [HOME]}},
        },
    )
    return [discharged], [
        ("post-discharge", "check-in", "+1d 13:00"),
        ("post-discharge", "book-visit", "+3d 13:00"),
    ]


def _visit(ehr: FhirClient, story: Story, patient: str) -> Told:
    """They book a visit and cancel it between its two reminders."""
    visit = {
        "resourceType": "Appointment",
        "id": "synthea-visit",
        "status": "booked",
        "start": story.instant("+7d 12:00").isoformat(),
        "end": story.instant("+7d 12:30").isoformat(),
        "participant": [
            {"actor": {"reference": reference}, "status": "accepted"}
            for reference in (
                patient,
                "Practitioner/osei",
                "Location/northside-main",
            )
        ],
    }
    booked = _step(story, "+0d 13:30", patient, "synthea-booking", create=visit)
    cancelled = _step(
        story,
        "+5d 10:00",
        patient,
        "synthea-cancellation",
        update="Appointment/synthea-visit",
        set={"status": "cancelled"},
    )
    return [booked, cancelled], [("appointment-reminder", "three-days", "+4d 12:00")]


def _care_plan(ehr: FhirClient, story: Story, patient: str) -> Told:
    """One of their plans waits; it becomes active with a step on the tenth day."""
    plans = ehr.fetch_search(f"CarePlan?patient={patient}&status=active").resources
    waiting = {**plans[0], "status": "on-hold"}
    ehr.send_update(waiting)
    activated = _step(
        story,
        "+0d 14:00",
        patient,
        "synthea-care-plan",
        update=f"CarePlan/{waiting['id']}",
        set={
            "status": "active",
            "activity": [
                {
                    "detail": {
                        "kind": "Appointment",
                        "status": "scheduled",
                        "description": "Physiotherapy",
                        "scheduledPeriod": {
                            "start": story.instant("+9d 09:00").isoformat(),
                            "end": story.instant("+9d 17:00").isoformat(),
                        },
                    }
                }
            ],
        },
    )
    return [activated], [("care-plan-activity", "activity-due", "+7d 07:00")]
