"""Calls of a live server, and what is stored there."""

import orjson
import requests

FHIR_JSON = "application/fhir+json"


def call(method, url, body=None, **headers):
    data = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON, **headers}
    answer = requests.request(method, url, data=data, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer


def make_patient():
    return {"resourceType": "Patient", "name": [{"family": "Vega", "given": ["Ana"]}]}


def make_encounter(patient, status="in-progress"):
    return {
        "resourceType": "Encounter",
        "status": status,
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "IMP",
        },
        "subject": {"reference": patient},
    }
