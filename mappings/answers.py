"""What a patient answered about being contacted, as an EHR can take it (R4).

The same answer as Consent, as QuestionnaireResponse to our own Questionnaire and as a
DocumentReference with a sentence; each carries the same identifier of ours, so that it
is stored once whichever of them the EHR takes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from mappings.capabilities import find_declared, read_interactions
from mappings.codes import ACT_CODE, MEDIUM, PARTICIPATION_MODE
from mappings.consent import OUTREACH, OWN, POINT, PRIVACY
from mappings.instants import write_instant
from mappings.plan import NS, TOPIC
from mappings.preference import ConsentRecord, PreferenceRecord, Who
from mappings.resource import Resource, dict_of, list_of
from mappings.stated import EXPERIENCE

QUESTIONNAIRE = f"{NS}/Questionnaire/contact-preferences|1.0.0"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
CATEGORY = f"{NS}/CodeSystem/consent-category"
LOINC = "http://loinc.org"
CATEGORY_CODES = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
MODALITY = f"{NS}/CodeSystem/visit-modality"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
TAKEN_BACK = "taken back"
ORDER = ("Consent", "QuestionnaireResponse", "DocumentReference")


def answer_identifier(answer_id: str, patient: str) -> str:
    """Return what names an answer on one chart; one from a shared number is on several."""
    return f"{answer_id}.{patient.partition('/')[2]}"


def write_consent(record: ConsentRecord, patient: str) -> Resource:
    """Write an answer about one contact point as a Consent of ``Patient/id``."""
    kind = "permit" if record.permit else "deny"
    policy = "OPTIN" if record.permit else "OPTOUT"
    codes = []
    if record.system in MEDIUM:
        codes.append(_concept(PARTICIPATION_MODE, MEDIUM[record.system]))
    if record.topic != "*":
        codes.append(_concept(TOPIC, record.topic))
    provision: Resource = {"type": kind, "code": codes}
    if not codes:
        del provision["code"]
    if record.actor:
        provision["actor"] = [
            {"role": _concept(ROLE, "IRCP"), "reference": {"reference": record.actor}}
        ]
    resource: Resource = {
        "resourceType": "Consent",
        "identifier": [_identifier(record.id, patient)],
        "status": "active",
        "scope": _concept(SCOPE, PRIVACY),
        "category": [_concept(CATEGORY, OUTREACH)],
        "patient": {"reference": patient},
        "dateTime": write_instant(record.recorded_at),
        "policyRule": _concept(ACT_CODE, policy),
        "provision": provision,
    }
    performer = find_speaker(record, patient)
    if performer:
        resource["performer"] = [{"reference": performer}]
    if record.asked:
        resource["sourceAttachment"] = _text(
            "What was asked and answered", _told(record)
        )
    if record.value != "*":
        point = {"system": record.system, "value": record.value}
        resource["extension"] = [{"url": POINT, "valueContactPoint": point}]
    return resource


def find_speaker(record: ConsentRecord, patient: str) -> str | None:
    """Return who gave the answer; None where it is staff's or not known."""
    if record.said_by:
        return record.said_by
    return (record.actor or patient) if record.who is Who.PATIENT else None


def _told(record: ConsentRecord) -> list[str]:
    """Return what was asked and answered, how, by whom and who recorded it, as lines."""
    parts = {
        "Asked": record.asked,
        "Answered": "yes" if record.permit else "no",
        "How": record.how,
        "By": record.said_by,
        "Recorded by": record.recorded_by or "",
        "Recorded at": write_instant(record.recorded_at),
    }
    return [f"{name}: {value}" for name, value in parts.items() if value]


def write_preference(
    record: PreferenceRecord,
    record_id: str,
    patient: str,
    *,
    author: str | None = None,
    seen: str | None = None,
) -> Resource:
    """Write a preference as the answer to our Questionnaire.

    ``author`` recorded it; ``seen`` marks what the Patient said then
    (:func:`mappings.amending.mark_elements`).
    """
    answers = {"name": record.name, "value": _plain(record.value), "how": record.how}
    answers |= {"said-by": record.who.value, **({"seen": seen} if seen else {})}
    response = _response(
        _identifier(record_id, patient),
        patient,
        write_instant(record.recorded_at),
        answers,
        source=patient if record.who is Who.PATIENT else None,
    )
    return {**response, "author": {"reference": author}} if author else response


def read_preference(response: Resource) -> tuple[str, Any, str | None]:
    """Return the (name, value, seen) that :func:`write_preference` wrote."""
    given = {
        item["linkId"]: item["answer"][0]["valueString"] for item in response["item"]
    }
    text = str(given.get("value") or TAKEN_BACK)
    value = None if text == TAKEN_BACK else json.loads(text)
    return str(given.get("name") or ""), value, given.get("seen")


def list_forms(resource: Resource) -> list[Resource]:
    """Return the answer in every form that can be created, the one to try first first."""
    observation = write_observation(resource)
    forms = [observation, resource] if observation else [resource]
    if resource["resourceType"] == "Consent":
        forms.append(_consent_response(resource))
    if resource["resourceType"] in ("Consent", "QuestionnaireResponse"):
        forms.append(_document(forms[-1]))
    return forms


def write_observation(response: Resource) -> Resource | None:
    """Write how the patient likes to be seen as US Core's care experience preference.

    None for any other answer, and for one that was taken back.
    """
    if response["resourceType"] != "QuestionnaireResponse":
        return None
    name, value, _ = read_preference(response)
    if name != "modality" or value is None:
        return None
    category = {"system": CATEGORY_CODES, "code": "care-experience-preference"}
    source = response.get("source")
    return {
        "resourceType": "Observation",
        "identifier": [response["identifier"]],
        "status": "final",
        "category": [{"coding": [category]}],
        "code": _concept(LOINC, EXPERIENCE),
        "subject": response["subject"],
        "effectiveDateTime": response["authored"],
        **({"performer": [source]} if source else {}),
        "valueCodeableConcept": {
            **_concept(MODALITY, str(value)),
            "text": str(value),
        },
    }


def takes(statement: Mapping[str, Any] | None, resource: Resource) -> bool:
    """Tell whether a server may take such a resource; True where it is not known."""
    if statement is None:
        return True
    declared = find_declared(statement, str(resource["resourceType"]))
    return declared is not None and "create" in read_interactions(declared)


def _consent_response(consent: Resource) -> Resource:
    provision = dict_of(consent.get("provision"))
    point = dict_of(
        dict_of(next(iter(list_of(consent.get("extension"))), {})).get(
            "valueContactPoint"
        )
    )
    coded = {
        dict_of(coding).get("system"): str(dict_of(coding).get("code"))
        for concept in list_of(provision.get("code"))
        for coding in list_of(dict_of(concept).get("coding"))
    }
    people = [
        str(dict_of(dict_of(actor).get("reference")).get("reference"))
        for actor in list_of(provision.get("actor"))
    ]
    answers = {
        "permission": "yes" if provision.get("type") == "permit" else "no",
        "system": str(point.get("system") or coded.get(PARTICIPATION_MODE) or ""),
        "address": str(point.get("value") or ""),
        "topic": coded.get(TOPIC) or "all",
        "person": ", ".join(people),
        "evidence": _read_text(consent.get("sourceAttachment")),
    }
    return _response(
        consent["identifier"][0],
        str(consent["patient"]["reference"]),
        str(consent["dateTime"]),
        {name: value for name, value in answers.items() if value},
        source=_first_reference(consent.get("performer")),
    )


def _response(
    identifier: dict[str, str],
    patient: str,
    authored: str,
    answers: Mapping[str, str],
    *,
    source: str | None,
) -> Resource:
    subject = {"reference": patient}
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": identifier,
        "questionnaire": QUESTIONNAIRE,
        "status": "completed",
        "subject": subject,
        "authored": authored,
        **({"source": {"reference": source}} if source else {}),
        "item": [
            {"linkId": name, "answer": [{"valueString": value}]}
            for name, value in answers.items()
        ],
    }


def _document(response: Resource) -> Resource:
    """Write the answers as a text that a person can read in the chart."""
    lines = [
        f"{item['linkId']}: {item['answer'][0]['valueString']}"
        for item in response["item"]
    ]
    title = "How the patient wants to be contacted"
    return {
        "resourceType": "DocumentReference",
        "identifier": [response["identifier"]],
        "status": "current",
        "type": {"text": title},
        "subject": response["subject"],
        "date": response["authored"],
        "content": [{"attachment": _text(title, [title, *lines])}],
    }


def _text(title: str, lines: list[str]) -> dict[str, str]:
    """Write lines as an attachment."""
    text = "\n".join([*lines, ""])
    return {
        "contentType": "text/plain; charset=utf-8",
        "data": base64.b64encode(text.encode()).decode(),
        "title": title,
    }


def _read_text(attachment: Any) -> str:
    """Read what :func:`_text` wrote; empty where there is none."""
    data = dict_of(attachment).get("data")
    return base64.b64decode(data).decode().rstrip("\n") if data else ""


def _first_reference(people: Any) -> str | None:
    found = dict_of(next(iter(list_of(people)), None)).get("reference")
    return str(found) if found else None


def _plain(value: Any) -> str:
    return TAKEN_BACK if value is None else json.dumps(value, ensure_ascii=False)


def _identifier(answer_id: str, patient: str) -> dict[str, str]:
    return {"system": OWN, "value": answer_identifier(answer_id, patient)}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
