"""Parts of a chart that each may turn a verdict, as FHIR says them."""

from dataclasses import replace

from tests.unit.decisions.consents import resource as consent_resource
from tests.unit.desk_views import LIBRARY, PHONE

HOSPICE = ("http://snomed.info/sct", "385763009")
DIED = ("http://terminology.hl7.org/CodeSystem/discharge-disposition", "exp")
CARE = replace(
    LIBRARY,
    value_sets={"hospice": frozenset({HOSPICE})},
    dispositions={DIED: "died"},
)
SEEN_AT = "http://loinc.org", "95541-9"


def part(kind, identifier, **content):
    about = {"reference": "Patient/rosa"}
    person = {"patient": about} if kind == "RelatedPerson" else {"subject": about}
    return {"resourceType": kind, "id": identifier, **person, **content}


def coded(pair):
    return {"coding": [{"system": pair[0], "code": pair[1]}]}


def beside(identifier, role, value):
    return part(
        "RelatedPerson",
        identifier,
        active=True,
        name=[{"text": "Ana Delgado"}],
        relationship=[{"coding": [{"code": role}]}],
        telecom=[{"system": "sms", "value": value}],
        communication=[{"language": {"coding": [{"code": "es"}]}}],
    )


def answer(identifier, kind, **provision):
    return consent_resource(
        id=identifier,
        extension=[],
        provision={
            "type": kind,
            "code": [
                {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/"
                            "v3-ParticipationMode",
                            "code": "SMSWRIT",
                        }
                    ]
                }
            ],
            **provision,
        },
    )


PARTS = {
    "died in a stay": part(
        "Encounter",
        "e1",
        status="finished",
        hospitalization={"dischargeDisposition": coded(DIED)},
    ),
    "visit cancelled by death": part(
        "Appointment",
        "a1",
        status="cancelled",
        cancelationReason={"coding": [{"code": "pat-dec"}]},
    ),
    "hospice problem": part("Condition", "c1", code=coded(HOSPICE)),
    "hospice procedure": part("Procedure", "p1", code=coded(HOSPICE)),
    "hospice order": part("ServiceRequest", "s1", code=coded(HOSPICE)),
    "hospice stay": part(
        "Encounter", "e2", status="in-progress", type=[coded(HOSPICE)]
    ),
    "no in the chart": answer("k1", "deny"),
    "yes in the chart": answer("k2", "permit"),
    "confidential": part(
        "Flag", "f1", status="active", code={"text": "Confidential communication"}
    ),
    "mother at this number": beside("mother", "MTH", PHONE),
    "mother elsewhere": beside("mother", "MTH", "+14155550155"),
    "proxy": beside("proxy", "HPOWATT", "+14155550177"),
    "answer for the proxy": answer(
        "k3", "permit", actor=[{"reference": {"reference": "RelatedPerson/proxy"}}]
    ),
    "how seen": part(
        "Observation", "o1", code=coded(SEEN_AT), valueString="Telehealth"
    ),
    "goal": part("Goal", "g1", lifecycleStatus="active"),
}
